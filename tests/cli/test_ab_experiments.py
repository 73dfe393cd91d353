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
from tests.ports import free_port
from tests.serving_api.running import make_secrets
from tests.stages.ab_test_story import deployed_pair, deployed_three, rated
from tests.stages.test_replay_ab_test import story

pytestmark = pytest.mark.slow


def ab(*arguments: str, code: int = 0):
    from cli.ab import app

    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture
def alone(services, monkeypatch):
    """Services whose MLflow is away, after `tuneway up` has made its secrets."""
    monkeypatch.setenv("TUNEWAY_LANGUAGE", "en")
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    settings = load_settings()
    make_secrets(settings.secrets_dir)
    return open_services(settings)


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


def test_three_models_are_compared_one_is_dropped_and_a_named_one_wins(alone, tmp_path):
    _, large, small = deployed_three(alone, tmp_path)
    arms = ("--arm", "now=assistant@production:2", "--arm", f"large=model:{large.model_id}:1",
            "--arm", f"small=assistant@{small.version}:1")  # fmt: skip
    plan = ("--samples", "300", "--yes", "--tester", "kim=large", "--policy", "notify")
    created = json.loads(ab("create", "spring", *arms, *plan, "--json").stdout)
    assert [(arm["name"], arm["share"]) for arm in created["arms"]] == [("now", 0.5), ("large", 0.25), ("small", 0.25)]
    assert json.loads(ab("create", "spring", *arms, *plan, "--json").stdout) == created
    assert "50% : 25% : 25%" in ab("list").stdout

    told = ("--reason", "too slow", "--by", "kim")
    assert "spring: large is dropped; the test goes on with the others" in ab("drop", "spring", "large", *told).stderr
    dropped = json.loads(ab("drop", "spring", "large", *told, "--json").stdout)["arms"][1]
    assert (dropped["drop_cause"], dropped["drop_reason"]) == ("person", "too slow")

    rated(alone, alone_experiment(alone), "now", [3, 4] * 40)
    rated(alone, alone_experiment(alone), "small", [4, 5] * 40)
    found = json.loads(ab("results", "spring", "--json").stdout)
    assert [(each["arm"], each["is_taken_out"]) for each in found["challengers"]] == [("large", True), ("small", False)]
    assert found["challengers"][1]["look"]["difference"] == 1.0
    assert {arm["arm"]: arm["ratings"] for arm in found["arms"]} == {"now": 80, "large": 0, "small": 80}
    assert "small" in found["sentence"]
    assert "large: dropped" in ab("results", "spring").stdout

    concluded = json.loads(ab("conclude", "spring", "--winner", "small", *told, "--json").stdout)
    assert (concluded["winner"], concluded["control"], concluded["actor"]) == ("small", "now", "kim")
    assert find_model("assistant@production", alone).model_id == small.model_id


UNREADABLE = [
    (["a=assistant@production"], "two or more with different names"),
    (["a=assistant@production", "a=assistant@2"], "arms are a, a, must be two or more with different names"),
    (["a=assistant@production:0.5", "b=assistant@2"], "give every arm a share, or none of them"),
    (["a=assistant@production:0.5", "b=assistant@2:-1"], "arms.1.share: greater than 0"),
    (["a=assistant@production:0.5", "b=assistant@2:inf"], "arms.1.share: less than or equal to 1"),
    (["a=assistant@production:5000", "b=assistant@2:1"], "too unequal to compare its arms"),
    (["a=assistant@production", "Large=assistant@2"], "arms.1.name"),
    (["a=assistant@production", "b"], "a name, a model and perhaps a share"),
    (["a=assistant@production", "b=assistant@production"], "Two arms of the A/B test are the same model"),
    (["a=assistant@production", "b=assistant@9"], "assistant@9"),
    (["a=assistant@production", "b=assistant@2:many"], "assistant@2:many"),
]


def test_arms_that_cannot_be_are_refused_in_one_sentence(alone, tmp_path):
    _, b, c = deployed_three(alone, tmp_path)
    for arms, expected in UNREADABLE:
        options = [part for arm in arms for part in ("--arm", arm)]
        is_missing = expected.startswith("assistant@")
        assert expected in ab("create", "spring", *options, "--yes", code=1 if is_missing else 2).stderr
    mixed = ab("create", "spring", "--a", "assistant@2", "--arm", "b=assistant@3", code=2)
    assert "The arms of an A/B test are named in one way" in mixed.stderr
    assert "no A/B tests" in ab("list").stderr

    three = ("--arm", "now=assistant@production", "--arm", f"b=model:{b.model_id}", "--arm", f"c=model:{c.model_id}")
    assert "A tester is to get an arm" in ab("create", "spring", *three, "--yes", "--tester", "kim=d", code=2).stderr
    ab("create", "spring", *three, "--yes")
    told = ("--reason", "r", "--by", "kim")
    for command in (("drop", "spring", "d"), ("conclude", "spring", "--winner", "d")):
        assert "now, b, c" in ab(*command, *told, code=2).stderr
    assert "The A/B test needs this arm" in ab("drop", "spring", "now", *told, code=1).stderr
    assert "no such A/B test" in ab("drop", "summer", "b", *told, code=1).stderr


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
        assert "allowed: a, b" in ab("replay", "spring", "--challenger", "c", code=2).stderr.lower()
    assert "judge_url and judge_model together" in ab("replay", "spring", "--judge-model", "judge", code=2).stderr
