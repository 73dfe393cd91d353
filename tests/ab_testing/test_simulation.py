"""Error rates by simulation: the quick form here, all bars in the slow one."""

import numpy as np
import pytest

from ab_testing.confidence_sequence import mixture_variance, two_sided_bound
from ab_testing.decision import begin, look
from ab_testing.simulation import populations
from ab_testing.simulation.scenarios import EXPERIMENTS, SCENARIOS, simulate
from ab_testing.users import UserStream
from contracts.enums import Arm
from contracts.errors import InvalidRequestError
from contracts.experiment_verdicts import DecisionPlan

QUICK = [name for name in SCENARIOS if name not in {"several_ratings_a_user", "guardrails", "early_effect"}]


@pytest.mark.parametrize("name", QUICK)
def test_error_rates_and_power_reach_their_bars(name):
    results = list(simulate(experiments=150, only=[name]))
    assert results
    assert [result for result in results if result.is_clearly_missed] == []


def test_looking_at_every_rating_with_a_t_test_would_crown_half_of_all_tests():
    (result,) = simulate(experiments=150, only=["ratings_without_difference"])
    assert result.contrast["t_test_at_every_look"] > 0.35
    assert result.measured < 0.12


def test_the_same_seed_gives_the_same_numbers_alone_and_among_others():
    together = list(simulate(experiments=40, only=["segments", "hybrid_plan"]))
    alone = list(simulate(experiments=40, only=["segments"]))
    assert [result for result in together if result in alone] == alone
    other = list(simulate(experiments=40, only=["segments"], seed=1))
    assert [result.contrast for result in other] != [result.contrast for result in alone]


def test_users_are_the_units_of_a_stream_of_ratings():
    """Taken for users, these ratings would give a false winner in a quarter of all experiments."""
    plan = DecisionPlan(planned_users=320, continuous_alpha=0.05, final_alpha=0, tuned_at_users=160)
    random = np.random.default_rng(12)
    rho = mixture_variance(0.05, 160)
    experiments, winners, wrong_unit = 40, 0, 0
    crowd = populations.gather_crowd(
        random,
        experiments=experiments,
        users_per_arm=160,
        ratings_per_user=8,
        effect=0.0,
        unequal_counts=True,
        one_user_after_the_other=True,
    )
    ratings = np.stack([crowd.ratings_at(moment, random) for moment in range(crowd.arrivals.shape[1])], axis=1)
    for place in range(experiments):
        stream, state, mistaken = UserStream(), begin(plan), False
        arrived = crowd.arrivals[place]
        for moment in np.flatnonzero(arrived >= 0):
            user = int(arrived[moment])
            stream.add(str(user), "ab"[user % 2], float(ratings[place, moment]))
            if moment % 20 == 0:
                state = look(state, stream.moments(Arm.A), stream.moments(Arm.B))
                so_far = arrived[: moment + 1]
                rated = ratings[place, : moment + 1]
                a, b = rated[so_far % 2 == 0], rated[so_far % 2 == 1]
                if min(len(a), len(b)) > 60:
                    error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
                    bound = float(two_sided_bound(float(len(a) + len(b)), alpha=0.05, rho_squared=rho))
                    mistaken |= bool(abs(a.mean() - b.mean()) > bound * error)
        winners += state.is_decided and state.verdict.value.startswith("better")
        wrong_unit += mistaken
    assert winners / experiments <= 0.1
    assert wrong_unit / experiments >= 0.2


def test_ratings_of_a_simulated_user_are_as_alike_as_they_say():
    random = np.random.default_rng(3)
    crowd = populations.gather_crowd(
        random,
        experiments=20,
        users_per_arm=400,
        ratings_per_user=2,
        effect=0.0,
        unequal_counts=False,
        one_user_after_the_other=True,
    )
    ratings = np.stack([crowd.ratings_at(moment, random) for moment in range(1600)], axis=1).reshape(-1, 2)
    assert np.asarray(np.corrcoef(ratings.T))[0, 1] == pytest.approx(0.30, abs=0.02)
    assert ratings.mean() == pytest.approx(3.66, abs=0.02)


def test_wrong_requests_are_refused():
    with pytest.raises(InvalidRequestError, match="no such scenario"):
        next(simulate(only=["peeking"]))
    with pytest.raises(InvalidRequestError, match="measure nothing"):
        next(simulate(experiments=3))


@pytest.mark.slow
@pytest.mark.deep
def test_every_bar_is_met():
    results = list(simulate(experiments=EXPERIMENTS // 5))
    assert len(results) > 30
    assert [result.scenario for result in results if result.is_clearly_missed] == []
