"""What an A/B test has decided, and how far that is carried out."""

from datetime import datetime

from pydantic import Field

from contracts.arms import ArmName
from contracts.enums import Arm, DecisionCause, ExperimentPolicy
from contracts.experiment_verdicts import DecisionLook, ExperimentState, GuardrailReading, SampleRatioReading
from contracts.promotions import ACTOR_LENGTH, REASON_LENGTH
from contracts.record import JsonObject, Record
from contracts.several_arms import SeveralArmsState


class MonitoredState(Record):
    """An experiment between two looks of the monitor, with everything that it watches."""

    experiment: ExperimentState
    """Of a test with one challenger."""
    several: SeveralArmsState | None = None
    """Of a test with several."""
    guardrails: list[GuardrailReading] = []
    sample_ratio: SampleRatioReading | None = None

    @property
    def looks(self) -> int:
        """Looks so far."""
        return self.experiment.looks if self.several is None else self.several.looks

    @property
    def is_held(self) -> bool:
        """Users do not fall into the arms as planned: no comparison of them is believed."""
        return self.sample_ratio is not None and self.sample_ratio.is_alarming

    @property
    def breached(self) -> list[GuardrailReading]:
        """Guardrails in which a challenger does harm."""
        return [reading for reading in self.guardrails if reading.is_breached]


class PersonsAnswer(Record):
    """What a person said to a decision."""

    winner: ArmName | None
    """None: nobody wins, the present model stays."""
    actor: str
    reason: str
    override: bool = False
    """Promote also where the gate has not let the version pass."""
    answered_at: datetime


class ExperimentDecision(Record):
    """One row of ab_experiment_decisions: the first stays, whatever comes later."""

    experiment_id: int
    winner: ArmName | None
    """None: no relevant difference, inconclusive, or stopped without one. The present model then stays."""
    control: ArmName = Arm.A.value
    """Arm of the present model."""
    cause: DecisionCause
    reason: str
    """One sentence, in English."""
    look: DecisionLook | None
    """The look that decided, of the winner where there are several challengers; None where a guardrail or a person did."""
    guardrails: list[str] = []
    """Names of those that were breached."""
    actor: str
    decided_at: datetime
    answer: PersonsAnswer | None = None
    obstacle: JsonObject | None = None
    """The error for which it is not carried out yet."""
    carried_out_at: datetime | None = None
    """The registry, the traffic and the results follow the decision since then."""

    @property
    def chosen(self) -> str | None:
        """Who gets the traffic: the person's choice where there is one."""
        return self.winner if self.answer is None else self.answer.winner

    @property
    def is_promotion(self) -> bool:
        """It would put a challenger into production."""
        return self.winner not in {None, self.control}

    @property
    def decided_by(self) -> str:
        """Who answers for it: the person where one has answered."""
        return self.actor if self.answer is None else self.answer.actor


class MonitorABTestRequest(Record):
    """Look at running experiments and carry out what they have decided."""

    experiment_id: int | None = Field(default=None, ge=1, title="A/B 테스트 번호")
    """한 A/B 테스트만 볼 때 번호를 넣습니다. 비워 두면 진행 중인 모든 테스트를 봅니다."""


class AskABTestRequest(Record):
    """Ask a person how an experiment ends: what the DAG `conclude_ab_test` is told."""

    experiment_id: int = Field(ge=1, title="A/B 테스트 번호")
    """끝낼 A/B 테스트의 번호입니다. 대시보드의 A/B 테스트 화면에서 볼 수 있습니다."""


class ConcludeABTestRequest(Record):
    """A person ends an experiment: the answer to its decision, or a decision of their own."""

    experiment_id: int = Field(ge=1)
    winner: ArmName | None
    """None: nobody wins, the present model stays."""
    actor: str = Field(min_length=1, max_length=ACTOR_LENGTH)
    reason: str = Field(min_length=1, max_length=REASON_LENGTH)
    override: bool = False
    """Promote also where the gate has not let the version pass; audited as an override."""


class MonitoredExperiment(Record):
    """One experiment after a look."""

    experiment_id: int
    experiment_name: str
    looks: int
    users_a: int
    """Of the control who count, at the last look."""
    users_b: int
    """Of the challengers together."""
    dropped: list[str] = []
    """Arms that get no more users."""
    is_held: bool
    policy: ExperimentPolicy
    decision: ExperimentDecision | None
    needs_answer: bool
    """A person has to say whether it is carried out."""


class MonitorReport(Record):
    """What a run of the monitor found and did."""

    experiments: list[MonitoredExperiment]
    undeployed: list[int] = []
    """Models that have lost and have left service."""
    notifications_delivered: int
    notifications_waiting: int
