"""What a compression did and what it costs, as people read it: in the task log, the model card and the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.errors import ConflictError
from contracts.words import COMPRESSION_METHODS, Wording, significance
from evaluation.comparison import accuracy_lost

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from contracts.evaluation import Accuracy, AccuracyLost, EvaluationReport
    from contracts.speed import SpeedAtLoad, SpeedComparison
    from contracts.training import CompressionFacts
    from stages.services import Services

LINES: dict[str, Wording] = {
    "method": Wording(
        "방식: {method}, 원본은 작업 {parent}번의 모델", "Method: {method}, made of the model of job {parent}"
    ),
    "student": Wording("학생 모델: {student}", "Student: {student}"),
    "size": Wording(
        "크기: {before:,.1f} MB에서 {after:,.1f} MB로(원본의 {ratio:.1%})",
        "Size: {before:,.1f} MB became {after:,.1f} MB ({ratio:.1%} of the parent)",
    ),
    "speed": Wording(
        "생성 속도(사용자 {users}명): 초당 {before:,.1f}토큰에서 {after:,.1f}토큰으로, {ratio:.2f}배(측정 {rounds}회의 범위 "
        "{low:.2f}~{high:.2f}배)",
        "Speed ({users} at a time): {before:,.1f} tokens/s became {after:,.1f}, x {ratio:.2f} ({low:.2f} to {high:.2f} in "
        "{rounds} rounds)",
    ),
    "speed_where": Wording("속도를 잰 곳: {server}, {device}", "Measured on: {server}, {device}"),
    "speed_missing": Wording("생성 속도: 재지 않음({why})", "Speed: not measured ({why})"),
    "memory": Wording(
        "메모리: {before:,.0f} MB에서 {after:,.0f} MB로", "Memory: {before:,.0f} MB became {after:,.0f} MB"
    ),
    "loss": Wording("손실: {before:.4f}에서 {after:.4f}로", "Loss: {before:.4f} became {after:.4f}"),
    "divergence": Wording(
        "원본과의 거리(KL, 토큰당): 학습 전 {before:.4f}, 학습 후 {after:.4f}",
        "Distance to the parent (KL a token): {before:.4f} before the training, {after:.4f} after",
    ),
    "accuracy": Wording(
        "정확도({suite}): 원본 {parent}, 압축 {compressed}",
        "Accuracy ({suite}): parent {parent}, compressed {compressed}",
    ),
    "lost": Wording(
        "정확도 손실({suite}): {lost:+.1f} %p(95 % 신뢰구간 {low:+.1f}~{high:+.1f} %p). 새로 틀린 문항 {wrong}개, 새로 맞힌 "
        "문항 {right}개(맥니마 정확 검정 {p})",
        "Accuracy lost ({suite}): {lost:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}); {wrong} newly wrong, "
        "{right} newly right (exact McNemar test, {p})",
    ),
}


def compression_lines(facts: CompressionFacts, language: str) -> list[str]:
    """What the compression did, before anybody has judged it."""

    def line(name: str, **values: object) -> str:
        return LINES[name].of(language).format(**values)

    found = [line("method", method=COMPRESSION_METHODS[facts.method].of(language), parent=facts.parent_job_id)]
    if facts.student is not None:
        found.append(line("student", student=facts.student))
    before, after = facts.parent_bytes, facts.compressed_bytes
    found.append(line("size", before=before / 1e6, after=after / 1e6, ratio=after / before))
    if facts.speed is None:
        found.append(line("speed_missing", why=facts.speed_missing or "-"))
    else:
        found += _speed_lines(facts.speed, language)
    if facts.parent_loss is not None and facts.compressed_loss is not None:
        found.append(line("loss", before=facts.parent_loss, after=facts.compressed_loss))
    if facts.divergence_before is not None and facts.divergence_after is not None:
        found.append(line("divergence", before=facts.divergence_before, after=facts.divergence_after))
    return found


def cost_lines(facts: CompressionFacts, evaluation: EvaluationReport, language: str) -> list[str]:
    """What the compression did, and what it costs on each suite."""
    costs = [accuracy_lost(suite) for suite in (evaluation.main, *evaluation.extras)]
    return [*compression_lines(facts, language), *(text for cost in costs for text in _cost_lines(cost, language))]


def require_parents_suite(parent_job_id: int, asked: Mapping[str, str], services: Services) -> None:
    """The suite by which the parent was judged is among those asked (name by digest). Raises ConflictError.

    A parent that was never evaluated passes: its accuracy is measured with the compressed model's.
    """
    with services.unit_of_work() as uow:
        judged = uow.evaluations.latest_for_job(parent_job_id)
    if judged is not None and judged.main.sha256 not in asked:
        raise ConflictError(
            "A compressed model is judged by the same suite as its parent",
            value=", ".join(asked.values()),
            allowed=f"{judged.main.name} ({judged.main.path}), as it was when job {parent_job_id} was evaluated",
            next_step="name this suite in test_suite or extra_suites, or evaluate the parent with the other one first",
        )


def _speed_lines(speed: SpeedComparison, language: str) -> Iterator[str]:
    for load in speed.loads:
        yield _speed_line(load, speed.rounds, language)
    if speed.parent_memory_mb is not None and speed.compressed_memory_mb is not None:
        yield LINES["memory"].of(language).format(before=speed.parent_memory_mb, after=speed.compressed_memory_mb)
    yield LINES["speed_where"].of(language).format(server=speed.backend.value, device=speed.device)


def _speed_line(load: SpeedAtLoad, rounds: int, language: str) -> str:
    return (
        LINES["speed"]
        .of(language)
        .format(
            users=load.concurrency,
            before=load.parent_tokens_per_second,
            after=load.compressed_tokens_per_second,
            ratio=load.ratio,
            low=load.lowest_ratio,
            high=load.highest_ratio,
            rounds=rounds,
        )
    )


def _cost_lines(cost: AccuracyLost, language: str) -> Iterator[str]:
    yield (
        LINES["accuracy"]
        .of(language)
        .format(
            suite=cost.suite,
            parent=_accuracy(cost.parent, language),
            compressed=_accuracy(cost.compressed, language),
        )
    )
    yield (
        LINES["lost"]
        .of(language)
        .format(
            suite=cost.suite,
            lost=cost.lost * 100,
            low=cost.interval.lower * 100,
            high=cost.interval.upper * 100,
            wrong=cost.newly_wrong,
            right=cost.newly_right,
            p=significance(cost.mcnemar_p),
        )
    )


def _accuracy(accuracy: Accuracy, language: str) -> str:
    interval = f"{accuracy.interval.lower:.1%}~{accuracy.interval.upper:.1%}"
    wording = Wording("95 % 신뢰구간 {interval}", "95 % interval {interval}")
    return (
        f"{accuracy.accuracy:.1%} ({accuracy.correct}/{accuracy.n}, {wording.of(language).format(interval=interval)})"
    )
