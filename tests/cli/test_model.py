"""`tuneway model` and `tuneway lineage` as a person types them, over a real database."""

import json
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from stages.services import Services
from tests.ports import free_port
from tests.stages.lineage_story import Story, add_result, add_version, tell


@pytest.fixture
def story(services, monkeypatch) -> Story:
    monkeypatch.setenv("TUNEWAY_LANGUAGE", "en")
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    return tell(services)


def run(*arguments: str, code: int = 0) -> str:
    """Standard output of the command."""
    from cli.main import app

    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def test_versions_are_listed_and_shown_for_people_and_for_programs(story):
    listed = run("model", "list")
    assert "assistant@1" in listed
    assert "95.0 %" in listed
    second, first = json.loads(run("model", "list", "--json"))
    assert (first["version"]["model_id"], first["accuracy"], first["decision"]) == (story.model, 0.95, "pass")
    assert second["accuracy"] is None
    assert json.loads(run("model", "list", "--status", "production", "--json")) == []
    detail = json.loads(run("model", "show", f"model:{story.model}", "--json"))
    assert detail["suites"][0]["conditions"]["suite_name"] == "road-rules"
    assert "road-rules" in run("model", "show", "assistant@1")


@pytest.mark.slow
def test_promotion_and_rollback_say_what_happened_and_who_did_it(services: Services, story):
    other = add_version(services, story.job, "f")
    by = ("--reason", "better", "--by", "kim")
    promoted = json.loads(run("model", "promote", "assistant@1", *by, "--json"))
    assert promoted["promotion"]["actor"] == "kim"
    assert "MLflow does not answer" in promoted["mlflow_error"]
    refused = json.loads(run("model", "promote", "assistant@2", *by, "--json", code=1))
    assert refused["error"]["code"] == "conflict"
    stale = json.loads(run("model", "promote", f"model:{other}", *by, "--replaces", "assistant@2", "--json", code=1))
    assert "in the meantime" in stale["error"]["what"]
    run("model", "promote", f"model:{other}", *by, "--replaces", "assistant@1")
    assert json.loads(run("model", "show", "assistant", "--json"))["previous_model_id"] == story.model
    back = json.loads(run("model", "rollback", "assistant", *by, "--json"))
    assert (back["promotion"]["model_id"], back["promotion"]["kind"]) == (story.model, "rollback")
    assert "rolled back" in run("model", "show", "assistant@production")


def test_versions_are_compared(services: Services, story):
    add_result(services, json.loads(run("model", "list", "--json"))[0]["version"]["model_id"], {2, 3, 4, 5})
    shown = run("model", "compare", "assistant@1", "assistant@2")
    assert "10 cases of both: 3 won, 2 lost" in shown
    (pair,) = json.loads(run("model", "compare", "assistant@1", "assistant@2", "--json"))["pairs"]
    assert pair["suites"][0]["counts"]["lost"] == 2
    assert [value["name"] for value in pair["configuration"]] == ["hyperparameters.rank"]


def test_a_lineage_is_a_tree_a_picture_or_a_graph(story):
    tree = run("lineage", "assistant@1")
    assert "What led to it" in tree
    assert "checkpoint-100" in tree
    assert "A/B test" in tree
    graph = json.loads(run("lineage", f"job:{story.job}", "--direction", "up", "--json"))
    assert {node["kind"] for node in graph["nodes"]} == {"document", "dataset", "job"}
    assert ElementTree.fromstring(run("lineage", "assistant@1", "--format", "svg")).tag.endswith("svg")
    assert run("lineage", "assistant@1", "--format", "dot").startswith("digraph")


@pytest.mark.slow
def test_a_card_is_written_in_either_language(story):
    assert "# assistant" in run("model", "card", "assistant@1", "--language", "en")
    card = json.loads(run("model", "card", "assistant@1", "--language", "ko", "--json"))
    assert "## 합격 판정" in card["card"]
    assert "allowed" in json.loads(run("model", "card", "assistant@1", "--language", "fr", "--json", code=2))["error"]


def test_a_misspelt_model_gets_a_suggestion(story):
    refused = json.loads(run("model", "show", "asistant", "--json", code=1))
    assert refused["error"]["next_step"] == "did you mean assistant?"
    assert json.loads(run("model", "show", "model:x", "--json", code=2))["error"]["code"] == "invalid_request"


def test_lost_files_are_told_and_garbage_is_only_counted_in_a_dry_run(story):
    found = json.loads(run("model", "verify", "assistant", "--json", code=1))
    assert {problem["problem"] for problem in found["problems"]} == {"no manifest"}
    assert json.loads(run("model", "gc", "--dry-run", "--json"))["objects"] == 0
