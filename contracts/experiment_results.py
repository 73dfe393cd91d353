"""What an A/B test shows so far."""

from datetime import datetime
from enum import StrEnum

from contracts.arms import ArmName, DropCause
from contracts.enums import Arm, DecisionCause, ExperimentStatus
from contracts.evaluation import Interval
from contracts.experiment_decisions import ExperimentDecision
from contracts.experiment_verdicts import (
    DecisionLook,
    DecisionPlan,
    ExperimentVerdict,
    GuardrailReading,
    SampleRatioReading,
)
from contracts.experiments import ABExperiment
from contracts.record import Record


class ArmSummary(Record):
    """One arm's answers and ratings."""

    arm: ArmName
    model_id: int
    dropped_at: datetime | None = None
    """From then on it got no more users."""
    drop_cause: DropCause | None = None
    samples: int
    """Answers given."""
    users: int
    ratings: int
    mean_rating: float | None
    """1 to 5; None before the first rating."""
    rating_interval: Interval | None
    """95 % t interval of the mean rating, over users; None before the second user who rated. Valid once."""
    mean_response_time_ms: float | None


class RatingComparison(Record):
    """A challenger's (B's) mean rating minus the control's (A's), by the classical test over users. Shown; it decides nothing."""

    difference: float
    interval: Interval
    """95 % interval of the difference (Welch, delta method over users)."""
    t_statistic: float
    degrees_of_freedom: float
    p_value: float
    """Two-sided Welch t-test."""
    is_fixed_horizon: bool = True
    """Valid once, at the planned size: looking again and again until it is small finds winners where there are none."""
    planned_size_reached: bool
    """The planned users are there: now is the moment at which the p value may be read."""


class ResponseTimeComparison(Record):
    """How much longer B's answers take than A's: geometric mean of B by that of A, by users."""

    ratio: float
    """1.1: B takes ten per cent longer."""
    lower: float
    upper: float
    """Of the ratio, with 95 %, valid at every look."""


class ChallengerResult(Record):
    """One challenger against the control, which are B and A here."""

    arm: ArmName
    verdict: ExperimentVerdict
    """Its own, with one error rate over all challengers. Once there is one it stays."""
    is_taken_out: bool = False
    """A guardrail or a person has dropped it."""
    look: DecisionLook
    """Its interval, over users, valid at any time and for all challengers at once."""
    adjusted_p: float | None = None
    """By Holm over all challengers; None where there is one."""
    corrected_difference: float | None
    response_time: ResponseTimeComparison | None


class Outcome(StrEnum):
    """What can be said of a test in one sentence."""

    OPEN = "open"
    """No challenger is shown to be better, and some are still compared."""
    LEADS = "leads"
    """One is shown to be better; others are still compared."""
    PROMOTES = "promotes"
    """Decided: a challenger takes the traffic."""
    KEEPS = "keeps"
    """Decided: every challenger is worse or does harm."""
    NOBODY = "nobody"
    """Decided: no challenger is shown to be better."""
    ENDED = "ended"
    """It ended before it could be decided."""


class ExperimentResults(Record):
    """An A/B test with what it has gathered."""

    experiment: ABExperiment
    arms: list[ArmSummary]
    plan: DecisionPlan
    look: DecisionLook
    """The verdict on ratings as of now, over users, valid at any time; of `headline` where there are several challengers."""
    headline: ArmName = Arm.B.value
    """The challenger that look, comparison and response time are about: the winner, else the one ahead of the others."""
    challengers: list[ChallengerResult] = []
    """Each against the control."""
    corrected_difference: float | None
    """The look's difference without the exaggeration of early stopping."""
    comparison: RatingComparison | None
    """The classical test; None while it cannot be computed; `missing` then says why."""
    response_time: ResponseTimeComparison | None
    mixed_users: int
    """Users put aside because two arms answered them, those of a dropped arm who came back among them."""
    missing: str | None
    """What has to come in before the arms can be compared, in Korean."""
    guardrails: list[GuardrailReading] = []
    """As the monitor read them last."""
    sample_ratio: SampleRatioReading | None = None
    decision: ExperimentDecision | None = None
    """None until a verdict, a guardrail or a person ended the test."""

    @property
    def open_challengers(self) -> list[ChallengerResult]:
        """Those that are still compared."""
        return [
            each for each in self.challengers if each.verdict is ExperimentVerdict.KEEP_GOING and not each.is_taken_out
        ]

    @property
    def outcome(self) -> Outcome:
        """The sentence that fits; with PROMOTES and LEADS it is about `headline`."""
        decision = self.decision
        if decision is not None:
            if decision.cause is DecisionCause.SCHEDULE:
                return Outcome.ENDED
            if decision.winner is None:
                return Outcome.NOBODY
            return Outcome.KEEPS if decision.winner == decision.control else Outcome.PROMOTES
        if self.experiment.status is not ExperimentStatus.RUNNING:
            return Outcome.ENDED
        shown = next((each for each in self.challengers if each.arm == self.headline), None)
        is_shown = shown is not None and shown.verdict is ExperimentVerdict.BETTER_B and not shown.is_taken_out
        return Outcome.LEADS if is_shown else Outcome.OPEN

    @property
    def more_users_needed(self) -> int | None:
        """Users of the control and a challenger together that are still needed, about, for the last of the open ones."""
        needed = [each.look.more_users_needed for each in self.open_challengers]
        return max((users for users in needed if users is not None), default=None)
