"""`tuneway evaluate` over a real database and a real endpoint."""

import json

import pytest
import typer
from typer.testing import CliRunner

from cli.evaluate import app
from cli.suite import app as suites
from tests.evaluation.chat_endpoint import chat_endpoint
from tests.ports import free_port
from tests.stages.finished_job import write_suite

CASES = [
    {"id": f"c-{number}", "question": f"{number}번 서식은?", "accepted_answers": ["5년"], "category": "보존"}
    for number in range(10)
]


@pytest.fixture
def run(services, monkeypatch):
    """The command in this process, in English; no runner answers."""
    monkeypatch.setenv("TUNEWAY_LANGUAGE", "en")
    monkeypatch.setenv("TUNEWAY_RUNNER_URL", f"http://127.0.0.1:{free_port()}")

    def command(*arguments: object, of: typer.Typer = app, code: int = 0):
        ended = CliRunner().invoke(of, [str(argument) for argument in arguments], catch_exceptions=False)
        assert ended.exit_code == code, ended.output
        return json.loads(ended.stdout) if "--json" in arguments else ended

    return command


def test_a_dry_run_says_what_would_be_asked_and_asks_nothing(services, run):
    suite = write_suite(services, "retention", CASES)
    with chat_endpoint(lambda _question: "5년입니다.") as endpoint:
        told = run(endpoint.address, "--suite", suite, "--dry-run", "--json")
        assert "Would ask: retention (cases, 10 cases)" in run(endpoint.address, "--suite", suite, "--dry-run").stderr
        assert endpoint.questions == []
    assert told["to_ask"] == [{"suite": "retention", "kind": "cases", "cases": 10}]
    assert (told["engine"], told["stored"]) == ("imitation 1.0", [])


@pytest.mark.slow
def test_an_evaluation_is_shown_with_its_interval_and_known_the_second_time(services, run):
    suite = write_suite(services, "retention", CASES)
    with chat_endpoint(lambda _question: "5년입니다.") as endpoint:
        shown = run(endpoint.address, "--suite", suite)
        again = run(endpoint.address, "--suite", suite, "--json")
        assert len(endpoint.questions) == 11
    assert "100.0%" in shown.stdout
    assert "72.2% ~ 100.0%" in shown.stdout
    assert "all 1 answers were the same when asked again" in shown.stderr
    assert (again["reused"], again["results"][0]["n"]) == (["retention"], 10)


def test_what_is_wrong_is_told_in_four_parts_and_as_a_record(services, run):
    suite = write_suite(services, "retention", CASES)
    with chat_endpoint(lambda _question: "5년") as endpoint:
        told = run(f"{endpoint.url}#other", "--suite", suite, "--json", code=2)
        assert told["error"]["what"] == "The endpoint serves no model of this name"
        half = run(endpoint.address, "--suite", suite, "--judge-url", "http://127.0.0.1:1", code=2)
    assert "judge_url and judge_model together" in half.output


def test_a_benchmark_is_brought_in_by_one_command(services, run):
    inbox = services.settings.data_dir / "inbox"
    inbox.mkdir(parents=True)
    (inbox / "sentineg_dev.tsv").write_text("ID\tLabel\tText\n1\t1\t좋습니다\n", encoding="utf-8")
    told = run("import-harness", "sentineg", "--task", "kobest_sentineg", "--data", inbox, "--json", of=suites)
    assert (told["kind"], told["status"], told["settings"]["documents"]) == ("harness", "locked", 1)
    (inbox / "notices.txt").write_text("통행료를 안내합니다.", encoding="utf-8")
    shown = run("import-texts", "notices", "--file", inbox / "notices.txt", of=suites)
    assert "notices v1: 1 documents brought in and locked" in shown.stderr
