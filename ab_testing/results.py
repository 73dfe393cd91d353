"""What an experiment's sufficient statistics say."""

import math

from scipy import stats

from contracts.enums import Arm
from contracts.evaluation import Interval
from contracts.experiment_results import ArmSummary, ExperimentResults, RatingComparison
from contracts.experiments import ABExperiment, ArmCounts

CONFIDENCE = 0.95


def summarise_experiment(experiment: ABExperiment, counts: dict[Arm, ArmCounts]) -> ExperimentResults:
    """Both arms and their comparison, as far as it can be computed."""
    a, b = counts[Arm.A], counts[Arm.B]
    comparison = compare_ratings(a, b, target_samples=experiment.target_samples)
    return ExperimentResults(
        experiment=experiment,
        arms=[
            summarise_arm(Arm.A, experiment.model_a_id, a),
            summarise_arm(Arm.B, experiment.model_b_id, b),
        ],
        comparison=comparison,
        missing=None if comparison is not None else _missing(a, b),
    )


def summarise_arm(arm: Arm, model_id: int, counts: ArmCounts) -> ArmSummary:
    """One arm's means, with the interval of its mean rating."""
    return ArmSummary(
        arm=arm,
        model_id=model_id,
        samples=counts.samples,
        users=counts.users,
        ratings=counts.ratings,
        mean_rating=counts.mean_rating,
        rating_interval=mean_interval(counts),
        mean_response_time_ms=counts.mean_response_time_ms,
    )


def rating_variance(counts: ArmCounts) -> float | None:
    """Unbiased sample variance of the ratings; None before the second."""
    if counts.ratings < 2:
        return None
    spread = counts.sum_squared_rating - counts.sum_rating**2 / counts.ratings
    # sums of small integers are exact, their quotient is not: equal ratings would give -1e-13
    return max(0.0, spread) / (counts.ratings - 1)


def mean_interval(counts: ArmCounts) -> Interval | None:
    """95 % t interval of the mean rating; None before the second rating."""
    variance = rating_variance(counts)
    if variance is None or counts.mean_rating is None:
        return None
    half = _t_quantile(counts.ratings - 1) * math.sqrt(variance / counts.ratings)
    return Interval(lower=counts.mean_rating - half, upper=counts.mean_rating + half, method="t")


def compare_ratings(a: ArmCounts, b: ArmCounts, *, target_samples: int) -> RatingComparison | None:
    """Welch's t-test of b against a; None while an arm has fewer than two ratings, or no rating ever differed."""
    variance_a, variance_b = rating_variance(a), rating_variance(b)
    if variance_a is None or variance_b is None or variance_a + variance_b == 0:
        return None
    share_a, share_b = variance_a / a.ratings, variance_b / b.ratings
    difference = b.sum_rating / b.ratings - a.sum_rating / a.ratings
    standard_error = math.sqrt(share_a + share_b)
    # Welch-Satterthwaite
    degrees = (share_a + share_b) ** 2 / (share_a**2 / (a.ratings - 1) + share_b**2 / (b.ratings - 1))
    statistic = difference / standard_error
    half = _t_quantile(degrees) * standard_error
    return RatingComparison(
        difference=difference,
        interval=Interval(lower=difference - half, upper=difference + half, method="welch"),
        t_statistic=statistic,
        degrees_of_freedom=degrees,
        p_value=float(2 * stats.t.sf(abs(statistic), degrees)),
        planned_size_reached=a.ratings + b.ratings >= target_samples,
    )


def _t_quantile(degrees: float) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees))


def _missing(a: ArmCounts, b: ArmCounts) -> str:
    if min(a.ratings, b.ratings) < 2:
        return f"두 모델의 평점이 각각 2건 이상 모여야 비교할 수 있습니다. 현재 A {a.ratings}건, B {b.ratings}건입니다."
    return "모든 평점이 같은 값이어서 아직 차이를 검정할 수 없습니다."
