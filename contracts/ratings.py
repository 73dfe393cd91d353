"""Answers put up for experts, what experts and judges said of them, and how far they agree."""

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from contracts.enums import MeasurementLevel, Preference, RatingKind
from contracts.evaluation import Interval
from contracts.judging import HIGHEST_SCORE, JUDGE_PREFIX, LOWEST_SCORE
from contracts.record import JsonObject, Record
from contracts.training import NAME_PATTERN

SCORES = tuple(str(score) for score in range(LOWEST_SCORE, HIGHEST_SCORE + 1))


class RatingItem(Record):
    """One answer, or two side by side."""

    item_key: str
    """Of the question and the answers: the same ones in another task are the same item."""
    case_id: str
    category: str
    question: str
    accepted_answers: list[str] = []
    rubric: str = ""
    answer_a: str
    answer_b: str | None = None
    source_document: str | None = None


class RatingTask(Record):
    """Items that experts and judges rate. Its folder holds them; it never changes."""

    name: str = Field(pattern=NAME_PATTERN)
    kind: RatingKind
    suite_name: str
    model_a: str
    """Not shown to who rates."""
    model_b: str | None
    items: int
    sha256: str
    """Of the items."""
    created_by: str
    created_at: datetime

    @property
    def values(self) -> tuple[str, ...]:
        """What a rating may say."""
        return tuple(Preference) if self.kind is RatingKind.PAIRWISE else SCORES


class PutUpRequest(Record):
    """Put answers up for rating: both models' answers of an evaluation, or a file of answers."""

    name: str = Field(pattern=NAME_PATTERN)
    kind: RatingKind = RatingKind.PAIRWISE
    evaluation_id: int | None = Field(default=None, ge=1)
    """Base model is a, tuned model b; only b is rated by rubric."""
    result_ids: list[int] = Field(default=[], max_length=2)
    """Results on one suite: of a and b, or of the one model that is rated by rubric."""
    answers_file: str | None = None
    """JSON lines of `case_id`, `question`, `answer_a`, `answer_b` and what else an item has."""
    max_items: int | None = Field(default=None, ge=1)
    """A slice, the same for the same cases."""
    created_by: str = Field(default="cli", min_length=1, max_length=100)

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        given = [self.evaluation_id is not None, bool(self.result_ids), self.answers_file is not None]
        if sum(given) != 1:
            raise ValueError("one of evaluation_id, result_ids and answers_file")
        return self


class Rating(Record):
    """What one person or one judge said of one item."""

    item_key: str
    task: str
    suite_name: str
    case_id: str
    category: str
    rater: str = Field(min_length=1, max_length=255)
    value: str
    """A `Preference`, or a score from 1 to 5."""
    comment: str = ""
    details: JsonObject = {}
    """`shown_first`: which answer stood first or on the left."""
    rated_at: datetime | None = None

    @property
    def is_by_judge(self) -> bool:
        """A language model's, not a person's."""
        return self.rater.startswith(JUDGE_PREFIX)


class RatingCounts(Record):
    """How far a task is."""

    task: str
    items: int
    by_rater: dict[str, int]


class Coefficient(Record):
    """A measure of agreement; None where it is not defined, as when everybody always said the same."""

    value: float | None
    interval: Interval | None
    """95 %, from resampling items."""


class Agreement(Record):
    """How far raters agree on the items that at least two of them rated."""

    raters: list[str]
    items: int
    ratings: int
    observed: float | None
    """Share of pairs of ratings of one item that are the same."""
    level: MeasurementLevel
    """Of the alpha that decides."""
    alpha: dict[MeasurementLevel, Coefficient]
    """Krippendorff's alpha."""
    kappa: Coefficient | None
    """Cohen's kappa; only between two raters."""
    weighted_kappa: Coefficient | None
    """Quadratic weights; only for scores, between two raters."""

    @property
    def deciding(self) -> Coefficient:
        """The alpha at the level of the values."""
        return self.alpha[self.level]


class Confusion(Record):
    """Ratings of the same items by two sides, counted."""

    labels: list[str]
    counts: list[list[int]]
    """A row for each label of the experts, a column for each of the judge's."""


class JudgeAgreement(Record):
    """A judge beside the experts' common opinion."""

    judge: str
    agreement: Agreement
    """Between the judge and the common opinion, as two raters."""
    confusion: Confusion
    by_category: dict[str, Confusion]


class AgreementReport(Record):
    """A task's ratings compared."""

    task: RatingTask
    counts: RatingCounts
    experts: Agreement | None
    """Among the persons; None with fewer than two."""
    judges: list[JudgeAgreement]


class JudgeLicence(Record):
    """May this judge's verdicts decide a gate?"""

    judge: str
    may_gate: bool
    alpha: Coefficient
    items: int
    bar: float
    min_items: int
    reason: str
    """A sentence a person reads, in Korean."""
