"""What an experiment's sufficient statistics say."""

import math
from collections.abc import Mapping, Sequence

from scipy import stats

from ab_testing.boundary_crossing import corrected_difference
from ab_testing.comparison import Difference, compare
from ab_testing.confidence_sequence import sequence_bounds
from ab_testing.decision import judge
from ab_testing.experiment_plan import SMALLEST_PLAN, decided_metric
from ab_testing.fixed_horizon import welch_test
from ab_testing.metrics import RESPONSE_TIME, USER_RATING, Metric
from ab_testing.moments import RatioSums, UnitMoments, variance_of
from ab_testing.several_arms import begin_arms, look_at_arms
from contracts.arms import ExperimentArm, arm_label
from contracts.evaluation import Interval
from contracts.experiment_decisions import ExperimentDecision, MonitoredState
from contracts.experiment_results import (
    ArmSummary,
    ChallengerResult,
    ExperimentResults,
    RatingComparison,
    ResponseTimeComparison,
)
from contracts.experiment_verdicts import DecisionPlan, ExperimentVerdict, NotComputable, NotComputableReason
from contracts.experiments import ABExperiment, ArmCounts, ExperimentUsers, UserSums
from contracts.several_arms import SeveralArmsPlan, SeveralArmsState

CONFIDENCE = 0.95


def plan_of(experiment: ABExperiment) -> DecisionPlan:
    """The experiment's own; without one, its target as the planned number of users who rate."""
    if experiment.plan is not None:
        return experiment.plan.decision
    return DecisionPlan(planned_users=max(SMALLEST_PLAN, experiment.target_samples))


def metric_of(experiment: ABExperiment) -> Metric:
    """What decides the experiment; ratings where it was started without a plan."""
    return USER_RATING if experiment.plan is None else decided_metric(experiment.plan.metric)


def compare_arms(metric: Metric, users: ExperimentUsers, control: str, challenger: str) -> Difference | NotComputable:
    """The challenger against the control in that metric, over users."""
    sums = _sums(metric, users)
    return compare(moments_of(sums[control]), moments_of(sums[challenger]))


def arms_moments(metric: Metric, users: ExperimentUsers) -> dict[str, UnitMoments]:
    """Each arm's statistics in that metric."""
    return {arm: moments_of(sums) for arm, sums in _sums(metric, users).items()}


def _sums(metric: Metric, users: ExperimentUsers) -> dict[str, UserSums]:
    return users.log_response_times if metric is RESPONSE_TIME else users.ratings


def moments_of(sums: UserSums) -> UnitMoments:
    """The arm's statistics as PostgreSQL summed them."""
    return UnitMoments(
        users=sums.users,
        sums=RatioSums(sums.weight, sums.value, sums.weight_squared, sums.weight_value, sums.value_squared),
    )


def several_arms_plan(experiment: ABExperiment) -> SeveralArmsPlan:
    """How a test with several challengers decides."""
    return SeveralArmsPlan(
        control=experiment.control.name,
        challengers=[arm.name for arm in experiment.challengers],
        decision=plan_of(experiment),
    )


def summarise_experiment(
    experiment: ABExperiment,
    counts: Mapping[str, ArmCounts],
    users: ExperimentUsers,
    monitored: MonitoredState | None = None,
    decision: ExperimentDecision | None = None,
) -> ExperimentResults:
    """All arms and each challenger's comparison, as far as it can be computed; a verdict stays as it was."""
    plan, control = plan_of(experiment), experiment.control.name
    if experiment.has_several_challengers:
        state = _several_as_of_now(experiment, users, monitored)
        challengers = [_one_of_several(experiment, name, state, users) for name in state.challengers]
        headline = _headline(metric_of(experiment), challengers, state.leader, decision)
    else:
        challengers = [_only_challenger(experiment, users, monitored)]
        headline = challengers[0]
    a, b = (moments_of(users.ratings[arm]) for arm in (control, headline.arm))
    not_computable = headline.look.not_computable
    return ExperimentResults(
        experiment=experiment,
        arms=[summarise_arm(arm, counts[arm.name], moments_of(users.ratings[arm.name])) for arm in experiment.arms],
        plan=plan,
        look=headline.look,
        headline=headline.arm,
        challengers=challengers,
        corrected_difference=headline.corrected_difference,
        comparison=compare_ratings(a, b, planned_users=plan.planned_users),
        response_time=headline.response_time,
        mixed_users=users.mixed_users,
        missing=None if not_computable is None else _missing(not_computable, control, headline.arm),
        guardrails=[] if monitored is None else monitored.guardrails,
        sample_ratio=None if monitored is None else monitored.sample_ratio,
        decision=decision,
    )


def _only_challenger(
    experiment: ABExperiment, users: ExperimentUsers, monitored: MonitoredState | None
) -> ChallengerResult:
    plan, metric = plan_of(experiment), metric_of(experiment)
    control, challenger = (arm.name for arm in experiment.arms)
    look = judge(plan, compare_arms(metric, users, control, challenger), metric)
    if monitored is not None and monitored.experiment.is_decided and monitored.experiment.latest is not None:
        look = monitored.experiment.latest
    return ChallengerResult(
        arm=challenger,
        verdict=look.verdict,
        look=look,
        corrected_difference=corrected_difference(plan, look),
        response_time=compare_response_times(users.log_response_times, control, challenger, plan),
    )


def _several_as_of_now(
    experiment: ABExperiment, users: ExperimentUsers, monitored: MonitoredState | None
) -> SeveralArmsState:
    """A look that nobody keeps, from where the monitor's last one left the test."""
    kept = None if monitored is None else monitored.several
    state = begin_arms(several_arms_plan(experiment)) if kept is None else kept
    metric = metric_of(experiment)
    dropped = [arm.name for arm in experiment.challengers if arm.dropped_at is not None]
    return look_at_arms(state, arms_moments(metric, users), metric, harmful=dropped)


def _one_of_several(
    experiment: ABExperiment, name: str, state: SeveralArmsState, users: ExperimentUsers
) -> ChallengerResult:
    found, count, control = state.challengers[name], len(state.challengers), experiment.control.name
    # its part of the error rate
    plan = state.plan.decision.model_copy(
        update={
            "continuous_alpha": state.plan.decision.continuous_alpha / count,
            "final_alpha": state.plan.decision.final_alpha / count,
        }
    )
    metric = metric_of(experiment)
    difference = compare_arms(metric, users, control, name)
    look = judge(plan, difference, metric) if found.latest is None else found.latest
    if found.verdict is ExperimentVerdict.KEEP_GOING:
        needed = None if found.harmful else judge(plan, difference, metric).more_users_needed
        look = look.model_copy(update={"verdict": found.verdict, "basis": None, "more_users_needed": needed})
    return ChallengerResult(
        arm=name,
        verdict=found.verdict,
        is_taken_out=found.harmful,
        look=look,
        adjusted_p=found.adjusted_p,
        corrected_difference=corrected_difference(plan, look),
        response_time=compare_response_times(users.log_response_times, control, name, plan, count),
    )


def _headline(
    metric: Metric, challengers: Sequence[ChallengerResult], leader: str | None, decision: ExperimentDecision | None
) -> ChallengerResult:
    """The chosen one, else the one shown to be better, else the one ahead of the others that are still there."""
    by_name = {found.arm: found for found in challengers}
    for name in (None if decision is None else decision.chosen, leader):
        if name in by_name:
            return by_name[name]
    sign = 1 if metric.higher_is_better else -1

    def standing(found: ChallengerResult) -> tuple[bool, float]:
        is_there = not found.is_taken_out and found.verdict is not ExperimentVerdict.BETTER_A
        difference = found.look.difference
        return is_there, -math.inf if difference is None else sign * difference

    return max(challengers, key=standing)


def summarise_arm(arm: ExperimentArm, counts: ArmCounts, ratings: UnitMoments) -> ArmSummary:
    """One arm's means, with the interval of its mean rating."""
    return ArmSummary(
        arm=arm.name,
        model_id=arm.model_id,
        dropped_at=arm.dropped_at,
        drop_cause=arm.drop_cause,
        samples=counts.samples,
        users=counts.users,
        ratings=counts.ratings,
        mean_rating=counts.mean_rating,
        rating_interval=mean_interval(ratings),
        mean_response_time_ms=counts.mean_response_time_ms,
    )


def mean_interval(ratings: UnitMoments) -> Interval | None:
    """95 % t interval of the mean rating over users; None before the second user."""
    variance, mean = variance_of(ratings), ratings.mean
    if variance is None or mean is None:
        return None
    half = float(stats.t.isf((1 - CONFIDENCE) / 2, ratings.users - 1)) * math.sqrt(variance)
    return Interval(lower=mean - half, upper=mean + half, method="t")


def compare_ratings(a: UnitMoments, b: UnitMoments, *, planned_users: int) -> RatingComparison | None:
    """Welch's t-test of b against a over users; None while it cannot be computed."""
    found = welch_test(a, b, planned_users=planned_users, confidence=CONFIDENCE)
    if isinstance(found, NotComputable):
        return None
    return RatingComparison(
        difference=found.difference,
        interval=Interval(lower=found.bounds.lower, upper=found.bounds.upper, method="welch"),
        t_statistic=found.t_statistic,
        degrees_of_freedom=found.degrees_of_freedom,
        p_value=found.p_value,
        planned_size_reached=found.planned_size_reached,
    )


def compare_response_times(
    times: Mapping[str, UserSums], control: str, challenger: str, plan: DecisionPlan, challengers: int = 1
) -> ResponseTimeComparison | None:
    """By the logarithm, over users; None until each arm has as many users as a look takes.

    With several challengers all their intervals hold together.
    """
    found = compare(moments_of(times[control]), moments_of(times[challenger]))
    if isinstance(found, NotComputable) or min(found.users_a, found.users_b) < plan.minimum_users_per_arm:
        return None
    bounds = sequence_bounds(found, alpha=(1 - CONFIDENCE) / challengers, tuned_at_users=plan.tuning)
    return ResponseTimeComparison(
        ratio=math.exp(found.value), lower=math.exp(bounds.lower), upper=math.exp(bounds.upper)
    )


def _missing(found: NotComputable, control: str, challenger: str) -> str:
    if found.reason is NotComputableReason.NO_SPREAD:
        return "모든 평점이 같은 값이어서 아직 차이를 검정할 수 없습니다."
    return (
        "두 모델에 평점을 남긴 사용자가 각각 2명 이상이어야 비교할 수 있습니다. "
        f"현재 {arm_label(control)} {found.users_a}명, {arm_label(challenger)} {found.users_b}명입니다."
    )
