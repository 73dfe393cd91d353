"""Verdicts: each kind once, none that flips, and the same by one and by many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ab_testing.comparison import Difference
from ab_testing.decision import begin, judge, look, look_at
from ab_testing.metrics import RESPONSE_TIME, USER_RATING
from ab_testing.moments import UnitMoments
from ab_testing.rating_scale import RatingSpread
from ab_testing.simulation.many_experiments import decide, one_value_a_user
from ab_testing.simulation.populations import draw_ratings
from contracts.experiment_verdicts import (
    DecisionBasis,
    DecisionLook,
    DecisionPlan,
    ExperimentState,
    ExperimentVerdict,
    NotComputableReason,
)
from tests.ab_testing.answers import computed, reason

PLAN = DecisionPlan(planned_users=600)
WITH_MARGIN = DecisionPlan(planned_users=600, margin=0.3)


def difference(value: float, error: float, users: int) -> Difference:
    return Difference(value, error**2, users - 2.0, users // 2, users - users // 2)


def look_once(value: float, error: float, users: int) -> DecisionLook:
    return computed(look_at(begin(PLAN), difference(value, error, users)).latest)


def verdict(value: float, error: float, users: int, plan: DecisionPlan = PLAN) -> ExperimentVerdict:
    return look_at(begin(plan), difference(value, error, users)).verdict


def test_a_clear_difference_wins_before_the_planned_size():
    latest = look_once(0.6, 0.12, 200)
    assert (latest.verdict, latest.basis) == (ExperimentVerdict.BETTER_B, DecisionBasis.CONTINUOUS)
    assert computed(latest.bounds).lower > 0
    assert computed(latest.bounds).level == 0.99
    assert verdict(-0.6, 0.12, 200) is ExperimentVerdict.BETTER_A


def test_for_response_times_less_is_better():
    slower = look_at(begin(PLAN), difference(0.6, 0.12, 200), RESPONSE_TIME)
    assert slower.verdict is ExperimentVerdict.BETTER_A


def test_what_a_t_test_would_call_a_winner_keeps_going():
    # z = 2.5, p = 0.013
    latest = look_once(0.3, 0.12, 400)
    assert latest.verdict is ExperimentVerdict.KEEP_GOING
    assert computed(latest.always_valid_p) > 0.05


def test_the_final_test_decides_at_the_planned_size():
    latest = look_once(0.25, 0.1, 600)
    assert (latest.verdict, latest.basis) == (ExperimentVerdict.BETTER_B, DecisionBasis.FINAL)
    assert computed(latest.bounds).level == pytest.approx(0.96)
    # the same difference one user earlier is no winner
    assert verdict(0.25, 0.1, 599) is ExperimentVerdict.KEEP_GOING


def test_no_winner_at_the_planned_size_is_inconclusive():
    assert verdict(0.15, 0.1, 600) is ExperimentVerdict.INCONCLUSIVE


def test_a_difference_that_does_not_matter_is_a_verdict_of_its_own():
    assert verdict(0.05, 0.1, 600, WITH_MARGIN) is ExperimentVerdict.NO_RELEVANT_DIFFERENCE
    assert verdict(0.02, 0.05, 400, WITH_MARGIN) is ExperimentVerdict.NO_RELEVANT_DIFFERENCE
    # without a margin nobody said what matters
    assert verdict(0.02, 0.05, 400) is ExperimentVerdict.KEEP_GOING


def test_without_a_final_test_the_sequence_alone_ends_it():
    alone = DecisionPlan(planned_users=600, continuous_alpha=0.05, final_alpha=0)
    assert verdict(0.25, 0.1, 600, alone) is ExperimentVerdict.INCONCLUSIVE


def test_nothing_is_decided_below_thirty_users_an_arm():
    assert verdict(3.0, 0.1, 58) is ExperimentVerdict.KEEP_GOING
    assert verdict(3.0, 0.1, 60) is ExperimentVerdict.BETTER_B


def test_it_says_how_many_more_users_it_takes():
    more = computed(look_once(0.4, 0.12, 300).more_users_needed)
    assert 1 <= more < 100
    assert look_once(0.0, 0.12, 300).more_users_needed == 300
    # however clear, no look counts before thirty users an arm
    assert look_once(3.0, 0.1, 24).more_users_needed == 36
    # with so many more, at the same difference and spread, it is decided
    users = 300 + more
    assert verdict(0.4, 0.12 * (300 / users) ** 0.5, users) is ExperimentVerdict.BETTER_B


def test_no_data_and_no_spread_decide_nothing():
    nobody = UnitMoments.of_users(np.ones(0), np.ones(0))
    state = look(begin(PLAN), nobody, nobody)
    assert state.verdict is ExperimentVerdict.KEEP_GOING
    assert reason(computed(state.latest).not_computable) is NotComputableReason.TOO_FEW_USERS
    assert computed(state.latest).more_users_needed == 600
    same = UnitMoments.of_users(np.ones(300), np.full(300, 4.0))
    ended = look(begin(PLAN), same, same)
    assert ended.verdict is ExperimentVerdict.INCONCLUSIVE
    assert reason(computed(ended.latest).not_computable) is NotComputableReason.NO_SPREAD


looks = st.lists(st.tuples(st.integers(2, 400), st.floats(-2, 2), st.floats(0.01, 2)), min_size=1, max_size=30)


@settings(max_examples=100)
@given(looks)
def test_a_verdict_never_flips(steps):
    state, users, decided = begin(WITH_MARGIN), 0, None
    for more, value, error in steps:
        users += more
        state = look_at(state, difference(value, error, users + 2))
        if decided is not None:
            assert state == decided
        elif state.is_decided:
            decided = state
    # by the planned size there is one
    assert state.is_decided or users + 2 < 600


@given(looks)
def test_a_state_survives_being_stored(steps):
    state, users = begin(PLAN), 0
    for more, value, error in steps:
        users += more
        stored = ExperimentState.model_validate_json(state.model_dump_json())
        state = look_at(state, difference(value, error, users + 2))
        assert look_at(stored, difference(value, error, users + 2)) == state


@given(st.floats(-2, 2), st.floats(0.05, 1), st.integers(60, 900))
def test_exchanging_the_arms_exchanges_the_verdict(value, error, users):
    exchanged = {
        ExperimentVerdict.BETTER_A: ExperimentVerdict.BETTER_B,
        ExperimentVerdict.BETTER_B: ExperimentVerdict.BETTER_A,
    }
    found = verdict(value, error, users, WITH_MARGIN)
    assert verdict(-value, error, users, WITH_MARGIN) is exchanged.get(found, found)


@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_many_experiments_at_once_end_as_each_by_itself(effect):
    random = np.random.default_rng(5)
    plan = DecisionPlan(planned_users=200, margin=0.4)
    spread = RatingSpread()
    a = draw_ratings(random, spread, (10, 100))
    b = draw_ratings(random, spread.moved(effect), (10, 100))
    many = decide(plan, one_value_a_user(a, b))
    for place in range(10):
        state = begin(plan)
        for users in range(60, 201):
            size_a, size_b = (users + 1) // 2, users // 2
            state = look(
                state,
                UnitMoments.of_users(np.ones(size_a), a[place, :size_a]),
                UnitMoments.of_users(np.ones(size_b), b[place, :size_b]),
            )
        latest = computed(state.latest)
        assert latest.users_a + latest.users_b == many.users[place]
        assert (state.verdict is ExperimentVerdict.BETTER_B) == many.better_b[place]
        assert (state.verdict is ExperimentVerdict.BETTER_A) == many.better_a[place]
        assert (state.verdict is ExperimentVerdict.NO_RELEVANT_DIFFERENCE) == many.no_relevant_difference[place]
        assert latest.difference == pytest.approx(many.difference[place], abs=1e-12)


def test_one_look_by_itself_knows_no_history():
    found = difference(0.6, 0.12, 200)
    assert judge(PLAN, found, USER_RATING) == look_at(begin(PLAN), found).latest


@pytest.mark.parametrize(
    "wrong", [{"planned_users": 59}, {"planned_users": 600, "continuous_alpha": 0.3, "final_alpha": 0.3}]
)
def test_a_plan_that_decides_nothing_well_is_refused(wrong):
    with pytest.raises(ValueError, match=r"planned_users|alpha"):
        DecisionPlan(**wrong)
