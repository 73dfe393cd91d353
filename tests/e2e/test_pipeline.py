"""The whole pipeline, as a new user and as CI run it: real Airflow, PostgreSQL, MLflow, model server."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from evaluation.test_cases import read_suite
from settings import SecretName, read_secret
from tests.conftest import REPOSITORY_ROOT
from tests.e2e.conftest import DEMO_RUN

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(3600)]

PARALLELISM = 8
"""Of `airflow.cfg`: tasks at once on a host."""
CASES = REPOSITORY_ROOT / "demo" / "test_cases" / "regulations.jsonl"


def rows(installation, query: str) -> list[tuple[Any, ...]]:
    password = read_secret(installation.settings.secrets_dir, SecretName.POSTGRES_PASSWORD)
    with psycopg.connect(
        host="127.0.0.1",
        port=installation.settings.ports["postgres"],
        user="tuneway",
        password=password,
        dbname="tuneway",
    ) as connection:
        return connection.execute(query).fetchall()


def mlflow(installation, path: str, **query: str) -> dict[str, Any]:
    url = f"{installation.settings.resolved_mlflow_tracking_url}/api/2.0/mlflow/{path}"
    response = httpx.get(url, params=query, timeout=60)
    response.raise_for_status()
    value: dict[str, Any] = response.json()
    return value


def test_the_demo_teaches_the_model_what_the_base_did_not_know(installation, demo):
    summary = installation.summary(DEMO_RUN)
    assert summary["finished"]
    assert summary["accuracy_base"]["n"] == summary["accuracy_tuned"]["n"] == 200
    assert summary["accuracy_base"]["value"] < 0.30
    assert summary["accuracy_tuned"]["value"] >= 0.90
    assert summary["gate"] == "pass"
    assert summary["accuracy_tuned"]["lower"] < summary["accuracy_tuned"]["value"] <= summary["accuracy_tuned"]["upper"]
    suites = summary["other_suites"]
    assert suites["base_knowledge"]["accuracy_tuned"]["value"] >= 0.8
    assert suites["unseen_forms"]["accuracy_tuned"]["value"] > suites["unseen_forms"]["accuracy_base"]["value"]


def test_the_summary_says_what_every_store_says(installation, demo):
    summary = installation.summary(DEMO_RUN)

    assert rows(installation, "SELECT name, version, total_samples FROM training_datasets") == [
        (summary["dataset_name"], summary["dataset_version"], summary["rows_kept"])
    ]
    assert rows(installation, f"SELECT status, mlflow_run_id FROM finetuning_jobs WHERE id = {summary['job_id']}") == [
        ("completed", summary["mlflow_run_id"])
    ]
    assert rows(installation, "SELECT (metrics->>'accuracy')::float FROM model_evaluations") == [
        (summary["accuracy_tuned"]["value"],)
    ]
    assert rows(
        installation,
        f"SELECT model_name, version, mlflow_model_uri FROM model_registry WHERE id = {summary['model_id']}",
    ) == [(summary["model_name"], summary["model_version"], summary["mlflow_model_uri"])]
    assert rows(installation, "SELECT id, status FROM ab_experiments") == [(summary["experiment_id"], "running")]
    assert rows(installation, "SELECT count(*) FROM gpu_leases") == [(0,)]

    run = mlflow(installation, "runs/get", run_id=summary["mlflow_run_id"])["run"]
    metrics = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    assert run["info"]["status"] == "FINISHED"
    assert metrics["accuracy_tuned"] == pytest.approx(summary["accuracy_tuned"]["value"])
    assert metrics["accuracy_base"] == pytest.approx(summary["accuracy_base"]["value"])
    assert metrics["eval_loss"] == pytest.approx(summary["eval_loss"], rel=1e-6)
    version = mlflow(installation, "model-versions/get", name=summary["model_name"], version=summary["model_version"])[
        "model_version"
    ]
    assert version["run_id"] == summary["mlflow_run_id"]

    models = httpx.get(f"{installation.settings.resolved_serving_url}/v1/models", timeout=30).json()
    assert set(summary["arms"].values()) <= {model["id"] for model in models["data"]}
    assert summary["rows_in"] == summary["rows_kept"] + sum(summary["rows_removed"].values())


def test_what_was_judged_is_what_is_served(installation, demo):
    summary = installation.summary(DEMO_RUN)
    stored = rows(installation, "SELECT test_cases FROM model_evaluations")[0][0][:20]
    served = {case["case_id"]: installation.ask(case["question"], summary["arms"]["b"])[0].strip() for case in stored}
    assert served == {case["case_id"]: case["tuned_answer"].strip() for case in stored}


def test_a_user_keeps_one_arm_and_every_answer_and_rating_is_stored(installation, demo):
    serving = installation.settings.resolved_serving_url
    case = read_suite(CASES).cases[0]
    arms: dict[str, set[str]] = {}
    requests = []
    for _ in range(2):
        for number in range(8):
            _, headers = installation.ask(case.question, "auto", user=f"user-{number}")
            arms.setdefault(f"user-{number}", set()).add(headers["x-tuneway-arm"])
            requests.append(headers["x-tuneway-request-id"])
    assert all(len(seen) == 1 for seen in arms.values())
    assert {arm for seen in arms.values() for arm in seen} == {"a", "b"}

    rated = httpx.post(f"{serving}/v1/feedback", json={"request_id": requests[0], "rating": 5, "comment": "정확합니다"})
    assert rated.is_success, rated.text
    names = ", ".join(f"'{request}'" for request in requests)
    deadline = time.monotonic() + 120
    while True:
        stored = rows(installation, f"SELECT request_id, user_rating FROM ab_test_logs WHERE request_id IN ({names})")
        if len(stored) == len(requests) and (requests[0], 5) in stored:
            break
        assert time.monotonic() < deadline, stored
        time.sleep(0.5)


def test_the_demo_tells_a_person_what_it_did(installation, demo):
    summary = installation.summary(DEMO_RUN)
    for words in (
        f"{summary['dataset_name']} {summary['dataset_version']}",
        f"{summary['accuracy_tuned']['value'] * 100:.1f} %",
        "합격",
        summary["arms"]["b"],
        installation.settings.resolved_dashboard_url,
        "tuneway down",
    ):
        assert words in demo.stdout


def measured(installation, name: str, *arguments: str) -> dict[str, Any]:
    """What a benchmark says that runs beside the platform."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=REPOSITORY_ROOT,
        env=installation.environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def test_a_job_created_by_the_api_trains_on_airflow_is_followed_and_stopped(installation, demo):
    dataset = rows(installation, "SELECT id FROM training_datasets ORDER BY id LIMIT 1")[0][0]
    result = measured(installation, "job_calls", "--tiny", "--dataset", str(dataset))
    assert (result["jobs"], result["lines"]) == (2, 50)
    assert result["create_ms"]["most"] < 5000
    jobs = "SELECT status FROM finetuning_jobs WHERE job_name LIKE 'bench-%'"
    deadline = time.monotonic() + 120
    while rows(installation, jobs) != [("stopped",)] * 2:
        assert time.monotonic() < deadline, rows(installation, jobs)
        time.sleep(1)


@pytest.mark.deep
def test_the_mark_costs_at_most_one_right_answer(installation, demo):
    job = installation.summary(DEMO_RUN)["job_id"]
    result = measured(installation, "mark_accuracy", "--job", str(job), "--cases", str(CASES))
    assert abs(result["marked"]["right"] - result["plain"]["right"]) <= 1
    assert abs(result["plain"]["z"]) < 5 < result["marked"]["z"]


def test_tasks_are_forks_of_a_scheduler_that_has_imported_what_they_need(installation, demo):
    scheduler = psutil.Process(installation.supervised_pid("airflow-scheduler"))
    maps = [Path(f"/proc/{process.pid}/maps").read_text() for process in scheduler.children()]
    assert sum("/scipy/" in libraries for libraries in maps) >= PARALLELISM


def test_nothing_listens_beyond_this_machine(installation, demo):
    addresses = installation.listening()
    assert len(addresses) >= 8
    assert {address for address, _ in addresses} <= {"127.0.0.1", "::1"}


@pytest.mark.deep
def test_kills_and_a_restart_of_the_platform_change_nothing_but_the_time(installation, demo, tmp_path):
    first = installation.summary(DEMO_RUN)
    conf = json.loads((REPOSITORY_ROOT / "demo" / "request.json").read_text(encoding="utf-8"))
    conf |= {"dataset_id": first["dataset_id"], "input_files": [], "deploy": False}
    waiting = installation.trigger("e2e-killed", conf, tmp_path)

    total = rows(installation, f"SELECT report->>'steps' FROM finetuning_jobs WHERE id = {first['job_id']}")[0][0]
    folder = installation.wait_for_step("e2e-killed", int(total) // 3)
    installation.kill_trainer(folder)
    installation.wait_for_step("e2e-killed", int(total) // 2)
    os.kill(installation.supervised_pid("airflow-scheduler"), signal.SIGKILL)
    os.kill(installation.supervised_pid("postgres"), signal.SIGKILL)
    installation.wait_for_step("e2e-killed", int(total) * 3 // 4)
    down = installation.tuneway("down")
    assert down.returncode == 0, down.stderr
    up = installation.tuneway("up", "--timeout", "600")
    assert up.returncode == 0, up.stderr

    out, err = waiting.communicate(timeout=2700)
    assert waiting.returncode == 0, out + err
    second = installation.summary("e2e-killed")
    assert second["weights_sha256"] == first["weights_sha256"]
    assert second["accuracy_tuned"]["correct"] == first["accuracy_tuned"]["correct"]
    resumed = rows(
        installation, f"SELECT report->>'resumed_from_step' FROM finetuning_jobs WHERE id = {second['job_id']}"
    )
    assert int(resumed[0][0]) > 0
    assert rows(installation, "SELECT count(*) FROM gpu_leases") == [(0,)]


@pytest.mark.deep
def test_below_the_bar_the_run_ends_green_and_says_why(installation, demo, tmp_path):
    first = installation.summary(DEMO_RUN)
    conf = {
        "dataset_id": first["dataset_id"],
        "base_model": "demo-base",
        "test_suite": str(CASES.relative_to(REPOSITORY_ROOT)),
    }
    # both slots: the variant of two processes
    conf |= {"num_epochs": 0.1, "recipe": "demo-lora", "num_gpus": 2}
    waiting = installation.trigger("e2e-below", conf, tmp_path)
    out, err = waiting.communicate(timeout=1800)
    assert waiting.returncode == 3, out + err
    summary = installation.summary("e2e-below")
    assert summary["finished"]
    assert summary["gate"] == "fail"
    assert summary["model_version"] is None
    assert summary["failed_stage"] is None
    assert any("90" in reason for reason in summary["gate_reasons"])


def test_a_request_with_a_mistake_fails_at_once_with_one_message(installation, demo, tmp_path):
    conf = {"input_files": ["demo/data/regulations.jsonl"], "base_model": "no-such-model"}
    waiting = installation.trigger("e2e-mistake", conf, tmp_path)
    out, err = waiting.communicate(timeout=300)
    assert waiting.returncode == 2, out + err
    assert "no-such-model" in out + err
    assert "demo-base" in out + err  # what there is instead
    assert rows(installation, "SELECT count(*) FROM finetuning_jobs WHERE job_name LIKE '%mistake%'") == [(0,)]


@pytest.mark.deep
def test_real_data_that_no_one_here_wrote_takes_the_same_way(installation, demo, shared_data, tmp_path):
    chatbot = shared_data / "chatbot" / "ChatbotData.csv"
    conf = {
        "dataset_name": "real",
        "input_files": [str(chatbot)],
        "max_rows": 1500,
        "train_ratio": 0.8,
        "val_ratio": 0.1,
        "test_ratio": 0.1,
        "base_model": "demo-base",
        "num_epochs": 1,
        "model_name": "real-assistant",
    }
    waiting = installation.trigger("e2e-chatbot", conf, tmp_path)
    out, err = waiting.communicate(timeout=1800)
    assert waiting.returncode in {0, 3}, out + err
    summary = installation.summary("e2e-chatbot")
    assert summary["finished"]
    assert summary["rows_in"] == 1500
    assert summary["accuracy_tuned"]["n"] > 50
    assert summary["gate"] in {"pass", "fail", "undecided"}


@pytest.mark.deep
def test_real_documents_become_a_dataset_version_by_stage_commands(installation, demo, shared_data, tmp_path):
    def stage(name: str, request: dict[str, Any]) -> dict[str, Any]:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(request, ensure_ascii=False), encoding="utf-8")
        completed = installation.tuneway("stage", name, str(path))
        assert completed.returncode == 0, completed.stderr
        record: dict[str, Any] = json.loads(completed.stdout)
        return record

    bills = next((shared_data / "assembly-bills").glob("*.parquet"))
    template = "의안 {BILL_ID}의 제안 이유를 설명해 주세요."
    imported = stage(
        "import_dataset",
        {
            "dataset_name": "bills",
            "input_files": [str(bills)],
            "columns": {"answer": "propose_reason", "question_template": template},
            "max_rows": 300,
        },
    )
    version = stage("prepare", {"import_id": imported["import_id"], "dataset_name": "bills"})
    report = stage("check_quality", {"dataset_id": version["dataset_id"]})
    assert imported["total_rows"] + imported["broken_rows"] == 300
    assert version["total_samples"] + sum(version["removed"].values()) == 300
    assert version["total_samples"] > 200
    assert report["passed"], report


def test_a_dropped_file_becomes_a_dataset_version(installation, demo):
    drop_dir = installation.settings.drop_dir
    incoming = drop_dir / ".incoming"
    incoming.write_bytes((REPOSITORY_ROOT / "demo" / "data" / "consultations.csv").read_bytes())
    incoming.rename(drop_dir / "dropped__2026-11.csv")

    found: list[tuple[Any, ...]] = []
    deadline = time.monotonic() + 400
    while not found and time.monotonic() < deadline:
        time.sleep(2)
        found = rows(installation, "SELECT total_samples, file_path FROM training_datasets WHERE name = 'dropped'")
    ((total_samples, folder),) = found
    assert total_samples > 50
    assert (Path(folder) / "report.html").is_file()
    assert not list(drop_dir.glob("*.csv"))


@pytest.mark.deep
def test_a_finished_job_is_judged_again_on_a_slice(installation, demo, tmp_path):
    job_id = installation.summary(DEMO_RUN)["job_id"]
    conf = {"job_id": job_id, "test_suite": str(CASES.relative_to(REPOSITORY_ROOT)), "max_cases": 30}
    waiting = installation.trigger("again", conf, tmp_path, dag="evaluate_model")
    out, err = waiting.communicate(timeout=900)
    assert waiting.returncode == 0, out + err
    summary = installation.summary("evaluate_model/again")
    assert summary["accuracy_tuned"]["n"] == 30
    assert summary["gate"] == "pass"


def test_a_refused_approval_leaves_what_is_served(installation, demo, tmp_path):
    before = rows(installation, "SELECT id FROM ab_experiments WHERE status = 'running'")
    # demo's run was the platform's own: the model is of nobody in particular, and an analyst is independent of it
    made = installation.tuneway("user", "add", "reviewer", "--role", "analyst", "--json")
    assert made.returncode == 0, made.stderr
    password = json.loads(made.stdout)["password"]
    conf = {"model_id": installation.summary(DEMO_RUN)["model_id"], "approval_needed": True}
    waiting = installation.trigger("refused", conf, tmp_path, dag="deploy_model")
    url = installation.settings.resolved_airflow_url
    token = httpx.post(f"{url}/auth/token", json={"username": "reviewer", "password": password}).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    path = f"{url}/api/v2/dags/deploy_model/dagRuns/refused/taskInstances/approve_deployment"
    answer = {"chosen_options": ["Reject"], "params_input": {}}
    answered = 0
    while waiting.poll() is None:
        # an answer within a second of the question can meet the executor's late report of the pause: Airflow then
        # tries the task again and asks anew. People are slower, and answer again.
        time.sleep(5)
        if httpx.get(path, headers=headers).json().get("state") == "awaiting_input":
            answered += httpx.patch(f"{path}/-1/hitlDetails", headers=headers, json=answer).is_success
    assert answered

    out, err = waiting.communicate(timeout=600)
    assert waiting.returncode == 0, out + err
    assert rows(installation, "SELECT id FROM ab_experiments WHERE status = 'running'") == before
    stages = rows(installation, "SELECT DISTINCT status FROM pipeline_stages WHERE run_id = 'deploy_model/refused'")
    assert stages == [("skipped",)]


@pytest.mark.deep
def test_a_registered_model_is_deployed_again_by_its_own_dag(installation, demo, tmp_path):
    first = installation.summary(DEMO_RUN)
    conf = {"model_id": first["model_id"], "traffic_to_new": 0.2}
    waiting = installation.trigger("again", conf, tmp_path, dag="deploy_model")
    out, err = waiting.communicate(timeout=900)
    assert waiting.returncode == 0, out + err
    running = rows(installation, "SELECT model_b_id, traffic_split->>'b' FROM ab_experiments WHERE status = 'running'")
    assert running == [(first["model_id"], "0.2")]
    answer, headers = installation.ask("계약 해지는 어느 부서가 담당하나요?", first["arms"]["b"])
    assert answer
    assert headers["x-tuneway-model"]
