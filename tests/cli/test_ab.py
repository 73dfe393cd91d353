"""`tuneway ab` as a person types it, without a platform."""

import json

import pytest
from typer.testing import CliRunner, Result

from cli.ab import app
from tests.cli.command_line import tuneway


def ab(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_a_plan_says_that_two_hundred_samples_are_too_few_for_0_3():
    told = ab("plan", "--effect", "0.3", "--samples", "200")
    assert told.exit_code == 0
    assert "A 237건, B 237건, 모두 474건" in told.stdout
    assert "200건으로는 0.46점 이상의 차이" in told.stdout
    assert "따로 확인해야 합니다" in told.stderr
    enough = ab("plan", "--effect", "0.3", "--samples", "600")
    assert "따로 확인해야 합니다" not in enough.stderr


def test_a_plan_is_a_record_for_programs():
    found = json.loads(ab("plan", "--effect", "0.3", "--split", "80:20", "--samples", "200", "--json").stdout)
    assert found["samples_needed"] == 691
    assert found["request"]["share_b"] == 0.2
    assert found["is_enough"] is False
    several = json.loads(ab("plan", "--effect", "0.3", "--per-user", "5", "--per-day", "111", "--json").stdout)
    assert (several["samples_needed_a"], several["users_needed_a"]) == (521, 105)
    assert several["days_needed"] == pytest.approx(several["samples_needed_with_looks"] / 111)


def test_a_plan_for_several_new_models_says_what_each_needs():
    found = json.loads(ab("plan", "--effect", "0.3", "--challengers", "3", "--json").stdout)
    assert found["samples_needed"] == found["samples_of_control"] + 3 * found["samples_of_a_challenger"]
    told = ab("plan", "--effect", "0.3", "--challengers", "3").stdout
    assert f"모두 {found['samples_needed']:,}건" in told
    assert "현재 모델의 몫은 37%" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--effect", "0.3", "--split", "80"), "The split cannot be read"),
        (("--effect", "0.3", "--challengers", "3", "--samples", "90"), "takes its own split and size"),
        (("--effect", "0.3", "--challengers", "10"), "no such number of challengers"),
        (("--effect", "0.3", "--split", "80:0"), "The split cannot be read"),
        (("--effect", "3"), "cannot differ by that much"),
        (("--effect", "-1"), "greater than or equal to 0.000001"),
        (("--effect", "0.1", "--metric", "clicks"), "no such metric"),
        (("--effect", "0.1", "--metric", "response_time_ms"), "needs spread"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused_in_one_sentence(arguments, message):
    refused = ab("plan", *arguments, "--json")
    assert refused.exit_code == 2
    error = json.loads(refused.stdout)["error"]
    assert error["code"] == "invalid_request"
    assert message in error["what"]
    assert error["next_step"]


def test_a_simulation_prints_an_object_a_scenario():
    told = ab("simulate", "--scenario", "segments", "--scenario", "hybrid_plan", "--experiments", "100", "--json")
    results = json.loads(told.stdout)
    assert [result["scenario"] for result in results] == [
        "hybrid_without_difference",
        "hybrid_power",
        "hybrid_mean_users_per_arm",
        "hybrid_wrong_winner",
        "segments_share_of_false_ones",
    ]
    assert all({"measured", "bar", "bar_kind", "is_met", "experiments", "seed"} <= set(result) for result in results)
    assert told.exit_code == 0
    assert ab("simulate", "--scenario", "peeking").exit_code == 2


@pytest.mark.slow
def test_it_is_a_command_of_tuneway():
    told = tuneway("ab", "simulate", "--quick", "--scenario", "baseline_covariate")
    assert told.returncode == 0, told.stderr
    assert "covariate_without_difference" in told.stdout
    assert "at most 0.05" in told.stdout
