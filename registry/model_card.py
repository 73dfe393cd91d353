"""The model card: what a model version is, how good it is and what it must not be used for, in Korean or English."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from contracts.datasets import DatasetVersion
from contracts.enums import ModelFormat, SuiteKind
from contracts.evaluation import Accuracy, EvaluationReport, GateVerdict, SuiteReport
from contracts.parity import ParityCertificate
from contracts.suites import ScoreEstimate, SuiteResult
from contracts.training import TrainingReport
from registry.card_texts import DECISIONS, METHODS, METRICS, card_text, of_language

LISTED_DOCUMENTS = 5
SHARES = {"accuracy", "refusal_rate", "toxicity_rate", "pass_rate"}
"""Scores that are read as per cent."""


@dataclass(frozen=True, slots=True)
class CardContent:
    """Everything that a card tells."""

    model_name: str
    version: str
    content_hash: str
    model_format: ModelFormat
    size_gb: float
    description: str
    dataset: DatasetVersion
    documents: list[str]
    training: TrainingReport
    evaluation: EvaluationReport | None
    """The job's newest one."""
    verdict: GateVerdict | None
    """The newest one over that evaluation."""
    suites: list[SuiteResult]
    """The newest of each suite."""
    base_licence: str | None
    compression: Mapping[str, list[str]] = field(default_factory=dict)
    """By language, what a compressed model costs; nothing of others."""
    certificate: ParityCertificate | None = None
    """The newest comparison of what was trained and what is served."""


def write_model_card(content: CardContent, language: str = "ko") -> str:
    """The card as Markdown. The same content gives the same text."""

    def heading(key: str) -> list[str]:
        return [f"## {card_text(key, language)}", ""]

    blocks = [
        [f"# {content.model_name}", ""],
        [content.description, ""] if content.description else [],
        [*heading("data"), *_points(_data(content, language)), ""],
        [*heading("training"), *_points(_training(content, language)), ""],
        [*heading("compression"), *_points(iter(content.compression[language])), ""] if content.compression else [],
        [*heading("evaluation"), *_evaluation(content, language), ""],
        [*heading("suites"), *_suites(content, language), ""] if _judging(content) else [],
        [*heading("safety"), *_safety(content, language), ""],
        [*heading("verdict"), *_points(_verdict(content, language)), ""],
        [*heading("limits"), *_points(_limits(content, language)), ""],
        [*heading("origin"), *_points(_origin(content, language))],
    ]
    return "\n".join(line for block in blocks for line in block) + "\n"


def _points(lines: Iterator[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _data(content: CardContent, language: str) -> Iterator[str]:
    dataset = content.dataset
    yield card_text(
        "dataset", language, name=dataset.name, version=dataset.version, content_hash=dataset.content_hash[:12]
    )
    yield card_text(
        "samples",
        language,
        total=dataset.total_samples,
        train=dataset.train_samples,
        validation=dataset.val_samples,
        test=dataset.test_samples,
    )
    yield card_text("cleaned", language, removed=sum(dataset.removed.values()), masked=sum(dataset.masked.values()))
    if content.documents:
        names = ", ".join(f"`{name}`" for name in content.documents[:LISTED_DOCUMENTS])
        more = len(content.documents) - LISTED_DOCUMENTS
        if more > 0:
            names = card_text("and_more", language, names=names, more=more)
        yield card_text("documents", language, count=len(content.documents), names=names)


def _training(content: CardContent, language: str) -> Iterator[str]:
    training = content.training
    yield card_text("base_model", language, name=training.base_model)
    if content.base_licence is None:
        yield card_text("no_licence", language)
    else:
        yield card_text("licence", language, licence=content.base_licence)
    method = METHODS.get(training.method)
    named = training.method.value if method is None else of_language(method, language)
    yield card_text("method", language, method=named, recipe=training.recipe)
    loss = f"{training.train_loss:.4f}"
    if training.eval_loss is not None:
        loss = card_text("eval_loss", language, loss=loss, eval_loss=training.eval_loss)
    yield card_text("steps", language, steps=training.steps, epochs=training.epochs, loss=loss)
    yield card_text("cost", language, seconds=training.duration_seconds, memory=training.peak_memory_mb)


def _cell(accuracy: Accuracy, language: str) -> str:
    return card_text(
        "cell",
        language,
        share=_percent(accuracy.accuracy),
        lower=_percent(accuracy.interval.lower),
        upper=_percent(accuracy.interval.upper),
        n=accuracy.n,
    )


def _suite_row(suite: SuiteReport, language: str) -> str:
    return f"| {suite.name} | {_cell(suite.base, language)} | {_cell(suite.tuned, language)} |"


def _evaluation(content: CardContent, language: str) -> list[str]:
    if content.evaluation is None:
        return [card_text("not_evaluated", language)]
    header = "header" if content.training.compression is None else "header_compressed"
    return [
        card_text("how_measured", language),
        "",
        card_text(header, language),
        "|---|---|---|",
        *(_suite_row(suite, language) for suite in (content.evaluation.main, *content.evaluation.extras)),
    ]


def _judging(content: CardContent) -> list[SuiteResult]:
    return [result for result in content.suites if result.kind is not SuiteKind.SAFETY]


def _suites(content: CardContent, language: str) -> list[str]:
    results = _judging(content)
    return [card_text("how_suites", language), "", *_score_table(results, language), *_remarks(results, language)]


def _safety(content: CardContent, language: str) -> list[str]:
    results = [result for result in content.suites if result.kind is SuiteKind.SAFETY]
    if not results:
        return [card_text("no_safety", language)]
    return [*_score_table(results, language), *_remarks(results, language)]


def _score_table(results: list[SuiteResult], language: str) -> list[str]:
    return [
        card_text("suite_header", language),
        "|---|---|---|---|---|---|",
        *(
            f"| {_suite_title(result)} | {score.name} | {_value(score, score.value)} | {_interval(score)} | "
            f"{score.n:,} | {result.conditions.engine} |"
            for result in results
            for score in result.scores
        ),
    ]


def _remarks(results: list[SuiteResult], language: str) -> list[str]:
    lines = []
    for result in results:
        suite = _suite_title(result)
        if result.excluded:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(result.excluded.items()))
            lines.append(
                card_text("excluded", language, suite=suite, count=sum(result.excluded.values()), reasons=reasons)
            )
        if result.unstable_answers:
            lines.append(
                card_text(
                    "unstable",
                    language,
                    suite=suite,
                    repeated=result.repeated_answers,
                    unstable=result.unstable_answers,
                )
            )
    return ["", *(f"- {line}" for line in lines)] if lines else []


def _suite_title(result: SuiteResult) -> str:
    version = result.conditions.suite_version
    return result.conditions.suite_name if version is None else f"{result.conditions.suite_name} v{version}"


def _value(score: ScoreEstimate, value: float) -> str:
    return _percent(value) if score.name in SHARES else f"{value:,.4g}"


def _interval(score: ScoreEstimate) -> str:
    if score.interval is None:
        return "-"
    return f"{_value(score, score.interval.lower)}~{_value(score, score.interval.upper)}"


def _verdict(content: CardContent, language: str) -> Iterator[str]:
    verdict = content.verdict
    if verdict is None:
        yield card_text("no_verdict", language)
        return
    yield card_text(
        "decision",
        language,
        decision=of_language(DECISIONS[verdict.decision], language),
        metric=of_language(METRICS[verdict.metric], language),
        bar=_percent(verdict.accuracy_bar),
    )
    if language == "ko":
        yield from verdict.reasons
    else:
        yield card_text("bound", language, bound=_percent(verdict.lower_bound_one_sided), n=verdict.n)


def _limits(content: CardContent, language: str) -> Iterator[str]:
    for key in ("limit_scope", "limit_short", "limit_revision", "limit_duty"):
        yield card_text(key, language)
    if content.dataset.masked:
        yield card_text("limit_masked", language)
    if content.evaluation is None:
        return
    tuned = content.evaluation.main.tuned
    weak = {name: share for name, share in tuned.by_category.items() if share < tuned.accuracy - 0.1}
    if weak:
        listed = ", ".join(f"{name} {_percent(share)}" for name, share in sorted(weak.items()))
        yield card_text("limit_weak", language, listed=listed)


def _origin(content: CardContent, language: str) -> Iterator[str]:
    yield card_text(
        "origin_line",
        language,
        dataset=f"{content.dataset.name} {content.dataset.version}",
        job=content.training.job_id,
        job_name=content.training.job_name,
        version=f"{content.model_name} {content.version}",
    )
    yield card_text(
        "origin_files",
        language,
        content_hash=content.content_hash[:12],
        model_format=content.model_format.value,
        size=content.size_gb,
    )
    if content.certificate is not None:
        found = content.certificate
        yield card_text(
            "served_same" if found.passed else "served_otherwise",
            language,
            engine=found.engine,
            prompts=found.prompts,
            tokens=found.tokens,
            day=found.checked_at.date(),
        )
