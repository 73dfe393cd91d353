"""The preparation as a list of steps, each of which says what it did.

    normalise ─▶ length ─▶ repetition ─▶ foul language ─▶ quality score ─▶ masking ─▶ exact duplicates
              ─▶ near duplicates ─▶ leakage ─▶ split

Everything that leaves this module has been masked, also what is told about removed rows.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from contracts.datasets import PrepareRequest
from contracts.enums import PersonalDataKind, RemovalReason, Split
from contracts.record import JsonObject, Record
from data_prep.duplicates.exact import find_exact_duplicates
from data_prep.duplicates.leakage import check_leakage
from data_prep.duplicates.near import find_near_duplicates
from data_prep.masking.masker import mask
from data_prep.normalisation import normalise_row
from data_prep.quality.foul_language import check_foul_language
from data_prep.quality.length import check_length
from data_prep.quality.repetition import check_repetition
from data_prep.quality.score import QualityScore, check_quality_score, score_quality
from data_prep.removal import Removal
from data_prep.rows import OnProgress, Row
from data_prep.versions.splitting import Ratios, split_rows

_PROGRESS_ROWS = 500


class StepRecord(Record):
    """What one step did."""

    step: str
    rows_in: int
    rows_out: int
    changed: int = 0
    """Rows that were rewritten."""
    removed: dict[str, int] = {}
    """Rows taken out, by RemovalReason."""


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """A row of the dataset version."""

    row: Row
    quality_score: float
    split: Split


@dataclass(frozen=True, slots=True)
class RemovedRow:
    """A row that is not in the dataset version."""

    row_id: str
    removal: Removal
    question: str
    """The start of the masked question, so that a person recognises the row."""


@dataclass(frozen=True, slots=True)
class MaskedItem:
    """One replacement. The value that was replaced is kept nowhere."""

    row_id: str
    kind: PersonalDataKind
    where: str
    """`messages[0].content`, `category` or `source`."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """The outcome."""

    rows: list[PreparedRow]
    removed: list[RemovedRow]
    masked: list[MaskedItem]
    """Replacements in the rows that stayed."""
    steps: list[StepRecord]


def prepare_rows(
    rows: Iterable[Row],
    request: PrepareRequest,
    test_questions: Mapping[str, str],
    total_rows: int,
    on_progress: OnProgress | None = None,
) -> Preparation:
    """Clean, mask and split. Deterministic: same rows and request, same outcome."""
    work = _Work()
    work.rewrite("normalise", rows, normalise_row)
    work.judge("length", lambda row: check_length(row, request.min_answer_characters))
    work.judge("repetition", check_repetition)
    work.judge("foul_language", check_foul_language)

    scores: dict[str, QualityScore] = {row.row_id: score_quality(row) for row in work.rows}
    work.judge("quality_score", lambda row: check_quality_score(scores[row.row_id], request.min_quality_score))

    masked: dict[str, list[MaskedItem]] = {}
    done = 0

    def mask_row(row: Row) -> Row:
        nonlocal done
        done += 1
        if on_progress is not None and done % _PROGRESS_ROWS == 0:
            on_progress("masking personal data", done, total_rows)
        without, masked[row.row_id] = _mask_row(row)
        return without

    work.rewrite("mask_personal_data", work.rows, mask_row)

    values = [scores[row.row_id].value for row in work.rows]
    work.remove("exact_duplicates", find_exact_duplicates(work.rows, values))
    values = [scores[row.row_id].value for row in work.rows]
    near = find_near_duplicates(work.rows, values, request.near_duplicate_threshold, on_progress)
    work.remove("near_duplicates", near)
    work.judge("leakage", lambda row: check_leakage(row, test_questions))

    ratios = Ratios(request.train_ratio, request.val_ratio, request.test_ratio)
    sides = split_rows(work.rows, ratios, request.seed)
    return Preparation(
        rows=[PreparedRow(row, scores[row.row_id].value, side) for row, side in zip(work.rows, sides, strict=True)],
        removed=work.removed,
        masked=[item for row in work.rows for item in masked[row.row_id]],
        steps=work.steps,
    )


class _Work:
    """The rows between two steps, and what the steps before have done."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.removed: list[RemovedRow] = []
        self.steps: list[StepRecord] = []

    def rewrite(self, step: str, rows: Iterable[Row], rule: Callable[[Row], Row]) -> None:
        rewritten, changed = [], 0
        for row in rows:
            after = rule(row)
            changed += after != row
            rewritten.append(after)
        self.rows = rewritten
        self.steps.append(StepRecord(step=step, rows_in=len(rewritten), rows_out=len(rewritten), changed=changed))

    def judge(self, step: str, rule: Callable[[Row], Removal | None]) -> None:
        verdicts = {index: removal for index, row in enumerate(self.rows) if (removal := rule(row)) is not None}
        self.remove(step, verdicts)

    def remove(self, step: str, verdicts: Mapping[int, Removal]) -> None:
        before = self.rows
        self.rows = [row for index, row in enumerate(before) if index not in verdicts]
        self.removed += [
            RemovedRow(before[index].row_id, removal, _recognisable(before[index]))
            for index, removal in sorted(verdicts.items())
        ]
        reasons = Counter(removal.reason.value for removal in verdicts.values())
        self.steps.append(
            StepRecord(step=step, rows_in=len(before), rows_out=len(self.rows), removed=dict(sorted(reasons.items())))
        )


def count_by_reason(removed: Sequence[RemovedRow], broken_rows: int) -> dict[str, int]:
    """Rows removed by RemovalReason, with those that the import could not read."""
    counts = Counter(row.removal.reason.value for row in removed)
    if broken_rows:
        counts[RemovalReason.BROKEN_ROW.value] += broken_rows
    return dict(sorted(counts.items()))


def count_by_kind(masked: Sequence[MaskedItem]) -> dict[str, int]:
    """Replacements by kind, e.g. {"전화번호": 12}."""
    return dict(sorted(Counter(item.kind.value for item in masked).items()))


def describe(rows: Sequence[PreparedRow]) -> JsonObject:
    """Statistics of a dataset version that a dashboard draws."""
    by_split: JsonObject = {}
    for split in Split:
        part = [prepared for prepared in rows if prepared.split is split]
        categories = Counter(prepared.row.category for prepared in part)
        by_split[split.value] = {
            "rows": len(part),
            "categories": dict(sorted(categories.items())),
            "question_characters": _quantiles([len(prepared.row.question) for prepared in part]),
            "answer_characters": _quantiles([len(prepared.row.answer) for prepared in part]),
            "quality_score": _quantiles([prepared.quality_score for prepared in part]),
        }
    sources = Counter(prepared.row.source for prepared in rows)
    return {"splits": by_split, "sources": len(sources), "largest_sources": dict(sources.most_common(20))}


def _quantiles(values: Sequence[float]) -> JsonObject:
    ordered = sorted(values)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {
        "min": ordered[0],
        "p25": ordered[round(last * 0.25)],
        "median": ordered[round(last * 0.5)],
        "p75": ordered[round(last * 0.75)],
        "max": ordered[-1],
        "mean": round(sum(ordered) / len(ordered), 4),
    }


def _mask_row(row: Row) -> tuple[Row, list[MaskedItem]]:
    """The row without personal data in its turns, category and source; other metadata are left behind."""
    texts = [message.content for message in row.messages]
    places = [f"messages[{index}].content" for index in range(len(texts))]
    results = mask([*texts, row.category, row.source])
    items = [
        MaskedItem(row.row_id, datum.kind, where)
        for where, result in zip([*places, "category", "source"], results, strict=True)
        for datum in result.found
    ]
    if not items:
        return row, items
    messages = tuple(
        replace(message, content=result.text) for message, result in zip(row.messages, results, strict=False)
    )
    metadata: JsonObject = {**row.metadata, "category": results[-2].text, "source": results[-1].text}
    return replace(row, messages=messages, metadata=metadata), items


def _recognisable(row: Row) -> str:
    masked = mask([row.question])[0].text
    return masked if len(masked) <= 100 else masked[:100] + "…"
