"""`tuneway pipeline`: exit codes, summary, and patience."""

import json

import pytest
from typer.testing import CliRunner

from cli.pipeline import ExitCode, app
from contracts.errors import ConflictError, InvalidRequestError, UnavailableError
from contracts.evaluation import GateVerdict
from stages.airflow_client import AirflowClient
from tests.cli.airflow_stand_in import AirflowStandIn, task

VERDICT = {
    "evaluation_id": 1, "decision": "pass", "metric": "accuracy", "accuracy_bar": 0.9, "accuracy": 0.95,
    "interval": {"lower": 0.91, "upper": 0.97, "method": "wilson"}, "lower_bound_one_sided": 0.91, "n": 200,
    "reasons": [],
}  # fmt: skip
DONE = [task("validate_request", "success"), task("train", "success"), task("gate", "success")]


@pytest.fixture
def airflow():
    with AirflowStandIn() as opened:
        yield opened


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text("right\n", encoding="utf-8")
    return path


@pytest.fixture
def tuneway(airflow, password_file):
    def run(command, *arguments, conf="{}", user="ci"):
        login = ["--url", airflow.url, "--user", user, "--password-file", str(password_file)]
        polling = ["--poll", "0.2"] if "--wait" in arguments or command == "wait" else []
        given = ["--conf", "-"] if command == "trigger" else []
        return CliRunner().invoke(app, [command, "pipeline", *arguments, *given, *login, *polling], input=conf)

    return run


def test_a_run_whose_gate_says_yes_exits_0_and_prints_its_summary(airflow, tuneway):
    airflow.scenes = [("running", DONE[:1]), ("running", DONE[:2]), ("success", DONE)]
    airflow.xcoms["gate"] = VERDICT
    done = tuneway("trigger", "--wait", "--run-id", "ci-1", conf='{"lora_rank": 8}')
    assert done.exit_code == ExitCode.PASSED
    summary = json.loads(done.stdout)
    assert (summary["run_id"], summary["state"]) == ("ci-1", "success")
    assert GateVerdict.model_validate(summary["gate"]).passed
    assert airflow.runs["ci-1"]["conf"] == {"lora_rank": 8}


def test_the_stages_are_told_as_they_go_each_once(airflow, tuneway):
    airflow.scenes = [
        ("running", [task("train", "queued")]),
        ("running", [task("train", "deferred", started="2026-11-22T10:00:00Z")]),
        ("running", [task("train", "deferred", started="2026-11-22T10:00:00Z")]),
        ("success", [task("train", "success", started="2026-11-22T10:00:00Z", ended="2026-11-22T10:00:42Z")]),
    ]
    told = tuneway("trigger", "--wait").stderr
    assert told.count("deferred") == 1
    assert "train" in told
    assert "success (42 s)" in told


def test_json_leaves_standard_error_empty(airflow, tuneway):
    done = tuneway("trigger", "--wait", "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["state"] == "success"


@pytest.mark.parametrize("decision", ["fail", "undecided"])
def test_a_gate_that_does_not_say_yes_exits_3(airflow, tuneway, decision):
    airflow.scenes = [("success", DONE)]
    airflow.xcoms["gate"] = {**VERDICT, "decision": decision}
    assert tuneway("trigger", "--wait").exit_code == ExitCode.BELOW_BAR


def test_a_run_without_a_gate_exits_0(airflow, tuneway):
    assert tuneway("trigger", "--wait").exit_code == ExitCode.PASSED


def test_a_failed_run_exits_1_and_names_the_cause_not_the_messenger(airflow, tuneway):
    airflow.scenes = [("failed", [task("train", "failed"), task("finish_run", "failed")])]
    airflow.logs["train"] = [
        {"timestamp": "t", "level": "info", "event": "step 1"},
        {"timestamp": "t", "level": "error", "event": "Task failed",
         "error_detail": [{"exc_type": "AirflowFailException", "exc_value": "The disk is full."}]},
    ]  # fmt: skip
    done = tuneway("trigger", "--wait")
    assert done.exit_code == ExitCode.FAILED
    assert json.loads(done.stdout)["failed_tasks"] == {"train": "The disk is full."}


def test_a_request_that_the_first_task_refuses_exits_2(airflow, tuneway):
    airflow.scenes = [("failed", [task("validate_request", "failed"), task("finish_run", "failed")])]
    assert tuneway("trigger", "--wait").exit_code == ExitCode.REFUSED


@pytest.mark.parametrize("status", [503, 429])
def test_an_airflow_that_dies_with_the_run_s_end_is_waited_for(airflow, tuneway, status):
    airflow.scenes = [("success", DONE)]
    airflow.xcoms["gate"] = VERDICT
    airflow.results_away, airflow.away_status = 2, status
    ended = tuneway("trigger", "--run-id", "r", "--wait", "--json")
    assert ended.exit_code == ExitCode.PASSED
    assert airflow.results_away == 0
    assert json.loads(ended.stdout)["gate"]["decision"] == "pass"


def test_without_wait_it_returns_at_once(airflow, tuneway):
    airflow.scenes = [("running", [])]
    done = tuneway("trigger", "--run-id", "ci-1")
    assert done.exit_code == ExitCode.PASSED
    assert json.loads(done.stdout)["state"] == "queued"


def test_a_timeout_exits_4_and_leaves_the_run_alone(airflow, tuneway):
    airflow.scenes = [("running", [])]
    done = tuneway("trigger", "--wait", "--timeout", "1")
    assert done.exit_code == ExitCode.STILL_RUNNING
    assert json.loads(done.stdout)["state"] == "running"


def test_the_same_id_and_request_again_is_the_same_run(airflow, tuneway):
    for _ in range(2):
        assert tuneway("trigger", "--wait", "--run-id", "ci-1", conf='{"a": 1}').exit_code == ExitCode.PASSED
    assert list(airflow.runs) == ["ci-1"]


def test_the_same_id_with_another_request_is_refused(airflow, tuneway):
    tuneway("trigger", "--run-id", "ci-1", conf='{"a": 1}')
    done = tuneway("trigger", "--run-id", "ci-1", conf='{"a": 2}')
    assert done.exit_code == ExitCode.REFUSED
    assert "different: a" in done.stderr


def test_wait_follows_a_run_that_somebody_else_has_started(airflow, tuneway):
    airflow.runs["other"] = {"conf": {}}
    airflow.scenes = [("running", []), ("success", DONE)]
    airflow.xcoms["gate"] = VERDICT
    assert tuneway("wait", "other").exit_code == ExitCode.PASSED


def test_wait_for_a_run_that_is_not_there_exits_2(tuneway):
    assert tuneway("wait", "nobody").exit_code == ExitCode.REFUSED


def test_a_value_that_airflow_refuses_is_told_in_one_line(tuneway):
    done = tuneway("trigger", conf='{"lora_rank": 0}')
    assert done.exit_code == ExitCode.REFUSED
    assert "0 is less than the minimum of 1" in done.stderr
    assert "Failed validating" not in done.stderr


@pytest.mark.parametrize(("conf", "words"), [("[1]", "not a JSON object"), ("{", "not JSON")])
def test_a_request_that_is_no_object_exits_2(tuneway, conf, words):
    done = tuneway("trigger", conf=conf)
    assert done.exit_code == ExitCode.REFUSED
    assert words in done.stderr


def test_a_missing_request_file_exits_2(airflow, password_file):
    login = ["--url", airflow.url, "--user", "ci", "--password-file", str(password_file)]
    done = CliRunner().invoke(app, ["trigger", "pipeline", "--conf", "missing.json", *login])
    assert done.exit_code == ExitCode.REFUSED
    assert "missing.json" in done.stderr


def test_a_wrong_password_exits_2_and_is_not_repeated(tuneway):
    done = tuneway("trigger", user="eve")
    assert done.exit_code == ExitCode.REFUSED
    assert "right" not in done.output


def test_errors_are_json_too_where_json_was_asked_for(tuneway):
    done = tuneway("trigger", "--json", conf="[1]")
    assert json.loads(done.stdout)["error"]["code"] == "invalid_request"


def test_a_dag_file_that_cannot_be_read_is_told_before_anything_starts(airflow, tuneway):
    airflow.import_errors = [{"filename": "pipeline.py", "stack_trace": "Traceback\nNameError: x"}]
    done = tuneway("trigger", "--run-id", "ci-1")
    assert done.exit_code == ExitCode.REFUSED
    assert "NameError: x" in done.stderr
    assert airflow.runs == {}


def test_a_paused_dag_is_told_instead_of_waiting_without_end(airflow, tuneway):
    airflow.is_paused = True
    done = tuneway("trigger")
    assert done.exit_code == ExitCode.REFUSED
    assert "airflow dags unpause pipeline" in done.stderr


def test_nobody_there_exits_2(password_file):
    login = ["--url", "http://127.0.0.1:9", "--user", "ci", "--password-file", str(password_file)]
    done = CliRunner().invoke(app, ["trigger", "pipeline", *login])
    assert done.exit_code == ExitCode.REFUSED
    assert "Airflow does not answer" in done.stderr


def test_another_machine_without_credentials_is_refused():
    done = CliRunner().invoke(app, ["trigger", "pipeline", "--url", "https://elsewhere.example.kr"])
    assert done.exit_code == ExitCode.REFUSED
    assert "--token" in done.stderr


def test_a_token_comes_from_a_file_or_a_variable_and_never_from_the_command_line(airflow, tmp_path, monkeypatch):
    airflow.valid_tokens = {"secret-token"}
    file = tmp_path / "token"
    file.write_text("secret-token\n", encoding="utf-8")
    monkeypatch.setenv("AIRFLOW_TOKEN", "secret-token")
    for source in [str(file), "AIRFLOW_TOKEN"]:
        done = CliRunner().invoke(app, ["trigger", "pipeline", "--url", airflow.url, "--token", source])
        assert done.exit_code == ExitCode.PASSED, done.output
    done = CliRunner().invoke(app, ["trigger", "pipeline", "--url", airflow.url, "--token", "secret-token"])
    assert done.exit_code == ExitCode.REFUSED
    assert "secret-token" not in done.output


def test_a_token_that_expires_during_the_wait_is_renewed(airflow):
    client = AirflowClient(airflow.url, username="ci", password="right")
    client.trigger("pipeline", "r", {})
    airflow.valid_tokens = set()
    assert client.run("pipeline", "r").state == "success"
    assert airflow.logins == 2


def test_a_token_that_is_from_the_future_since_the_clock_was_set_back_is_renewed(airflow):
    client = AirflowClient(airflow.url, username="ci", password="right")
    client.trigger("pipeline", "r", {})
    airflow.valid_tokens = set()
    airflow.refusal_status, airflow.refusal = 403, "Invalid JWT token"
    assert client.run("pipeline", "r").state == "success"
    assert airflow.logins == 2


def test_an_outage_while_waiting_is_waited_for(airflow):
    client = AirflowClient(airflow.url, username="ci", password="right")
    client.trigger("pipeline", "r", {})
    airflow.outage = 3
    outages: list[UnavailableError] = []
    seen = list(client.follow("pipeline", "r", poll_seconds=0.01, on_unreachable=outages.append))
    assert len(outages) == 3
    assert seen[-1][0].state == "success"


def test_an_outage_without_end_is_an_error(airflow):
    client = AirflowClient(airflow.url, username="ci", password="right")
    client.trigger("pipeline", "r", {})
    airflow.outage = 1_000_000
    with pytest.raises(UnavailableError):
        list(client.follow("pipeline", "r", poll_seconds=0.01, patience_seconds=0.1))


def test_all_pages_of_the_tasks_are_read_in_the_order_of_their_start(airflow):
    client = AirflowClient(airflow.url, username="ci", password="right")
    client.trigger("pipeline", "r", {})
    airflow.scenes = [("running", [
        task("last", None), task("second", "running", started="2026-11-22T10:00:02Z"),
        task("first", "success", started="2026-11-22T10:00:01Z"),
    ])]  # fmt: skip
    assert [found.task_id for found in client.tasks("pipeline", "r")] == ["first", "second", "last"]


def test_a_conflict_with_another_configuration_is_ours_to_name(airflow):
    client = AirflowClient(airflow.url, username="ci", password="right")
    client.trigger("pipeline", "r", {"a": 1})
    with pytest.raises(ConflictError, match="different: a, b"):
        client.trigger("pipeline", "r", {"a": 2, "b": 1})


@pytest.mark.parametrize("url", ["airflow.example.kr", "ftp://airflow.example.kr", "http://", "http://127.0.0.1:99999"])
def test_an_address_that_is_no_url_is_the_users_mistake(url):
    with pytest.raises(InvalidRequestError, match="not a URL"):
        AirflowClient(url, token="t")
