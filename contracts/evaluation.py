"""Evaluation of a fine-tuned model against its base, and the gate."""

from pydantic import Field

from contracts.enums import GateDecision, Metric, ServerBackend
from contracts.record import Record


class TestCase(Record):
    """A question with the answers that count as right."""

    __test__ = False

    id: str
    question: str = Field(min_length=1)
    accepted_answers: list[str] = Field(min_length=1)
    category: str = "general"
    attribute: str | None = None


class EvaluateRequest(Record):
    """Ask base and tuned model the same questions, as they will be served."""

    job_id: int = Field(ge=1)
    """Finished fine-tuning job."""
    test_suite: str | None = None
    """File of test cases; None takes the dataset version's own test split."""
    extra_suites: list[str] = []
    """Files reported beside the main suite: unseen question forms, what the base knew before."""
    num_gpus: int = Field(default=1, ge=1, le=8)
    max_cases: int | None = Field(default=None, ge=1)
    """A slice of each suite, for a trial; the report says so."""
    max_answer_tokens: int = Field(default=128, ge=1, le=8192)
    """Tokens an answer may have; what goes on longer is cut off and judged as it stands."""


class Interval(Record):
    """A 95 % interval, bounds in the unit of the estimate."""

    lower: float
    upper: float
    method: str = "wilson"


class Accuracy(Record):
    """Right answers of one model on one suite."""

    n: int
    correct: int
    accuracy: float
    interval: Interval
    by_category: dict[str, float]


class CaseResult(Record):
    """One question, both answers."""

    case_id: str
    question: str
    category: str
    accepted_answers: list[str]
    base_answer: str
    tuned_answer: str
    base_correct: bool
    tuned_correct: bool


class SuiteReport(Record):
    """Base and tuned model on one suite of test cases."""

    name: str
    path: str
    sha256: str
    base: Accuracy
    tuned: Accuracy
    mcnemar_p: float
    """Exact two-sided McNemar test on the discordant pairs."""
    won: int
    lost: int
    excluded: dict[str, int] = {}
    """Cases not asked, by reason."""


class EvaluationReport(Record):
    """All suites of one evaluation; one row of model_evaluations."""

    evaluation_id: int
    job_id: int
    backend: ServerBackend
    served_model_name: str
    main: SuiteReport
    extras: list[SuiteReport]
    unstable_answers: int
    """Answers that differed when the same question was asked twice at temperature 0, out of `repeated_answers`."""
    repeated_answers: int
    seconds: float


class GateRequest(Record):
    """Compare an evaluation with the bar."""

    evaluation_id: int = Field(ge=1)
    accuracy_bar: float = Field(default=0.90, gt=0, lt=1)
    metric: Metric = Metric.ACCURACY


class GateVerdict(Record):
    """May the model go on?"""

    evaluation_id: int
    decision: GateDecision
    metric: Metric
    accuracy_bar: float
    accuracy: float
    interval: Interval
    lower_bound_one_sided: float
    """One-sided 95 % Clopper-Pearson lower bound of the accuracy."""
    n: int
    reasons: list[str]
    """Sentences a person reads, in Korean."""

    @property
    def passed(self) -> bool:
        """The pipeline goes on to register."""
        return self.decision is GateDecision.PASS
