"""Evaluation of a fine-tuned model against its base, and the gate."""

from typing import Self

from pydantic import Field, model_validator

from contracts.enums import GateDecision, Metric, ServerBackend
from contracts.record import JsonObject, Record


class TestCase(Record):
    """A question and what counts as a right answer to it."""

    __test__ = False

    id: str
    question: str = Field(min_length=1)
    accepted_answers: list[str] = []
    """Each alone is right. Empty only where the scorer judges by something else: a pattern, a rubric."""
    category: str = "general"
    attribute: str | None = None
    scorer: str = Field(default="contains", pattern=r"^[a-z][a-z0-9_]{0,49}$")
    """Name of the scorer in `evaluation/scorers`."""
    options: JsonObject = {}
    """What the scorer reads: `{"tolerance": 0.01}`, `{"pattern": "^제\\d+조"}`, `{"rubric": "..."}`."""
    pass_score: float = Field(default=1.0, gt=0, le=1)
    """Score from which a graded answer counts as right."""
    choices: list[str] = []
    """Of a multiple choice question; the accepted answer is one of them."""
    system_prompt: str | None = None
    """Instead of the one that the evaluation gives to all cases."""
    source_document: str | None = None
    """Document the case was written from: cases of one document are not independent of each other."""
    note: str = ""

    @model_validator(mode="after")
    def _has_something_to_judge_by(self) -> Self:
        if not self.accepted_answers and not self.options:
            raise ValueError("accepted_answers: at least one, or options that the scorer judges by")
        return self


def require_whole_judge(url: str | None, model: str | None) -> None:
    """A judge is an address and a model, or there is none. Raises ValueError, for validators."""
    if (url is None) != (model is None):
        raise ValueError("a judge is named by judge_url and judge_model together")


SUITE_REFERENCE_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,99}(@[0-9]{1,6})?$"


class EvaluateRequest(Record):
    """Ask base and tuned model the same questions, as they will be served."""

    job_id: int = Field(ge=1)
    """Finished fine-tuning job."""
    test_suite: str | None = None
    """File of test cases, or name of a managed suite (`rules`, `rules@3`); None takes the dataset version's own test split."""
    extra_suites: list[str] = []
    """Files or managed suites reported beside the main one: unseen question forms, what the base knew before."""
    num_gpus: int = Field(default=1, ge=1, le=8)
    max_cases: int | None = Field(default=None, ge=1)
    """A slice of each suite, for a trial; the report says so."""
    max_answer_tokens: int = Field(default=128, ge=1, le=8192)
    """Tokens an answer may have; what goes on longer is cut off and judged as it stands."""
    judge_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    """OpenAI-compatible endpoint of the judge, for cases that a rubric scores. Without one these are excluded."""
    judge_model: str | None = Field(default=None, max_length=500)

    @model_validator(mode="after")
    def _names_the_judge_whole(self) -> Self:
        require_whole_judge(self.judge_url, self.judge_model)
        return self


class AskEvaluationRequest(Record):
    """By which questions a registered version is judged again; without any, by its dataset version's test split."""

    test_dataset_id: int | None = Field(default=None, ge=1, lt=2**31)
    """A dataset version; its test split is asked."""
    test_suite: str | None = Field(default=None, pattern=SUITE_REFERENCE_PATTERN)
    """A managed suite: rules, or rules@3."""
    accuracy_bar: float = Field(default=0.90, gt=0, lt=1)


class AskedEvaluation(Record):
    """An evaluation that has begun in Airflow."""

    model_id: int
    job_id: int
    """The job that made the version; its evaluations are the version's."""
    dag_id: str
    dag_run_id: str


class Interval(Record):
    """A 95 % interval, bounds in the unit of the estimate."""

    lower: float
    upper: float
    method: str = "wilson"
    """wilson of a share, tango of the difference of two that were asked the same."""


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


class AccuracyLost(Record):
    """What a compression costs on one suite: parent less compressed, over the same questions."""

    suite: str
    suite_sha256: str
    parent: Accuracy
    compressed: Accuracy
    lost: float
    """Accuracy of the parent less that of the compressed model: below zero where it gained."""
    interval: Interval
    """Of `lost`."""
    newly_wrong: int
    newly_right: int
    mcnemar_p: float
    """Exact and two-sided: how often as large a difference arises where there is none."""


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
    parent_job_id: int | None = None
    """Of a compressed model: the job whose model was asked as the "base", from which it was made; None of others."""
    judge: str | None = None
    """Judge model, prompt and sampling, where a judge scored cases of the main suite."""
    judged_cases: int = 0


class GateRequest(Record):
    """Compare an evaluation with the bar, with the version in production, and with what was trained on."""

    evaluation_id: int = Field(ge=1)
    accuracy_bar: float = Field(default=0.90, gt=0, lt=1)
    metric: Metric = Metric.ACCURACY
    model_name: str | None = Field(default=None, max_length=255)
    """Name under which the model would be registered: its version in production is compared with. None compares with none."""
    max_category_drop: float = Field(default=0.05, ge=0, le=1)
    """A category that falls further behind the version in production, beyond chance, fails the model."""
    contamination_override: str | None = Field(default=None, min_length=10, max_length=2000)
    """Why test cases that were trained on may count all the same. Kept in the audit log."""
    actor: str = Field(default="pipeline", max_length=255)
    """Who asks; the audit log names them."""


class CategoryComparison(Record):
    """Candidate and production within one category."""

    category: str
    n: int
    production: float
    candidate: float
    won: int
    lost: int
    p_value: float
    """One-sided exact sign test on the discordant pairs: chance of so many lost ones without a difference."""
    regressed: bool
    """Fell by more than allowed, and not by chance (p < 0.05)."""


class ProductionComparison(Record):
    """The candidate against the version in production, on the same cases asked the same way."""

    model_id: int
    title: str
    """`regulations-assistant v3`."""
    n: int = 0
    """Cases that both answered; 0 where they cannot be compared, and `missing` says why."""
    production: float | None = None
    candidate: float | None = None
    won_cases: list[str] = []
    lost_cases: list[str] = []
    mcnemar_p: float | None = None
    """Exact, two-sided."""
    categories: list[CategoryComparison] = []
    missing: str | None = None
    """Why there is no comparison and what to do, in Korean."""


class GateContamination(Record):
    """What of the suite was trained on."""

    report_id: int
    contaminated: int
    n: int
    """Cases that were not trained on."""
    correct: int
    """Right answers among these."""
    override_reason: str | None = None


class GateVerdict(Record):
    """May the model go on?"""

    evaluation_id: int
    decision: GateDecision
    metric: Metric
    accuracy_bar: float
    accuracy: float
    interval: Interval
    lower_bound_one_sided: float
    """One-sided 95 % score bound (Wilson) of the accuracy."""
    n: int
    reasons: list[str]
    """Sentences a person reads, in Korean."""
    needed_correct: int | None = None
    """Fewest right answers of n that pass the point rule."""
    by_accuracy: GateDecision | None = None
    """What the point rule says, whichever rule decided."""
    by_lower_bound: GateDecision | None = None
    """What the lower bound says, whichever rule decided."""
    weaker_accuracy: float | None = None
    """Two points below the bar: 0.88 for 0.90."""
    weaker_passes: float | None = None
    """Chance that a model of that true accuracy passes the rule that decided."""
    cases_to_decide: int | None = None
    """How many more cases decide, if the share of right answers stays: None where decided, or where none would."""
    production: ProductionComparison | None = None
    contamination: GateContamination | None = None
    judge: str | None = None
    """The judge that scored some of the cases."""
    judge_may_gate: bool | None = None
    """It agrees with experts as far as the settings ask; None where no judge scored."""

    @property
    def passed(self) -> bool:
        """The pipeline goes on to register."""
        return self.decision is GateDecision.PASS
