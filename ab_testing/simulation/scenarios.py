"""The scenarios: each simulates experiments of one kind and holds what it measures against its bar."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ab_testing.arm_shares import alarm_limits
from ab_testing.boundary_crossing import corrected_difference, plan_characteristics
from ab_testing.confidence_sequence import mixture_variance, one_sided_bound, two_sided_bound
from ab_testing.guardrails import (
    DEFAULT_GUARDRAILS,
    MINIMUM_USERS_PER_ARM,
    MeanGuardrail,
    failure_threshold,
    mean_evidence,
    mean_threshold,
)
from ab_testing.moments import Array, ratio_variance
from ab_testing.multiplicity import adjust_by_benjamini_hochberg, adjust_by_holm
from ab_testing.rating_scale import RatingSpread
from ab_testing.sample_ratio import PRIOR, THRESHOLD
from ab_testing.simulation.many_experiments import (
    NEVER,
    ManyDecisions,
    ManyLooks,
    after_each_block,
    decide,
    first_look,
    naive_winners,
    one_value_a_user,
)
from ab_testing.simulation.populations import draw_ratings, gather_crowd
from ab_testing.simulation.several_arms import decide_arms
from contracts.errors import InvalidRequestError
from contracts.experiment_verdicts import DecisionBasis, DecisionLook, DecisionPlan, ExperimentVerdict
from contracts.simulations import BarKind, ScenarioResult

EXPERIMENTS = 5000
QUICK_EXPERIMENTS = 400
_BATCH = 250
"""Experiments drawn at once: 250 x 4,000 looks are 8 MB an array."""
RATINGS = RatingSpread()
SEQUENCE = DecisionPlan(planned_users=4000, continuous_alpha=0.05, final_alpha=0, tuned_at_users=400)
"""Looks at every rating up to 2,000 an arm, no final test."""
HYBRID = DecisionPlan(planned_users=600)
EQUIVALENCE = DecisionPlan(planned_users=6000, continuous_alpha=0.05, final_alpha=0, tuned_at_users=600, margin=0.3)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A quantity of each experiment: its mean is the rate, or the middle of it the median."""

    name: str
    values: Array
    bar: float
    kind: BarKind
    is_median: bool = False
    contrast: dict[str, float] | None = None


Simulated = Sequence[_Measured]
Scenario = Callable[[np.random.Generator, int], Simulated]


def simulate(
    *, experiments: int = EXPERIMENTS, only: Sequence[str] | None = None, seed: int = 20261128
) -> Iterator[ScenarioResult]:
    """Every scenario's results, one by one as they come; the same seed gives the same numbers."""
    if experiments < 20:
        raise InvalidRequestError(
            "That few experiments measure nothing", value=experiments, allowed="20 and more", next_step="simulate more"
        )
    unknown = sorted(set(only or ()) - set(SCENARIOS))
    if unknown:
        raise InvalidRequestError(
            "There is no such scenario",
            value=", ".join(unknown),
            allowed=", ".join(SCENARIOS),
            next_step="name one of these",
        )
    for place, (name, scenario) in enumerate(SCENARIOS.items()):
        if only and name not in only:
            continue
        # a stream of its own for each scenario, so that one alone gives what it gives among all
        for measured in scenario(np.random.default_rng([seed, place]), experiments):
            yield _result(measured, seed)


def _result(measured: _Measured, seed: int) -> ScenarioResult:
    values = np.asarray(measured.values, dtype=float)
    count = len(values)
    if measured.is_median:
        value = float(np.median(values))
        # half of the distance between the order statistics one standard error away
        low, high = np.quantile(values, [0.5 - 0.5 / math.sqrt(count), 0.5 + 0.5 / math.sqrt(count)], method="nearest")
        error = float(high - low) / 2
    else:
        value = float(values.mean())
        error = float(values.std(ddof=1)) / math.sqrt(count)
    at_most = measured.kind is BarKind.AT_MOST
    return ScenarioResult(
        scenario=measured.name,
        measured=value,
        standard_error=error,
        bar=measured.bar,
        bar_kind=measured.kind,
        is_met=value <= measured.bar if at_most else value >= measured.bar,
        experiments=count,
        seed=seed,
        contrast={name: float(each) for name, each in (measured.contrast or {}).items()},
    )


def _at_most(name: str, values: Array | NDArray[np.bool_], bar: float, **contrast: float) -> _Measured:
    return _Measured(name, np.asarray(values, dtype=float), bar, BarKind.AT_MOST, contrast=contrast)


def _at_least(name: str, values: Array | NDArray[np.bool_], bar: float, **contrast: float) -> _Measured:
    return _Measured(name, np.asarray(values, dtype=float), bar, BarKind.AT_LEAST, contrast=contrast)


def _median_at_most(name: str, values: Array, bar: float, **contrast: float) -> _Measured:
    return _Measured(name, np.asarray(values, dtype=float), bar, BarKind.AT_MOST, is_median=True, contrast=contrast)


def _batches(experiments: int) -> Iterator[int]:
    for start in range(0, experiments, _BATCH):
        yield min(_BATCH, experiments - start)


def _joined(parts: list[ManyDecisions]) -> ManyDecisions:
    return ManyDecisions(*(np.concatenate([getattr(part, name) for part in parts]) for name in ManyDecisions.__slots__))


def _rated_looks(random: np.random.Generator, count: int, per_arm: int, effect: float) -> ManyLooks:
    a = draw_ratings(random, RATINGS, (count, per_arm))
    b = draw_ratings(random, RATINGS.moved(effect), (count, per_arm))
    return one_value_a_user(a, b)


def _rated_decisions(random: np.random.Generator, experiments: int, plan: DecisionPlan, effect: float) -> ManyDecisions:
    per_arm = plan.planned_users // 2
    return _joined([decide(plan, _rated_looks(random, count, per_arm, effect)) for count in _batches(experiments)])


def ratings_without_difference(random: np.random.Generator, experiments: int) -> Simulated:
    """The same model twice, a look at every rating up to 2,000 an arm."""
    decided, naive = [], []
    for count in _batches(experiments):
        looks = _rated_looks(random, count, SEQUENCE.planned_users // 2, 0)
        decided.append(decide(SEQUENCE, looks))
        naive.append(naive_winners(looks))
    yield_naive = float(np.concatenate(naive).mean())
    return [_at_most("ratings_without_difference", _joined(decided).has_winner, 0.05, t_test_at_every_look=yield_naive)]


def latency_without_difference(random: np.random.Generator, experiments: int) -> Simulated:
    """The same for log-normal response times, compared on the log scale."""
    found = []
    for sigma in (0.5, 1.0, 1.5):
        decided, naive = [], []
        for count in _batches(experiments):
            shape = (count, SEQUENCE.planned_users // 2)
            raw = [np.exp(6.7 + sigma * random.standard_normal(shape)) for _ in range(2)]
            looks = one_value_a_user(np.log(raw[0]), np.log(raw[1]))
            decided.append(decide(SEQUENCE, looks))
            naive.append(naive_winners(looks))
        found.append(
            _at_most(
                f"latency_without_difference_sigma_{sigma:g}",
                _joined(decided).has_winner,
                0.05,
                t_test_at_every_look=float(np.concatenate(naive).mean()),
            )
        )
    return found


def uneven_split_without_difference(random: np.random.Generator, experiments: int) -> Simulated:
    """The same for a split of 80:20, up to 4,000 users in all."""
    decided = []
    for count in _batches(experiments):
        a = draw_ratings(random, RATINGS, (count, 3200))
        b = draw_ratings(random, RATINGS, (count, 800))
        decided.append(decide(SEQUENCE, after_each_block(a, b, of_a=4, of_b=1)))
    return [_at_most("uneven_split_without_difference", _joined(decided).has_winner, 0.05)]


def hybrid_plan(random: np.random.Generator, experiments: int) -> Simulated:
    """The plan that decides real experiments, at 300 users an arm."""
    same = _rated_decisions(random, experiments, HYBRID, 0.0)
    better = _rated_decisions(random, experiments, HYBRID, 0.3)
    moved = RATINGS.moved(0.3)
    drift = 0.3 / math.sqrt((RATINGS.variance + moved.variance) / 300)
    expected, nothing = plan_characteristics(HYBRID, drift), plan_characteristics(HYBRID, 0.0)
    return [
        _at_most("hybrid_without_difference", same.has_winner, 0.05, by_integration=nothing.power),
        _at_least("hybrid_power", better.better_b, 0.85, by_integration=expected.right_winner),
        _at_most(
            "hybrid_mean_users_per_arm", better.users / 2, 255, by_integration=expected.expected_users / 2, fixed=300
        ),
        _at_most("hybrid_wrong_winner", better.better_a, 0.005),
    ]


def early_effect(random: np.random.Generator, experiments: int) -> Simulated:
    """The effect that is reported of experiments that stopped early, when the truth is 0.3."""
    decided = _rated_decisions(random, experiments, SEQUENCE, 0.3)
    stopped = np.flatnonzero(decided.better_b)
    corrected = np.array(
        [
            corrected_difference(
                SEQUENCE,
                DecisionLook(
                    verdict=ExperimentVerdict.BETTER_B,
                    basis=DecisionBasis.CONTINUOUS,
                    users_a=int(decided.users[place] / 2),
                    users_b=int(decided.users[place] / 2),
                    difference=float(decided.difference[place]),
                    standard_error=float(decided.standard_error[place]),
                ),
            )
            for place in stopped
        ],
        dtype=float,
    )
    raw = decided.difference[stopped]
    return [
        _at_most(
            "early_effect_overstated",
            corrected / 0.3 - 1,
            0.1,
            uncorrected=float(raw.mean() / 0.3 - 1),
            median=float(np.median(corrected) / 0.3 - 1),
        ),
        _at_most("early_effect_above_the_truth", corrected > 0.3, 0.53, uncorrected=float((raw > 0.3).mean())),
    ]


def sequence_alone(random: np.random.Generator, experiments: int) -> Simulated:
    """The confidence sequence without a final test: a difference of 0.3, and whether it covers the truth throughout."""
    users, by_400, covered = [], [], []
    rho_squared = mixture_variance(0.05, SEQUENCE.tuning)
    for count in _batches(experiments):
        looks = _rated_looks(random, count, SEQUENCE.planned_users // 2, 0.3)
        decided = decide(SEQUENCE, looks)
        users.append(decided.users / 2)
        by_400.append(decided.better_b & (decided.users <= 800))
        bound = two_sided_bound(looks.users, alpha=0.05, rho_squared=rho_squared)
        covered.append((np.abs(looks.value - 0.3) <= bound * np.sqrt(looks.variance)).all(axis=1))
    return [
        _at_most("sequence_mean_users_per_arm", np.concatenate(users), 270),
        _at_least("sequence_power_by_400_per_arm", np.concatenate(by_400), 0.8),
        _at_least("sequence_covers_the_truth_at_every_look", np.concatenate(covered), 0.95),
    ]


def no_relevant_difference(random: np.random.Generator, experiments: int) -> Simulated:
    """A margin of 0.3, up to 3,000 users an arm."""
    same = _rated_decisions(random, experiments, EQUIVALENCE, 0.0)
    better = _rated_decisions(random, experiments, EQUIVALENCE, 0.3)
    equal = same.no_relevant_difference
    return [
        _at_least("equivalence_found", equal, 0.95, winner=float(same.has_winner.mean())),
        _median_at_most("equivalence_median_users_per_arm", same.users[equal] / 2, 420),
        _at_least("equivalence_margin_does_not_hide_a_winner", better.better_b, 0.99),
    ]


def several_ratings_a_user(random: np.random.Generator, experiments: int) -> Simulated:
    """Five ratings a user, ICC 0.3, 400 users an arm, a look at every rating."""
    found = []
    for name, unequal, in_turn in (
        ("users_with_five_ratings", False, True),
        ("users_with_unequal_ratings", True, True),
        ("users_with_unequal_ratings_in_random_order", True, False),
    ):
        decided, raw = _crowd_winners(
            random, experiments, effect=0.0, unequal_counts=unequal, one_user_after_the_other=in_turn
        )
        found.append(
            _at_most(
                f"{name}_without_difference",
                decided < NEVER,
                0.05,
                t_test_of_ratings=float(raw.t_test.mean()),
                sequence_of_ratings=float(raw.sequence.mean()),
            )
        )
    users, _ = _crowd_winners(
        random, experiments, effect=0.3, unequal_counts=False, one_user_after_the_other=True, arms_looked_at=True
    )
    found.append(_at_most("users_with_five_ratings_mean_users_per_arm", np.minimum(users, 800) / 2, 130))
    return found


@dataclass(frozen=True, slots=True)
class _RatingsAsUnits:
    """Experiments with a false winner where each rating was taken for a user: what not to do."""

    t_test: NDArray[np.bool_]
    sequence: NDArray[np.bool_]


def _crowd_winners(
    random: np.random.Generator,
    experiments: int,
    *,
    effect: float,
    unequal_counts: bool,
    one_user_after_the_other: bool,
    arms_looked_at: bool = False,
) -> tuple[NDArray[np.int64], _RatingsAsUnits]:
    """Users of both arms at which each experiment found a winner, NEVER where it found none."""
    crowd = gather_crowd(
        random,
        experiments=experiments,
        users_per_arm=400,
        ratings_per_user=5,
        effect=effect,
        unequal_counts=unequal_counts,
        one_user_after_the_other=one_user_after_the_other,
    )
    rows = np.arange(experiments)
    counts, totals = np.zeros((2, experiments, crowd.opinions.shape[1]))
    # of each arm: users, weight, value, weight², weight x value, value², and the ratings' own squares
    sums = np.zeros((7, 2, experiments))
    plan = DecisionPlan(planned_users=800, continuous_alpha=0.05, final_alpha=0, tuned_at_users=400)
    rho_squared = mixture_variance(plan.continuous_alpha, plan.tuning)
    stopped = np.full(experiments, NEVER)
    as_units = _RatingsAsUnits(np.zeros(experiments, dtype=bool), np.zeros(experiments, dtype=bool))
    for moment in range(crowd.arrivals.shape[1]):
        user = crowd.arrivals[:, moment]
        comes = user >= 0
        rating = crowd.ratings_at(moment, random)
        arm = np.where(comes, user % 2, 0)
        count, total = counts[rows, user], totals[rows, user]
        more = np.stack(
            [
                (count == 0).astype(float),
                np.ones(experiments),
                rating,
                2 * count + 1,
                (count + 1) * (total + rating) - count * total,
                (2 * total + rating) * rating,
                rating * rating,
            ]
        )
        sums[:, arm, rows] += more * comes
        counts[rows, user] += comes
        totals[rows, user] += rating * comes
        if moment < 60:
            continue
        users, weight, value, weight2, cross, value2, squares = sums
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = np.abs(np.subtract(*(value / weight)))
            error = np.sqrt(ratio_variance(users, weight, value, weight2, cross, value2).sum(axis=0))
            raw_error = np.sqrt(ratio_variance(weight, weight, value, weight, value, squares).sum(axis=0))
            both = users.sum(axis=0)
            bound = two_sided_bound(both, alpha=plan.continuous_alpha, rho_squared=rho_squared)
            raw_bound = two_sided_bound(weight.sum(axis=0), alpha=plan.continuous_alpha, rho_squared=rho_squared)
            enough = users.min(axis=0) >= plan.minimum_users_per_arm
            won = enough & (difference > bound * error)
            as_units.t_test[:] |= enough & (difference > 1.96 * raw_error)
            as_units.sequence[:] |= enough & (difference > raw_bound * raw_error)
        stopped = np.where(won & (stopped == NEVER), both.astype(np.int64), stopped)
        if arms_looked_at and (stopped < NEVER).all():
            break
    return stopped, as_units


def guardrails(random: np.random.Generator, experiments: int) -> Simulated:
    """Failures, ratings and response times of up to 5,000 requests an arm, read after each pair."""
    _, ratings, latency = DEFAULT_GUARDRAILS
    false, false_at_two = [], []
    for count in _batches(experiments):
        shape = (count, 5000)
        alarm = np.zeros(count, dtype=bool)
        for guardrail in (ratings, latency):
            a, b = _guarded_values(random, guardrail, shape, 0.0)
            alarm |= _mean_alarms(guardrail, a, b) < NEVER
        false.append(alarm | (_failure_alarms(random, shape, 0.01, 0.01) < NEVER))
        false_at_two.append(alarm | (_failure_alarms(random, shape, 0.02, 0.02) < NEVER))
    caught: dict[str, list[NDArray[np.int64]]] = {"failures": [], "ratings": [], "latency": []}
    for count in _batches(experiments):
        caught["failures"].append(_failure_alarms(random, (count, 3000), 0.01, 0.05))
        caught["ratings"].append(_mean_alarms(ratings, *_guarded_values(random, ratings, (count, 1000), -0.5)))
        caught["latency"].append(_mean_alarms(latency, *_guarded_values(random, latency, (count, 2000), 0.25)))
    when = {name: np.concatenate(parts).astype(float) for name, parts in caught.items()}
    found_share = {name: float((each < NEVER).mean()) for name, each in when.items()}
    return [
        _at_most("guardrails_false_alarm_failures_1_percent", np.concatenate(false), 0.05),
        _at_most("guardrails_false_alarm_failures_2_percent", np.concatenate(false_at_two), 0.05),
        _median_at_most(
            "guardrails_failures_1_to_5_percent_median_requests_per_arm",
            when["failures"],
            200,
            caught_by_3000=found_share["failures"],
        ),
        _median_at_most(
            "guardrails_half_a_rating_point_median_per_arm", when["ratings"], 100, caught_by_1000=found_share["ratings"]
        ),
        _median_at_most(
            "guardrails_a_quarter_slower_median_requests_per_arm",
            when["latency"],
            600,
            caught_by_2000=found_share["latency"],
        ),
    ]


def _guarded_values(
    random: np.random.Generator, guardrail: MeanGuardrail, shape: tuple[int, int], change: float
) -> tuple[Array, Array]:
    if guardrail.metric.higher_is_better:
        return draw_ratings(random, RATINGS, shape), draw_ratings(random, RATINGS.moved(change), shape)
    a, b = (0.8 * random.standard_normal(shape) for _ in range(2))
    return a, b + math.log1p(change)


def _mean_alarms(guardrail: MeanGuardrail, a: Array, b: Array) -> NDArray[np.int64]:
    """Requests of an arm at the alarm."""
    looks = after_each_block(a, b, minimum=MINIMUM_USERS_PER_ARM)
    harm = -looks.value if guardrail.metric.higher_is_better else looks.value
    variance = looks.variance
    evidence = mean_evidence(guardrail, harm, variance)
    threshold = mean_threshold(guardrail, variance, np.broadcast_to(looks.users, variance.shape))
    found = first_look(evidence >= threshold)
    return np.where(found < NEVER, looks.users_a[np.minimum(found, len(looks.users_a) - 1)].astype(np.int64), NEVER)


def _failure_alarms(
    random: np.random.Generator, shape: tuple[int, int], rate_a: float, rate_b: float
) -> NDArray[np.int64]:
    """Requests of an arm at the alarm, each of a user of its own."""
    guardrail = DEFAULT_GUARDRAILS[0]
    in_a = np.cumsum(random.random(shape, dtype=np.float32) < rate_a, axis=1, dtype=np.int16)
    in_b = np.cumsum(random.random(shape, dtype=np.float32) < rate_b, axis=1, dtype=np.int16)
    most = int((in_a[:, -1] + in_b[:, -1]).max()) + 1
    limits = alarm_limits(np.full(most, 0.5), guardrail.prior, failure_threshold(guardrail, [0.5]))
    upper = np.concatenate([[np.inf], limits.upper])
    found = first_look(in_b >= upper[in_a + in_b])
    return np.where(found < NEVER, found + 1, NEVER)


def sample_ratio(random: np.random.Generator, experiments: int) -> Simulated:
    """The check after each of 10,000 assignments."""
    count = 10_000
    even, uneven = np.full(count, 0.5), np.full(count, 0.2)
    ramp = np.repeat([0.01, 0.05, 0.10, 0.25, 0.50], count // 5)
    lost = _ratio_alarms(random, experiments, even, np.full(count, 0.53))
    shifted = _ratio_alarms(random, experiments, uneven, np.full(count, 0.23))
    return [
        _at_most("sample_ratio_as_planned_50_50", _ratio_alarms(random, experiments, even, even) < NEVER, 0.01),
        _at_most("sample_ratio_as_planned_80_20", _ratio_alarms(random, experiments, uneven, uneven) < NEVER, 0.01),
        _at_most("sample_ratio_as_planned_in_a_ramp", _ratio_alarms(random, experiments, ramp, ramp) < NEVER, 0.01),
        _at_least("sample_ratio_47_53_found", lost < NEVER, 0.99),
        _median_at_most("sample_ratio_47_53_median_assignments", lost.astype(float), 3200),
        _at_least("sample_ratio_77_23_of_80_20_found", shifted < NEVER, 0.99),
    ]


def _ratio_alarms(random: np.random.Generator, experiments: int, planned: Array, real: Array) -> NDArray[np.int64]:
    limits = alarm_limits(planned, PRIOR, THRESHOLD)
    lower, upper = limits.lower.astype(np.int16), limits.upper.astype(np.int16)
    found = []
    for batch in _batches(experiments):
        arrived = random.random((batch, len(planned)), dtype=np.float32) < real.astype(np.float32)
        in_b = np.cumsum(arrived, axis=1, dtype=np.int16)
        found.append(first_look((in_b <= lower) | (in_b >= upper)))
    return np.concatenate(found)


def several_metrics(random: np.random.Generator, experiments: int) -> Simulated:
    """Four metrics without a difference, correlated by 0.3, at any of 20 looks; Holm over always-valid p values."""
    plain, false = [], []
    looks = np.arange(50, 1001, 50)
    correlation = 0.3 * np.ones((4, 4)) + 0.7 * np.eye(4)
    root = np.linalg.cholesky(correlation)
    for _ in range(experiments):
        # the walk of each metric's difference, over users of one arm, in standard deviations
        steps = root @ random.standard_normal((4, len(looks))) * math.sqrt(2 * 50)
        z = np.cumsum(steps, axis=1) / np.sqrt(2 * looks)
        p_values = _always_valid_p_values(z, (2 * looks).astype(np.float64))
        adjusted = [adjust_by_holm({str(place): float(p) for place, p in enumerate(column)}) for column in p_values.T]
        false.append(any(min(each.values()) < 0.05 for each in adjusted))
        plain.append((p_values < 0.05).any())
    return [_at_most("four_metrics_any_false_winner", np.array(false), 0.05, without_holm=float(np.mean(plain)))]


def several_arms(random: np.random.Generator, experiments: int) -> Simulated:
    """One control and three challengers in the hybrid plan, 300 users an arm, a look at every round of ratings."""
    false, unadjusted, beside, better, harmful, when = [], [], [], [], [], []
    per_arm = HYBRID.planned_users // 2
    for count in _batches(experiments):
        shape = (count, per_arm)
        same = [draw_ratings(random, RATINGS, shape) for _ in range(4)]
        decided = decide_arms(HYBRID, same[0], np.stack(same[1:]))
        false.append((decided.better | decided.worse).any(axis=0))
        one_by_one = [decide(HYBRID, after_each_block(same[0], each)).has_winner for each in same[1:]]
        unadjusted.append(np.any(one_by_one, axis=0))
        moved = [draw_ratings(random, RATINGS.moved(effect), shape) for effect in (0.4, -0.5)]
        decided = decide_arms(HYBRID, same[0], np.stack([same[1], *moved]))
        beside.append(decided.better[0] | decided.worse[0])
        better.append(decided.better[1])
        harmful.append(decided.worse[2])
        when.append(decided.users[2].astype(float))
    return [
        _at_most(
            "three_challengers_any_false_winner",
            np.concatenate(false),
            0.05,
            each_by_itself=float(np.concatenate(unadjusted).mean()),
        ),
        _at_most("three_challengers_false_winner_beside_real_ones", np.concatenate(beside), 0.05),
        _at_least("three_challengers_better_by_0.4_found", np.concatenate(better), 0.9),
        _at_least("three_challengers_worse_by_half_a_point_dropped", np.concatenate(harmful), 0.95),
        _median_at_most("three_challengers_worse_one_dropped_median_users_per_arm", np.concatenate(when), 200),
    ]


def segments(random: np.random.Generator, experiments: int) -> Simulated:
    """Eight segments of which two differ: the share of false ones among the segments found."""
    shares, found, plain = [], [], []
    for _ in range(experiments):
        z = random.standard_normal(8)
        z[:2] += 4.5
        p_values = _always_valid_p_values(z[:, None], np.array([400.0]))[:, 0]
        adjusted = adjust_by_benjamini_hochberg({str(place): float(p) for place, p in enumerate(p_values)})
        named = np.array([adjusted[str(place)] < 0.05 for place in range(8)])
        shares.append(named[2:].sum() / max(1, named.sum()))
        found.append(named[:2].mean())
        plain.append((p_values[2:] < 0.05).sum() / max(1, (p_values < 0.05).sum()))
    return [
        _at_most(
            "segments_share_of_false_ones",
            np.array(shares),
            0.05,
            without_adjustment=float(np.mean(plain)),
            real_ones_found=float(np.mean(found)),
        )
    ]


def _always_valid_p_values(z: Array, users: Array) -> Array:
    growth = users * mixture_variance(0.05, 400)
    p_values: Array = np.minimum(1.0, np.sqrt(growth + 1) * np.exp(-growth * z**2 / (2 * (growth + 1))))
    return p_values


def non_inferiority(random: np.random.Generator, experiments: int) -> Simulated:
    """B worse by exactly the margin of 0.3, and B as good, at every rating up to 1,000 an arm."""
    at_margin: list[NDArray[np.bool_]] = []
    as_good: list[NDArray[np.bool_]] = []
    for count in _batches(experiments):
        for effect, found in ((-0.3, at_margin), (0.0, as_good)):
            looks = _rated_looks(random, count, 1000, effect)
            bound = one_sided_bound(looks.users, alpha=0.05, rho_squared=mixture_variance(0.1, 400))
            found.append(np.asarray((looks.value - bound * np.sqrt(looks.variance) > -0.3).any(axis=1)))
    return [
        _at_most("non_inferiority_wrongly_shown", np.concatenate(at_margin), 0.05),
        _at_least("non_inferiority_shown_by_1000_per_arm", np.concatenate(as_good), 0.99),
    ]


def baseline_covariate(random: np.random.Generator, experiments: int) -> Simulated:
    """CUPED with a covariate that explains half of the spread: no false winners, half of the users."""
    winners, saved = [], []
    users = np.arange(2.0, 501)
    bound = two_sided_bound(2 * users, alpha=0.05, rho_squared=mixture_variance(0.05, 400))
    bound[users < SEQUENCE.minimum_users_per_arm] = np.inf
    for count in _batches(experiments):
        arms = []
        for _ in range(2):
            x = random.standard_normal((count, 500))
            y = math.sqrt(0.5) * x + math.sqrt(0.5) * random.standard_normal((count, 500))
            arms.append(_running_moments(x, y))
        (x_a, y_a, xx_a, xy_a, yy_a), (x_b, y_b, xx_b, xy_b, yy_b) = arms
        slope = (xy_a + xy_b) / (xx_a + xx_b)
        adjusted = y_b - y_a - slope * (x_b - x_a)
        variance = yy_a + yy_b - slope * (xy_a + xy_b)
        winners.append((np.abs(adjusted) > bound * np.sqrt(variance)).any(axis=1))
        saved.append(1 - variance[:, -1] / (yy_a + yy_b)[:, -1])
    return [
        _at_most("covariate_without_difference", np.concatenate(winners), 0.05),
        _at_least("covariate_share_of_variance_saved", np.concatenate(saved), 0.48),
    ]


def _running_moments(x: Array, y: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Means of x and y, and the squared errors and the covariance of these means, after each user from the second."""
    count = np.arange(1.0, x.shape[1] + 1)
    mean_x, mean_y = np.cumsum(x, axis=1) / count, np.cumsum(y, axis=1) / count
    freedom = count * np.maximum(count - 1, 1)
    moments = (
        (np.cumsum(left * right, axis=1) - count * mean_left * mean_right) / freedom
        for left, right, mean_left, mean_right in (
            (x, x, mean_x, mean_x),
            (x, y, mean_x, mean_y),
            (y, y, mean_y, mean_y),
        )
    )
    xx, xy, yy = (each[:, 1:] for each in moments)
    return mean_x[:, 1:], mean_y[:, 1:], xx, xy, yy


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        ratings_without_difference,
        latency_without_difference,
        uneven_split_without_difference,
        several_ratings_a_user,
        hybrid_plan,
        sequence_alone,
        early_effect,
        no_relevant_difference,
        guardrails,
        sample_ratio,
        several_metrics,
        segments,
        non_inferiority,
        baseline_covariate,
        several_arms,
    )
}
