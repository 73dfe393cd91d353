"""Two or more model versions side by side: scores, cases, configuration, data."""

from pydantic import JsonValue

from contracts.enums import PairedOutcome
from contracts.model_listings import ModelListing
from contracts.record import Record
from contracts.suites import ScoreEstimate


class ValueDifference(Record):
    """One thing that is not the same."""

    name: str
    """A condition (`engine`, `suite_sha256`), or a setting of the training (`method`, `hyperparameters.lora_rank`)."""
    reference: JsonValue
    """None where the reference has no such thing."""
    other: JsonValue


class PairedScore(Record):
    """One score of both, measured under the same conditions."""

    name: str
    reference: ScoreEstimate
    other: ScoreEstimate


class PairedCounts(Record):
    """The cases that both answered."""

    both_right: int
    won: int
    """Right with the other model alone."""
    lost: int
    """Right with the reference alone."""
    both_wrong: int
    reworded: int
    """Another answer, and as right or wrong as before."""
    mcnemar_p: float
    """Exact two-sided McNemar test on the cases won and lost."""

    @property
    def cases(self) -> int:
        """How many there are."""
        return self.both_right + self.won + self.lost + self.both_wrong


class CaseChange(Record):
    """A case that one of the two had right."""

    case_id: str
    category: str
    reference_answer: str
    other_answer: str


class PairedCase(Record):
    """A case that both answered."""

    case_id: str
    category: str
    question: str | None
    """None where the suite's cases are not kept."""
    expected: list[str]
    """Accepted answers; empty where they are not kept, or where a rubric or a pattern judges."""
    reference_answer: str
    other_answer: str
    outcome: PairedOutcome


class CategoryCounts(Record):
    """The cases of one category that both answered."""

    category: str
    counts: dict[PairedOutcome, int]
    """Outcomes that do not occur are left out."""


class ComparedCases(Record):
    """Some of the cases of a comparison."""

    categories: list[CategoryCounts]
    """Of all cases."""
    total: int
    """Cases of the outcome and category that were asked for."""
    cases: list[PairedCase]


class SuiteComparison(Record):
    """Both models on one suite. Scores are given only where the conditions were the same."""

    suite: str
    source: str
    """`suite` for a result on a suite, `evaluation` for a suite of a job's evaluation."""
    differing: list[ValueDifference]
    """The conditions that were not the same: the scores cannot be compared. Empty where they can."""
    scores: list[PairedScore] = []
    """The first one decides."""
    counts: PairedCounts | None = None
    """None where no cases are kept, or where nothing is right or wrong."""
    won: list[CaseChange] = []
    lost: list[CaseChange] = []
    """The first of each."""
    suite_version: int | None = None
    """None for one that is not a managed suite."""
    reference_id: int | None = None
    other_id: int | None = None
    """Of the two results, or of the two evaluations; None where no cases are kept."""

    @property
    def is_comparable(self) -> bool:
        """Measured under the same conditions."""
        return not self.differing


class DatasetComparison(Record):
    """What the two learnt from."""

    reference: str
    other: str
    is_same: bool
    added: int | None = None
    removed: int | None = None
    changed: int | None = None
    """Rows; None where they were not compared."""
    why_not: str = ""
    """Why rows were not compared."""


class ModelPair(Record):
    """The reference and one other version."""

    reference: str
    other: str
    suites: list[SuiteComparison]
    only_reference: list[str]
    """Suites that the reference alone was evaluated on."""
    only_other: list[str]
    configuration: list[ValueDifference]
    dataset: DatasetComparison | None
    """None where one of them was not made by a job."""


class ModelComparison(Record):
    """The first version beside each other one."""

    models: list[ModelListing]
    pairs: list[ModelPair]
