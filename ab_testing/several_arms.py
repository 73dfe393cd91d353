"""More than two arms: each challenger against one control, with one error rate over all of them and all looks.

Each challenger has a p value that may be read at any look: the smaller of its always-valid p value and, once, its final
test's, each by its part of the error rate. Holm over the challengers' smallest p values so far keeps the chance of any
false finding below the plan's error rate at every look: the first one needs a true question's p value at or below the
error rate divided by the number of true questions. A challenger that is taken out counts on as a question.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from scipy import stats
from scipy.special import logsumexp

from ab_testing.arm_shares import SharePhase, log_evidence
from ab_testing.comparison import Difference, compare
from ab_testing.confidence_sequence import always_valid_p, sequence_bounds
from ab_testing.decision import final_bounds
from ab_testing.guardrails import DEFAULT_GUARDRAILS, Guardrail
from ab_testing.metrics import USER_RATING, Metric
from ab_testing.moments import UnitMoments
from ab_testing.multiplicity import adjust_by_holm
from ab_testing.planner import plan_size
from ab_testing.sample_ratio import PRIOR, THRESHOLD
from contracts.errors import InvalidRequestError
from contracts.experiment_plans import SizeRequest
from contracts.experiment_verdicts import (
    ArmArrivals,
    Bounds,
    DecisionBasis,
    DecisionLook,
    DecisionPlan,
    ExperimentVerdict,
    NotComputable,
    SampleRatioReading,
)
from contracts.several_arms import (
    MOST_CHALLENGERS,
    ChallengerState,
    SeveralArmsPlan,
    SeveralArmsSize,
    SeveralArmsState,
)


def begin_arms(plan: SeveralArmsPlan) -> SeveralArmsState:
    """An experiment that nobody has looked at."""
    return SeveralArmsState(plan=plan, challengers={name: ChallengerState() for name in plan.challengers})


def look_at_arms(
    state: SeveralArmsState,
    arms: Mapping[str, UnitMoments],
    metric: Metric = USER_RATING,
    *,
    harmful: Collection[str] = (),
) -> SeveralArmsState:
    """The state after a look at what each arm's users say; a verdict stays as it is.

    `harmful` are challengers that `take_out` takes out. Raises InvalidRequestError where an open arm is missing.
    """
    if state.is_decided:
        return state
    state = take_out(state, harmful)
    plan, open_ = state.plan, state.open
    missing = sorted({plan.control, *open_} - set(arms))
    if missing:
        raise InvalidRequestError(
            "Arms are missing at the look",
            value=", ".join(missing),
            allowed=f"the control {plan.control} and every open challenger",
            next_step="give an arm that nobody rated yet as UnitMoments without users",
        )
    found = {name: compare(arms[plan.control], arms[name]) for name in open_}
    known = dict(state.challengers)
    for name, difference in found.items():
        known[name] = _with_p(known[name], difference, plan, metric)
    adjusted = adjust_by_holm({name: each.smallest_p for name, each in known.items()})
    for name, difference in found.items():
        known[name] = _judged(known[name], difference, plan, adjusted[name], metric)
    return SeveralArmsState(plan=plan, looks=state.looks + 1, challengers=known)


def take_out(state: SeveralArmsState, harmful: Collection[str]) -> SeveralArmsState:
    """The state without challengers of which a guardrail or a person says so now; nobody has looked at the others.

    One that has a verdict keeps it, and wins nothing any more.
    """
    known = {
        name: each.model_copy(update={"harmful": True}) if name in harmful and not each.is_dropped else each
        for name, each in state.challengers.items()
    }
    return state.model_copy(update={"challengers": known})


def anytime_p(plan: DecisionPlan, difference: Difference, challengers: int) -> float:
    """For one challenger alone: at or below x at any look with a chance of at most x, if there is no difference."""
    p_value = always_valid_p(difference, alpha=plan.continuous_alpha / challengers, tuned_at_users=plan.tuning)
    share = p_value / plan.continuous_alpha
    if difference.users >= plan.planned_users and plan.final_alpha > 0:
        final = 2 * float(stats.t.sf(abs(difference.z), difference.degrees_of_freedom))
        share = min(share, final / plan.final_alpha)
    return min(1.0, share * plan.alpha)


def _with_p(
    state: ChallengerState, difference: Difference | NotComputable, plan: SeveralArmsPlan, metric: Metric
) -> ChallengerState:
    if isinstance(difference, NotComputable) or not _has_enough(plan.decision, difference):
        return state
    p_value = anytime_p(plan.decision, difference, len(plan.challengers))
    if p_value >= state.smallest_p:
        return state
    leads = (difference.value > 0) == metric.higher_is_better
    return state.model_copy(update={"smallest_p": p_value, "leads": leads})


def _has_enough(plan: DecisionPlan, difference: Difference) -> bool:
    return min(difference.users_a, difference.users_b) >= plan.minimum_users_per_arm


def _judged(
    state: ChallengerState,
    difference: Difference | NotComputable,
    plan: SeveralArmsPlan,
    adjusted_p: float,
    metric: Metric,
) -> ChallengerState:
    decision, count = plan.decision, len(plan.challengers)
    planned_size_reached = difference.users_a + difference.users_b >= decision.planned_users
    bounds, verdict = None, ExperimentVerdict.KEEP_GOING
    if not isinstance(difference, NotComputable) and _has_enough(decision, difference):
        bounds = sequence_bounds(difference, alpha=decision.continuous_alpha / count, tuned_at_users=decision.tuning)
        if planned_size_reached and decision.final_alpha > 0:
            bounds = final_bounds(difference, decision.final_alpha / count)
        if adjusted_p <= decision.alpha:
            verdict = ExperimentVerdict.BETTER_B if state.leads else ExperimentVerdict.BETTER_A
        elif _is_within(bounds, decision.margin):
            verdict = ExperimentVerdict.NO_RELEVANT_DIFFERENCE
    if verdict is ExperimentVerdict.KEEP_GOING and planned_size_reached:
        verdict = ExperimentVerdict.INCONCLUSIVE
    is_final = planned_size_reached and decision.final_alpha > 0
    basis = DecisionBasis.FINAL if is_final else DecisionBasis.CONTINUOUS
    computed = None if isinstance(difference, NotComputable) else difference
    look = DecisionLook(
        verdict=verdict,
        basis=None if verdict is ExperimentVerdict.KEEP_GOING else basis,
        users_a=difference.users_a,
        users_b=difference.users_b,
        difference=None if computed is None else computed.value,
        standard_error=None if computed is None else computed.standard_error,
        bounds=bounds,
        always_valid_p=None if bounds is None else state.smallest_p,
        not_computable=difference if isinstance(difference, NotComputable) else None,
    )
    return state.model_copy(update={"verdict": verdict, "adjusted_p": adjusted_p, "latest": look})


def _is_within(bounds: Bounds, margin: float | None) -> bool:
    return margin is not None and -margin < bounds.lower and bounds.upper < margin


def guardrails_of_one(challengers: int, guardrails: Sequence[Guardrail] = DEFAULT_GUARDRAILS) -> list[Guardrail]:
    """The guardrails that watch each challenger against the control: all challengers together share one error rate."""
    return [replace(guardrail, alpha=guardrail.alpha / challengers) for guardrail in guardrails]


def planned_pair(
    shares: Mapping[str, float], control: str, challenger: str, of_control: int, of_challenger: int
) -> SharePhase:
    """Counts of the control and one challenger, for the guardrail on failures: the other arms' are left aside."""
    share = shares[challenger] / (shares[challenger] + shares[control])
    return SharePhase(share, of_control, of_challenger)


def sample_ratio_evidence(phases: Sequence[tuple[Mapping[str, float], Mapping[str, int]]]) -> float:
    """Log e value against the planned shares, of (shares, users arrived) a phase; alarming at `sample_ratio.THRESHOLD`.

    The mean of the e values of each arm against all others, which is one again.
    """
    arms = sorted({arm for shares, _ in phases for arm in shares})
    each = []
    for arm in arms:
        seen = [
            SharePhase(shares[arm], sum(arrived.values()) - arrived.get(arm, 0), arrived.get(arm, 0))
            for shares, arrived in phases
            if 0 < shares.get(arm, 0) < 1
        ]
        each.append(log_evidence(seen, PRIOR))
    return float(logsumexp(each)) - math.log(len(each))


def sample_ratio_alarms(phases: Sequence[tuple[Mapping[str, float], Mapping[str, int]]]) -> bool:
    """Users do not fall into the arms as planned: a false alarm, ever, has a chance of 0.01 at most."""
    return sample_ratio_evidence(phases) >= THRESHOLD


def check_sample_ratio_among(
    phases: Sequence[tuple[Mapping[str, float], Mapping[str, int]]],
    control: str,
    previous: SampleRatioReading | None = None,
) -> SampleRatioReading:
    """`sample_ratio_evidence` as a reading, with the control as A and the others together as B; an alarm stays."""
    if previous is not None and previous.is_alarming:
        return previous
    users: Counter[str] = Counter()
    planned: dict[str, float] = {}
    for shares, arrived in phases:
        users.update(arrived)
        everyone, whole = sum(arrived.values()), sum(shares.values())
        for arm, share in shares.items():
            planned[arm] = planned.get(arm, 0.0) + everyone * share / whole
    evidence = sample_ratio_evidence(phases)
    others = [arm for arm in planned if arm != control]
    return SampleRatioReading(
        is_alarming=evidence >= THRESHOLD,
        evidence=evidence,
        threshold=THRESHOLD,
        users_a=users[control],
        users_b=sum(users[arm] for arm in others),
        planned_users_b=sum(planned[arm] for arm in others),
        arms={arm: ArmArrivals(users=users[arm], planned_users=planned[arm]) for arm in planned},
    )


def ramped_shares(shares: Mapping[str, float], control: str, exposed: Mapping[str, float]) -> dict[str, float]:
    """Each challenger's share times how far its own ramp is (0 to 1; 0: dropped); the control gets the rest."""
    ramped = {arm: share * exposed.get(arm, 1.0) for arm, share in shares.items() if arm != control}
    return {control: sum(shares.values()) - sum(ramped.values()), **ramped}


def plan_several_arms(request: SizeRequest, challengers: int, share_of_control: float | None = None) -> SeveralArmsSize:
    """The size for the wanted effect of each challenger, by Bonferroni; its `share_b` is left aside.

    Without a share the control gets the one that needs fewest values: √k to 1 for each of k challengers (Dunnett 1955).
    """
    if not 1 <= challengers <= MOST_CHALLENGERS:
        raise InvalidRequestError(
            "An experiment has no such number of challengers",
            value=challengers,
            allowed=f"1 to {MOST_CHALLENGERS}",
            next_step="test the others later",
        )
    control = (
        math.sqrt(challengers) / (math.sqrt(challengers) + challengers)
        if share_of_control is None
        else share_of_control
    )
    if not 0 < control < 1:
        raise InvalidRequestError(
            "The control needs a share of the traffic",
            value=control,
            allowed="between 0 and 1, the ends excluded",
            next_step="leave it out for the share that needs fewest values",
        )
    each = (1 - control) / challengers
    pair = control + each
    alpha = request.alpha / challengers
    found = plan_size(
        request.model_copy(update={"share_b": each / pair, "alpha": alpha, "samples": None, "values_per_day": None})
    )
    return SeveralArmsSize(
        challengers=challengers,
        share_of_control=control,
        samples_of_control=found.samples_needed_a,
        samples_of_a_challenger=found.samples_needed_b,
        samples_needed=found.samples_needed_a + challengers * found.samples_needed_b,
        samples_needed_with_looks=math.ceil(found.samples_needed_with_looks / pair),
        planned_users=max(60, math.ceil(found.samples_needed_with_looks / request.values_per_user)),
        alpha_of_one=alpha,
    )
