"""`tuneway ab create|list|results|drop|conclude` as a person types them, over a real database."""

import json

import pytest
from typer.testing import CliRunner

from contracts.enums import Arm
from contracts.experiment_decisions import MonitorABTestRequest
from settings import load_settings
from stages.models import find_model
from stages.monitor_ab_test import monitor_ab_test
from stages.services import open_services
from tests.conftest import free_port
from tests.stages.ab_test_story import deployed_pair, rated
from tests.stages.test_replay_ab_test import story

pytestmark = pytest.mark.slow


def ab(*arguments: str, code: int = 0):
    from cli.ab import app

    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture
def alone(services, monkeypatch):
    """Services whose MLflow is away."""
    monkeypatch.setenv("TUNEWAY_LANGUAGE", "en")
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    return open_services(load_settings())


def test_a_test_is_created_read_and_concluded(alone, tmp_path):
    _, b = deployed_pair(alone, tmp_path)
    pair = ("--a", "assistant@production", "--b", f"model:{b.model_id}")
    assert "There are no A/B tests" in ab("list").stderr

    refused = json.loads(ab("create", "spring", *pair, "--samples", "200", "--json", code=1).stdout)
    assert "200 samples find 0.46" in refused["error"]["value"]
    created = ab("create", "spring", *pair, "--samples", "200", "--yes")
    assert "A promotion waits for your approval" in created.stderr
    (listed,) = json.loads(ab("list", "--json").stdout)
    assert (listed["experiment_name"], listed["plan"]["is_enough"]) == ("spring", False)
    assert "about 200 more users are needed" in ab("results").stdout

    experiment = alone_experiment(alone)
    rated(alone, experiment, Arm.A, [3, 4] * 40)
    rated(alone, experiment, Arm.B, [4, 5] * 40)
    monitor_ab_test(MonitorABTestRequest(), alone)
    shown = ab("results", "spring").stdout
    for expected in (
        "The new model (B) is better.", "160 of 200 planned users", "Difference (B − A) 1.00",
        "Sample ratio as planned", "Guardrail failures: kept", "it decides nothing", "waits for an answer",
    ):  # fmt: skip
        assert expected in shown
    as_record = json.loads(ab("results", "spring", "--json").stdout)
    assert as_record["sentence"] == "The new model (B) is better."
    assert as_record["decision"]["winner"] == "b"

    told = ("--reason", "more exact", "--by", "kim")
    assert "needs this arm" in ab("drop", "spring", "b", *told, code=1).stderr
    assert "with a winner or without one" in ab("conclude", "spring", *told, code=2).stderr
    concluded = json.loads(ab("conclude", "spring", "--winner", "b", *told, "--json").stdout)
    assert concluded["answer"]["actor"] == "kim"
    assert find_model("assistant@production", alone).model_id == b.model_id
    assert "decision stands" in ab("conclude", "spring", "--winner", "a", *told, code=1).stderr
    assert "no such A/B test" in ab("results", "summer", code=1).stderr


def alone_experiment(services):
    with services.unit_of_work() as uow:
        (running,) = uow.experiments.running()
        return running


def test_a_replay_is_planned_made_and_read_again(alone, tmp_path):
    with story(alone, tmp_path) as (_, (a, _, judging)):
        judge = ("--judge-url", judging.url, "--judge-model", "judge")
        plan = json.loads(ab("replay", *judge, "--dry-run", "--json").stdout)
        assert (plan["units"], plan["decides"], a.questions) == (25, "judge", [])
        shown = ab("replay", "spring", *judge)
        assert "51 questions (25 independent units)" in shown.stderr
        assert "asking the judge: 102 of 102 (100 %)" in shown.stderr
        assert "the judge: B won 51, A 0, ties 0. Difference (B − A) 1.00" in shown.stdout
        asked = len(a.questions)
        again = json.loads(ab("replay", "spring", *judge, "--json").stdout)
        assert again["result"]["readings"][0]["verdict"] == "better_b"
        assert len(a.questions) == asked
        assert "replay 1 with 200 questions" in ab("replay", "spring", code=1).stderr
    assert "judge_url and judge_model together" in ab("replay", "spring", "--judge-model", "judge", code=2).stderr
