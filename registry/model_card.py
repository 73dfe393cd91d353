"""The model card: what a model version is, how good it is and what it must not be used for, in Korean Markdown."""

from collections.abc import Iterator

from contracts.datasets import DatasetVersion
from contracts.enums import CompressionMethod, GateDecision, Method, Metric
from contracts.evaluation import Accuracy, EvaluationReport, GateVerdict, SuiteReport
from contracts.training import CompressionFacts, TrainingReport

_METHODS = {
    Method.LORA: "LoRA(어댑터만 학습)",
    Method.QLORA: "QLoRA(4비트로 읽은 기반 모델에 어댑터 학습)",
    Method.FULL: "전체 미세조정(모든 가중치 학습)",
}
_COMPRESSIONS = {
    CompressionMethod.INT8: "INT8(가중치와 활성값 8비트 정수)",
    CompressionMethod.FP8: "FP8(가중치와 활성값 8비트 부동소수점)",
    CompressionMethod.GPTQ: "GPTQ(가중치 4비트)",
    CompressionMethod.AWQ: "AWQ(가중치 4비트)",
    CompressionMethod.WANDA: "Wanda(활성값에 비해 작은 가중치 제거)",
    CompressionMethod.MAGNITUDE: "크기가 작은 가중치 제거",
    CompressionMethod.NEURONS: "피드포워드 뉴런 제거",
}
_DECISIONS = {GateDecision.PASS: "합격", GateDecision.FAIL: "불합격", GateDecision.UNDECIDED: "판정 보류"}
_METRICS = {Metric.ACCURACY: "정확도", Metric.ACCURACY_LOWER_BOUND: "정확도의 95 % 신뢰 하한"}


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _cell(accuracy: Accuracy) -> str:
    return (
        f"{_percent(accuracy.accuracy)} ({_percent(accuracy.interval.lower)}~{_percent(accuracy.interval.upper)}, "
        f"{accuracy.n}문항)"
    )


def _suite_row(suite: SuiteReport) -> str:
    return f"| {suite.name} | {_cell(suite.base)} | {_cell(suite.tuned)} |"


def _limits(dataset: DatasetVersion, report: EvaluationReport) -> Iterator[str]:
    yield (
        "- 이 모델은 위 데이터셋이 다루는 업무에 관한 질문에 답하도록 학습했습니다. "
        "그 밖의 질문에는 틀린 답을 그럴듯하게 할 수 있습니다."
    )
    yield "- 정확도는 정답이 정해진 짧은 문항으로 잰 값이며, 긴 설명이나 판단의 품질을 보장하지 않습니다."
    yield "- 규정이 개정되면 모델의 지식은 저절로 바뀌지 않습니다. 개정된 자료로 다시 학습해야 합니다."
    yield "- 민원 처분과 계약처럼 법적 효력이 있는 업무에는 담당자가 원문을 확인한 뒤 사용해야 합니다."
    if dataset.masked:
        yield "- 학습 자료의 개인정보는 가린 뒤 학습했으므로, 개인을 특정하는 질문에는 답하지 못합니다."
    weak = {
        name: share for name, share in report.main.tuned.by_category.items() if share < report.main.tuned.accuracy - 0.1
    }
    if weak:
        listed = ", ".join(f"{name} {_percent(share)}" for name, share in sorted(weak.items()))
        yield f"- 다음 분류의 정확도는 전체보다 10 %p 넘게 낮습니다: {listed}"


def _compression(facts: CompressionFacts, evaluation: EvaluationReport) -> Iterator[str]:
    main = evaluation.main
    yield "## 압축"
    yield ""
    yield f"- 방식: {_COMPRESSIONS[facts.method]}, 원본은 파인튜닝 작업 {facts.parent_job_id}번의 모델"
    yield (
        f"- 크기: {facts.parent_bytes / 1e6:,.1f} MB에서 {facts.compressed_bytes / 1e6:,.1f} MB로"
        f"({_percent(facts.compressed_bytes / facts.parent_bytes)})"
    )
    yield (
        f"- 대가: 정확도 {_cell(main.base)}에서 {_cell(main.tuned)}로. 새로 맞힌 문항 {main.won}개, 새로 틀린 문항 "
        f"{main.lost}개(맥니마 검정 p = {main.mcnemar_p:.3f})"
    )
    if facts.parent_loss is not None and facts.compressed_loss is not None:
        yield f"- 손실: {facts.parent_loss:.4f}에서 {facts.compressed_loss:.4f}로"
    yield ""


def write_model_card(
    model_name: str,
    *,
    description: str,
    dataset: DatasetVersion,
    training: TrainingReport,
    evaluation: EvaluationReport,
    verdict: GateVerdict,
) -> str:
    """The card's text."""
    removed = sum(dataset.removed.values())
    masked = sum(dataset.masked.values())
    loss = f"{training.train_loss:.4f}"
    if training.eval_loss is not None:
        loss += f", 검증 손실 {training.eval_loss:.4f}"
    lines = [
        f"# {model_name}",
        "",
        *([description, ""] if description else []),
        "## 데이터",
        "",
        f"- 데이터셋: {dataset.name} {dataset.version} (내용 해시 `{dataset.content_hash[:12]}`)",
        f"- 표본 {dataset.total_samples:,}건: 학습 {dataset.train_samples:,}건, 검증 {dataset.val_samples:,}건, "
        f"시험 {dataset.test_samples:,}건",
        f"- 정제하면서 제외한 행 {removed:,}건, 가린 개인정보 {masked:,}건",
        "",
        "## 학습",
        "",
        f"- 기반 모델: {training.base_model}",
        f"- 방식: {_METHODS.get(training.method, training.method)}, 레시피 `{training.recipe}`",
        f"- {training.steps:,}스텝({training.epochs:g}에폭), 학습 손실 {loss}",
        f"- 소요 시간 {training.duration_seconds:,.0f}초, 최대 메모리 {training.peak_memory_mb:,.0f} MB",
        "",
        *(_compression(training.compression, evaluation) if training.compression is not None else []),
        "## 평가",
        "",
        "괄호 안은 95 % 신뢰구간(윌슨)과 문항 수입니다. 서비스와 같은 방식으로 물어 얻은 답을 채점했습니다.",
        "",
        "| 문항 | 기반 모델 | 학습한 모델 |" if training.compression is None else "| 문항 | 압축 전 | 압축 후 |",
        "|---|---|---|",
        _suite_row(evaluation.main),
        *map(_suite_row, evaluation.extras),
        "",
        "## 합격 판정",
        "",
        f"- 판정: **{_DECISIONS[verdict.decision]}** (지표: {_METRICS[verdict.metric]}, 기준 {_percent(verdict.accuracy_bar)})",
        *(f"- {reason}" for reason in verdict.reasons),
        "",
        "## 한계와 주의",
        "",
        *_limits(dataset, evaluation),
    ]
    return "\n".join(lines) + "\n"
