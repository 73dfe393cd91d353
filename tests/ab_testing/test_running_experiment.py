"""An experiment fed value by value."""

from ab_testing.running_experiment import decide_stream
from contracts.experiment_verdicts import DecisionPlan, ExperimentVerdict

PLAN = DecisionPlan(planned_users=200)


def values(users: int, better_by: int):
    for user in range(users):
        arm = "ab"[user % 2]
        yield f"u{user}", arm, 2 + user // 2 % 2 + (better_by if arm == "b" else 0)


def test_it_ends_with_the_first_verdict():
    state = decide_stream(values(200, 1), PLAN)
    assert state.verdict is ExperimentVerdict.BETTER_B
    assert state.looks == 60


def test_a_stream_that_ends_early_keeps_its_last_look():
    state = decide_stream(values(110, 0), PLAN, look_every=40)
    assert state.verdict is ExperimentVerdict.KEEP_GOING
    assert state.looks == 3
    assert state.latest is not None
    assert state.latest.users_a + state.latest.users_b == 110


def test_a_stream_of_nothing_is_an_experiment_that_nobody_looked_at():
    assert decide_stream([], PLAN).looks == 0
