"""One control and several challengers."""

import math
from collections import Counter

import numpy as np
import pytest

from ab_testing.assignment import assign_among
from ab_testing.decision import begin, look
from ab_testing.guardrails import DEFAULT_GUARDRAILS
from ab_testing.metrics import RESPONSE_TIME
from ab_testing.moments import UnitMoments
from ab_testing.planner import plan_size
from ab_testing.several_arms import (
    begin_arms,
    guardrails_of_one,
    look_at_arms,
    plan_several_arms,
    planned_pair,
    ramped_shares,
    sample_ratio_alarms,
)
from ab_testing.simulation.several_arms import decide_arms
from contracts.errors import InvalidRequestError
from contracts.experiment_plans import SizeRequest
from contracts.experiment_verdicts import DecisionPlan, ExperimentVerdict
from contracts.several_arms import SeveralArmsPlan

SECRET = "s" * 32
THIRDS = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}


def rated(values: np.ndarray) -> UnitMoments:
    return UnitMoments.of_users(np.ones(len(values)), np.asarray(values, dtype=float))


def around(mean: float, users: int) -> UnitMoments:
    """Half of the users one above the mean, half one below."""
    return rated(np.array([mean - 1, mean + 1] * (users // 2)))


def plan(*challengers: str, **changes) -> SeveralArmsPlan:
    return SeveralArmsPlan(challengers=list(challengers), decision=DecisionPlan(**{"planned_users": 600, **changes}))


def test_with_one_challenger_the_winner_is_that_of_two_arms():
    random = np.random.default_rng(3)
    for effect in (0.0, 0.2, 0.4, 0.8):
        a, b = random.normal(3.5, 1, 300), random.normal(3.5 + effect, 1, 300)
        two, several = begin(DecisionPlan(planned_users=600)), begin_arms(plan("b"))
        for users in range(30, 301, 15):
            two = look(two, rated(a[:users]), rated(b[:users]))
            several = look_at_arms(several, {"a": rated(a[:users]), "b": rated(b[:users])})
        # the one look at the planned size may use what the looks before have left over
        assert (several.challengers["b"].verdict, several.looks) == (two.verdict, two.looks)


def test_a_challenger_that_is_worse_is_dropped_and_the_others_go_on():
    state = look_at_arms(
        begin_arms(plan("b", "c")), {"a": around(3.5, 100), "b": around(2.5, 100), "c": around(3.6, 100)}
    )
    assert (state.dropped, state.open, state.is_decided) == (["b"], ["c"], False)
    assert state.challengers["b"].verdict is ExperimentVerdict.BETTER_A
    # b needs no more users: it may be left out, and stays as it is
    later = look_at_arms(state, {"a": around(3.5, 300), "c": around(4.2, 300)})
    assert later.challengers["b"] == state.challengers["b"]
    assert (later.winner, later.is_decided) == ("c", True)
    assert look_at_arms(later, {}) == later


def test_one_that_does_harm_has_no_verdict_and_counts_on_as_a_question():
    arms = {"a": around(3.5, 100), "b": around(3.5, 100), "c": around(3.5, 100)}
    state = look_at_arms(begin_arms(plan("b", "c")), arms, harmful=["b"])
    assert (state.dropped, state.open) == (["b"], ["c"])
    assert state.challengers["b"].verdict is ExperimentVerdict.KEEP_GOING
    closer = {"a": around(3.5, 200), "c": around(4.0, 200)}
    p_value = look_at_arms(state, closer).challengers["c"]
    assert p_value.adjusted_p == pytest.approx(min(1, 2 * p_value.smallest_p))


def test_of_two_better_ones_the_one_ahead_wins_and_only_at_the_end():
    arms = {"a": around(3.0, 120), "b": around(4.0, 120), "c": around(4.5, 120), "d": around(3.1, 120)}
    state = look_at_arms(begin_arms(plan("b", "c", "d")), arms)
    assert (state.winner, state.open) == (None, ["d"])
    assert look_at_arms(state, {"a": around(3.0, 400), "d": around(3.0, 400)}).winner == "c"


def test_less_time_is_better_and_values_that_are_all_alike_show_nothing():
    fast, slow = rated(np.log([90, 110] * 100)), rated(np.log([180, 220] * 100))
    state = look_at_arms(begin_arms(plan("b", "c")), {"a": slow, "b": fast, "c": slow}, RESPONSE_TIME)
    assert state.challengers["b"].verdict is ExperimentVerdict.BETTER_B
    same = rated(np.full(300, 4.0))
    ended = look_at_arms(begin_arms(plan("b")), {"a": same, "b": same})
    assert ended.challengers["b"].verdict is ExperimentVerdict.INCONCLUSIVE


def test_the_margin_holds_for_all_challengers_at_once():
    one = look_at_arms(begin_arms(plan("b", margin=0.3)), {"a": around(3.5, 300), "b": around(3.5, 300)})
    assert one.challengers["b"].verdict is ExperimentVerdict.NO_RELEVANT_DIFFERENCE
    many = look_at_arms(begin_arms(plan("b", "c", "d", margin=0.3)), {arm: around(3.5, 300) for arm in "abcd"})
    at_once, alone = (state.challengers["b"].latest for state in (many, one))
    assert at_once is not None and at_once.bounds is not None
    assert alone is not None and alone.bounds is not None
    assert at_once.bounds.upper > alone.bounds.upper
    assert at_once.bounds.level == pytest.approx(1 - 0.04 / 3)


def test_a_missing_arm_and_arms_of_one_name_are_refused():
    with pytest.raises(InvalidRequestError, match="Got: c"):
        look_at_arms(begin_arms(plan("b", "c")), {"a": around(3, 40), "b": around(3, 40)})
    with pytest.raises(ValueError, match="must differ"):
        plan("a", "b")


def test_the_record_and_the_simulation_decide_the_same():
    random = np.random.default_rng(11)
    decision = DecisionPlan(planned_users=200)
    control, challengers = random.normal(3.5, 1, (1, 40, 100)), random.normal(3.5, 1, (3, 40, 100))
    challengers[1] += 0.5
    challengers[2] -= 0.6
    found = decide_arms(decision, control[0], challengers)
    for row in range(40):
        state = begin_arms(SeveralArmsPlan(challengers=["b", "c", "d"], decision=decision))
        for users in range(30, 101):
            arms = {arm: rated(values[row, :users]) for arm, values in zip("bcd", challengers, strict=True)}
            state = look_at_arms(state, {"a": rated(control[0, row, :users]), **arms})
        for place, name in enumerate("bcd"):
            verdict = state.challengers[name].verdict
            assert (verdict is ExperimentVerdict.BETTER_B) == found.better[place, row], (row, name)
            assert (verdict is ExperimentVerdict.BETTER_A) == found.worse[place, row], (row, name)


def test_guardrails_of_all_challengers_share_one_error_rate():
    each = guardrails_of_one(3)
    assert sum(guardrail.alpha for guardrail in each) * 3 == pytest.approx(sum(one.alpha for one in DEFAULT_GUARDRAILS))
    phase = planned_pair({"a": 0.5, "b": 0.25, "c": 0.25}, "a", "b", 4, 9)
    assert phase.planned_share_b == pytest.approx(1 / 3)
    assert (phase.in_a, phase.in_b) == (4, 9)


def test_users_who_fall_otherwise_than_planned_are_noticed_through_a_ramp_of_three_arms():
    ramp = [({"a": 0.9, "b": 0.05, "c": 0.05}, {"a": 905, "b": 45, "c": 50}), (THIRDS, {"a": 660, "b": 680, "c": 660})]
    assert not sample_ratio_alarms(ramp)
    assert sample_ratio_alarms([*ramp, (THIRDS, {"a": 1000, "b": 1000, "c": 780})])


def test_a_share_that_changes_moves_only_the_users_that_it_must():
    users = [f"user-{number}" for number in range(6000)]
    before = {user: assign_among(SECRET, 7, user, THIRDS) for user in users}
    counts = Counter(before.values())
    assert all(abs(counts[arm] - 2000) < 4 * math.sqrt(6000 * 2 / 9) for arm in "abc")
    dropped = {user: assign_among(SECRET, 7, user, {"a": 1 / 3, "b": 0, "c": 1 / 3}) for user in users}
    assert all(dropped[user] == before[user] for user in users if before[user] != "b")
    went = Counter(dropped[user] for user in users if before[user] == "b")
    assert went["b"] == 0
    assert abs(went["a"] - went["c"]) < 4 * math.sqrt(counts["b"])
    grown = {user: assign_among(SECRET, 7, user, {**THIRDS, "c": 2 / 3}) for user in users}
    assert {(before[user], grown[user]) for user in users if before[user] != grown[user]} == {("a", "c"), ("b", "c")}
    with pytest.raises(InvalidRequestError, match="No arm can be assigned"):
        assign_among(SECRET, 7, "kim", {"a": 0.0})


def test_each_challenger_has_its_own_ramp_and_the_control_gets_the_rest():
    assert ramped_shares({"a": 0.4, "b": 0.3, "c": 0.3}, "a", {"b": 0.1, "c": 0}) == {
        "a": pytest.approx(0.97), "b": pytest.approx(0.03), "c": 0.0,
    }  # fmt: skip


def test_the_planner_knows_how_many_challengers_there_are():
    one = plan_several_arms(SizeRequest(effect=0.3), 1, 0.5)
    assert one.samples_needed == plan_size(SizeRequest(effect=0.3)).samples_needed
    three = plan_several_arms(SizeRequest(effect=0.3), 3)
    assert three.alpha_of_one == pytest.approx(0.05 / 3)
    assert three.share_of_control == pytest.approx(1 / (1 + math.sqrt(3)))
    even = plan_several_arms(SizeRequest(effect=0.3), 3, 0.25)
    assert one.samples_needed < three.samples_needed < even.samples_needed
    with pytest.raises(InvalidRequestError, match="no such number"):
        plan_several_arms(SizeRequest(effect=0.3), 10)
