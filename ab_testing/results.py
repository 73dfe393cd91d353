"""What an experiment's sufficient statistics say."""

import math

from scipy import stats

from ab_testing.boundary_crossing import corrected_difference
from ab_testing.comparison import Difference, compare
from ab_testing.confidence_sequence import sequence_bounds
from ab_testing.decision import judge
from ab_testing.experiment_plan import SMALLEST_PLAN, decided_metric
from ab_testing.fixed_horizon import welch_test
from ab_testing.metrics import RESPONSE_TIME, USER_RATING, Metric
from ab_testing.moments import RatioSums, UnitMoments, variance_of
from contracts.enums import Arm
from contracts.evaluation import Interval
from contracts.experiment_decisions import ExperimentDecision, MonitoredState
from contracts.experiment_results import ArmSummary, ExperimentResults, RatingComparison, ResponseTimeComparison
from contracts.experiment_verdicts import DecisionPlan, NotComputable, NotComputableReason
from contracts.experiments import ABExperiment, ArmCounts, ExperimentUsers, UserSums

CONFIDENCE = 0.95


def plan_of(experiment: ABExperiment) -> DecisionPlan:
    """The experiment's own; without one, its target as the planned number of users who rate."""
    if experiment.plan is not None:
        return experiment.plan.decision
    return DecisionPlan(planned_users=max(SMALLEST_PLAN, experiment.target_samples))


def metric_of(experiment: ABExperiment) -> Metric:
    """What decides the experiment; ratings where it was started without a plan."""
    return USER_RATING if experiment.plan is None else decided_metric(experiment.plan.metric)


def compare_arms(metric: Metric, users: ExperimentUsers) -> Difference | NotComputable:
    """B against A in that metric, over users."""
    sums = users.log_response_times if metric is RESPONSE_TIME else users.ratings
    return compare(moments_of(sums[Arm.A]), moments_of(sums[Arm.B]))


def moments_of(sums: UserSums) -> UnitMoments:
    """The arm's statistics as PostgreSQL summed them."""
    return UnitMoments(
        users=sums.users,
        sums=RatioSums(sums.weight, sums.value, sums.weight_squared, sums.weight_value, sums.value_squared),
    )


def summarise_experiment(
    experiment: ABExperiment,
    counts: dict[Arm, ArmCounts],
    users: ExperimentUsers,
    monitored: MonitoredState | None = None,
    decision: ExperimentDecision | None = None,
) -> ExperimentResults:
    """Both arms and their comparison, as far as it can be computed; the look that decided stays as it was."""
    plan, metric = plan_of(experiment), metric_of(experiment)
    a, b = (moments_of(users.ratings[arm]) for arm in (Arm.A, Arm.B))
    difference = compare_arms(metric, users)
    look = judge(plan, difference, metric)
    if monitored is not None and monitored.experiment.is_decided and monitored.experiment.latest is not None:
        look = monitored.experiment.latest
    return ExperimentResults(
        experiment=experiment,
        arms=[
            summarise_arm(Arm.A, experiment.model_a_id, counts[Arm.A], a),
            summarise_arm(Arm.B, experiment.model_b_id, counts[Arm.B], b),
        ],
        plan=plan,
        look=look,
        corrected_difference=corrected_difference(plan, look),
        comparison=compare_ratings(a, b, planned_users=plan.planned_users),
        response_time=compare_response_times(users.log_response_times, plan),
        mixed_users=users.mixed_users,
        missing=_missing(difference) if isinstance(difference, NotComputable) else None,
        guardrails=[] if monitored is None else monitored.guardrails,
        sample_ratio=None if monitored is None else monitored.sample_ratio,
        decision=decision,
    )


def summarise_arm(arm: Arm, model_id: int, counts: ArmCounts, ratings: UnitMoments) -> ArmSummary:
    """One arm's means, with the interval of its mean rating."""
    return ArmSummary(
        arm=arm,
        model_id=model_id,
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


def compare_response_times(times: dict[Arm, UserSums], plan: DecisionPlan) -> ResponseTimeComparison | None:
    """By the logarithm, over users; None until each arm has as many users as a look takes."""
    found = compare(moments_of(times[Arm.A]), moments_of(times[Arm.B]))
    if isinstance(found, NotComputable) or min(found.users_a, found.users_b) < plan.minimum_users_per_arm:
        return None
    bounds = sequence_bounds(found, alpha=1 - CONFIDENCE, tuned_at_users=plan.tuning)
    return ResponseTimeComparison(
        ratio=math.exp(found.value), lower=math.exp(bounds.lower), upper=math.exp(bounds.upper)
    )


def _missing(found: NotComputable) -> str:
    if found.reason is NotComputableReason.NO_SPREAD:
        return "모든 평점이 같은 값이어서 아직 차이를 검정할 수 없습니다."
    return (
        "두 모델에 평점을 남긴 사용자가 각각 2명 이상이어야 비교할 수 있습니다. "
        f"현재 A {found.users_a}명, B {found.users_b}명입니다."
    )
