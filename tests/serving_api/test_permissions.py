"""Who may call which endpoint: the whole table, asked of the real policies over the real API."""

from datetime import UTC, datetime

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import text

from contracts.access import ResourceKind
from contracts.enums import Arm, JobStatus
from contracts.identity import AccountKind, Role
from contracts.training import TrainRequest
from security.identity.access_tokens import AccessTokens
from serving_api.permissions import OWN, PUBLIC, unguarded
from tests.ports import free_port
from tests.serving_api.running import ADMIN_TOKEN, TOKEN_KEY, add_model, running_service, start_experiment

pytestmark = pytest.mark.slow

# engineer made every thing here and belongs to the project roads; trainer had the models trained
PEOPLE = {
    "admin": (Role.ADMIN, []),
    "engineer": (Role.ML_ENGINEER, ["roads"]),
    "colleague": (Role.ML_ENGINEER, ["roads"]),
    "stranger": (Role.ML_ENGINEER, ["tolls"]),
    "analyst": (Role.ANALYST, ["tolls"]),
    "trainer": (Role.ANALYST, ["roads"]),
    "viewer": (Role.VIEWER, ["roads"]),
    "outsider": (Role.VIEWER, ["tolls"]),
}
ALL = set(PEOPLE)
READERS = ALL - {"stranger", "outsider"}
ENGINEERS = {"admin", "engineer", "colleague", "stranger"}
AT_HAND = {"admin", "engineer", "colleague"}
# who trains does not approve: the engineer made the model at hand
REVIEWERS = {"admin", "analyst", "trainer"}
ADMIN = {"admin"}

TABLE = {
    ("GET", "/training/datasets"): ALL,
    ("POST", "/training/datasets"): ENGINEERS,
    ("GET", "/training/datasets/{dataset_id}"): READERS,
    ("GET", "/training/datasets/{dataset_id}/stats"): READERS,
    ("GET", "/training/datasets/{dataset_id}/versions"): READERS,
    ("GET", "/training/datasets/{dataset_id}/history"): READERS,
    ("GET", "/training/datasets/{dataset_id}/diff/{other_id}"): READERS,
    ("GET", "/training/datasets/{dataset_id}/lineage"): READERS,
    ("POST", "/training/datasets/{dataset_id}/validate"): AT_HAND,
    ("POST", "/training/datasets/{dataset_id}/split"): AT_HAND,
    ("POST", "/training/uploads"): ENGINEERS,
    ("PATCH", "/training/uploads/{upload_id}"): ENGINEERS,
    ("GET", "/training/uploads/{upload_id}"): ENGINEERS,
    ("HEAD", "/training/uploads/{upload_id}"): ENGINEERS,
    ("DELETE", "/training/uploads/{upload_id}"): ENGINEERS,
    ("POST", "/training/uploads/{upload_id}/complete"): ENGINEERS,
    ("GET", "/finetuning/jobs"): ALL,
    ("GET", "/finetuning/jobs/{job_id}"): READERS,
    ("POST", "/finetuning/jobs"): ENGINEERS,
    ("GET", "/finetuning/jobs/{job_id}/logs"): READERS,
    ("GET", "/finetuning/jobs/{job_id}/logs/events"): READERS,
    ("GET", "/finetuning/jobs/{job_id}/metrics"): READERS,
    ("GET", "/finetuning/jobs/{job_id}/metrics/events"): READERS,
    ("POST", "/finetuning/jobs/{job_id}/stop"): AT_HAND,
    ("GET", "/finetuning/jobs/{job_id}/checkpoints"): READERS,
    ("POST", "/finetuning/jobs/{job_id}/resume"): AT_HAND,
    ("POST", "/finetuning/plan"): ENGINEERS,
    ("GET", "/models"): ALL,
    ("GET", "/models/{model_id}"): READERS,
    ("GET", "/models/{model_id}/deployment"): READERS,
    ("POST", "/models/{model_id}/deploy"): REVIEWERS,
    ("POST", "/models/{model_id}/undeploy"): REVIEWERS,
    ("POST", "/models/{model_id}/promote"): REVIEWERS,
    ("POST", "/models/{model_id}/rollback"): REVIEWERS,
    ("GET", "/ab-tests"): ALL,
    ("POST", "/ab-tests"): ENGINEERS | {"analyst", "trainer"},
    ("GET", "/ab-tests/{experiment_id}"): ALL,
    ("GET", "/ab-tests/{experiment_id}/replays"): ALL,
    ("GET", "/ab-tests/{experiment_id}/results"): ALL,
    ("PUT", "/ab-tests/{experiment_id}/traffic"): AT_HAND | {"trainer"},
    ("PUT", "/ab-tests/{experiment_id}/testers/{user}"): AT_HAND | {"trainer"},
    ("POST", "/ab-tests/{experiment_id}/stop"): AT_HAND | {"trainer"},
    ("POST", "/ab-tests/{experiment_id}/arms/{arm}/drop"): AT_HAND | {"trainer"},
    ("POST", "/ab-tests/{experiment_id}/conclude"): {"admin", "analyst"},
    ("POST", "/models/register"): ENGINEERS,
    ("POST", "/models/{model_id}/evaluate"): AT_HAND,
    ("POST", "/models/{model_id}/verify"): AT_HAND | {"analyst", "trainer"},
    ("POST", "/ab-tests/plan"): ENGINEERS | {"analyst", "trainer"},
    ("GET", "/gpus"): ALL,
    ("GET", "/audit"): ADMIN,
    ("GET", "/pipeline-runs"): ALL,
    ("GET", "/pipeline-runs/latest"): ALL,
    ("GET", "/pipeline-runs/{run_id:path}"): ALL,
    ("GET", "/users"): ADMIN,
    ("POST", "/users"): ADMIN,
    ("PATCH", "/users/{username}"): ADMIN,
    ("POST", "/users/{username}/password"): ADMIN,
    ("GET", "/tokens"): ADMIN,
    ("POST", "/tokens"): ADMIN,
    ("DELETE", "/tokens/{prefix}"): ADMIN,
}
PREFIX = "/api/v1/admin"


@pytest.fixture
def things(services):
    """A thing of each kind, all of them the engineer's, and a dataset of nobody's; their numbers."""
    with services.unit_of_work() as uow:
        ids = {
            name: uow.users.add(name, kind=AccountKind.PERSON, role=role, projects=projects, password_hash=None).user_id
            for name, (role, projects) in PEOPLE.items()
        }
        datasets = [
            uow.datasets.add(
                name=name, content_hash="0" * 64, file_path="/d", total_samples=1, train_samples=1, val_samples=0,
                test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
            ).dataset_id
            for name in ("roads", "nobodys")
        ]  # fmt: skip
        request = TrainRequest(job_name="tiny", dataset_id=datasets[0], base_model="demo-base")
        job_id = uow.jobs.create(request, hyperparameters={}, base_model_path="/m")
        # its streams end by themselves
        uow.jobs.fail(job_id, JobStatus.FAILED, {})
    a = add_model(services, "base", "base", "base-aaaa", "http://127.0.0.1:1/v1", Arm.A)
    b = add_model(services, "rules", "1", "rules-v1", "http://127.0.0.1:1/v1", Arm.B)
    experiment = start_experiment(services, a, b)
    with services.unit_of_work() as uow:
        uow.ownership.claim(ResourceKind.DATASET, datasets[0], ids["engineer"])
        uow.ownership.claim(ResourceKind.JOB, job_id, ids["engineer"])
        uow.ownership.claim(ResourceKind.MODEL, a.model_id, ids["engineer"])
        uow.ownership.claim(ResourceKind.MODEL, b.model_id, ids["trainer"])
        uow.ownership.claim(ResourceKind.AB_TEST, experiment.experiment_id, ids["engineer"])
    return {
        "dataset_id": datasets[0], "other_id": datasets[1], "upload_id": "0" * 32, "nobodys": datasets[1], "job_id": job_id, "model_id": a.model_id,
        "experiment_id": experiment.experiment_id, "user": "u", "arm": "b", "run_id:path": "r", "username": "ghost", "prefix": "0" * 12,
    }  # fmt: skip


@pytest.fixture
def served(services, things):
    with running_service(services) as (url, app), httpx.Client(base_url=url, timeout=60) as client:
        yield client, app.control, things


def as_(name):
    token = AccessTokens(TOKEN_KEY).issue(name, "anything", [], "session", datetime.now(UTC))
    return {"Authorization": f"Bearer {token}"}


def admin_endpoints(app):
    return {
        (method, route.path.removeprefix(PREFIX))
        for route in app.routes
        if isinstance(route, APIRoute) and route.path.startswith(PREFIX)
        for method in route.methods
    }


def test_the_table_holds_for_every_endpoint_and_everybody(served):
    client, app, things = served
    assert set(TABLE) == admin_endpoints(app), "give the new endpoint its row: who may call it?"
    wrong = []
    for (method, path), allowed in TABLE.items():
        url = f"{PREFIX}{path.format(**things) if ':' not in path else path.replace('{run_id:path}', 'r')}"
        for name in [*PEOPLE, None]:
            headers = {} if name is None else as_(name)
            # an empty body: whoever is let in changes nothing
            response = client.request(method, url, headers=headers, json=None if method in {"GET", "DELETE"} else {})
            expected = "401" if name is None else "in" if name in allowed else "403"
            found = str(response.status_code) if response.status_code in {401, 403} else "in"
            if found != expected or response.status_code == 500:
                wrong.append((method, path, name, expected, response.status_code, response.text[:200]))
    assert wrong == []


def test_lists_show_what_somebody_may_read_and_nothing_else(served):
    client, _, things = served
    visible = {
        name: {
            row["dataset_id"] for row in client.get(f"{PREFIX}/training/datasets", headers=as_(name)).json()["items"]
        }
        for name in PEOPLE
    }
    both, nobodys = {things["dataset_id"], things["nobodys"]}, {things["nobodys"]}
    assert visible == {name: both if name in READERS else nobodys for name in PEOPLE}
    # the engineer's model and the trainer's: both of the project roads
    models = {
        name: len(client.get(f"{PREFIX}/models", headers=as_(name)).json()["items"]) for name in ("viewer", "outsider")
    }
    assert models == {"viewer": 2, "outsider": 0}


def test_a_keys_scopes_narrow_what_its_account_may(served, services):
    client, _, things = served
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    with services.unit_of_work() as uow:
        uow.session.execute(text("UPDATE api_keys SET scopes = '{job:read}'"))
    assert client.get(f"{PREFIX}/finetuning/jobs/{things['job_id']}", headers=headers).status_code == 200
    assert client.get(f"{PREFIX}/finetuning/jobs", headers=headers).status_code == 200
    for method, path in (("POST", f"/finetuning/jobs/{things['job_id']}/stop"), ("GET", "/models"), ("GET", "/users")):
        assert client.request(method, f"{PREFIX}{path}", headers=headers).status_code == 403, path


def test_what_is_refused_is_in_the_audit_trail(served, services):
    client, _, things = served
    client.post(f"{PREFIX}/finetuning/jobs/{things['job_id']}/stop", headers=as_("viewer"))
    with services.unit_of_work() as uow:
        row = uow.session.execute(
            text("SELECT actor, subject, details FROM audit_logs WHERE action = 'access.refused'")
        )
        assert row.one() == ("viewer", f"job/{things['job_id']}", {"action": "stop", "role": "viewer"})


def test_a_number_no_row_can_have_is_not_there(served):
    client, _, _ = served
    for number in ("99999999999999999999", "-1", "0"):
        assert client.get(f"{PREFIX}/models/{number}", headers=as_("admin")).status_code == 404


def test_without_a_decision_point_everybody_is_refused_with_503(served):
    client, app, things = served
    asked = app.state.decisions
    app.state.decisions = type(asked)(f"http://127.0.0.1:{free_port()}", 20.0)
    for path in ("/training/datasets", "/users", f"/models/{things['model_id']}"):
        response = client.get(f"{PREFIX}{path}", headers=as_("admin"))
        assert (response.status_code, response.json()["code"]) == (503, "unavailable"), path
    app.state.decisions = asked


def test_an_endpoint_without_a_check_is_found(served):
    _, app, _ = served
    assert unguarded(app) == []
    assert {getattr(route, "path", "") for route in app.routes} >= PUBLIC | OWN

    app.add_api_route("/api/v1/admin/planted", lambda: "open to everybody")
    assert unguarded(app) == ["GET /api/v1/admin/planted"]
