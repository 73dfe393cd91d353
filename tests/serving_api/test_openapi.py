"""Whatever is sent to any endpoint by anybody: no failure of the service, no answer outside its OpenAPI, no way around the policies."""

from collections import Counter
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from security.identity.access_tokens import AccessTokens
from serving_api.permissions import OWN, PUBLIC
from settings import load_settings
from stages.services import open_services
from tests.ports import free_port
from tests.serving_api.running import TOKEN_KEY, running_service
from tests.serving_api.test_permissions import PEOPLE, PREFIX, TABLE, things

__all__ = ["things"]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
NOBODY = "nobody"
ASKERS = [NOBODY, "viewer", "outsider", "analyst", "engineer", "stranger", "admin"]


@pytest.fixture
def installation(services, monkeypatch):
    """Nothing around the service answers: MLflow, Airflow and the runner are away."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("TUNEWAY_AIRFLOW_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return open_services(load_settings())


@pytest.fixture
def served(installation, things):
    with running_service(installation) as (url, app), httpx.Client(base_url=url, timeout=60) as client:
        schema = schemathesis.openapi.from_dict(_readable(client.get("/openapi.json").json()))
        schema.config.update(base_url=url)
        yield client, app.control, schema, things


def _readable(schema):
    """The description with tuples said otherwise: schemathesis 4.32.5 rewrites `prefixItems` and then refuses the result."""
    if isinstance(schema, list):
        return [_readable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    said = {name: _readable(part) for name, part in schema.items()}
    if isinstance(tuples := said.pop("prefixItems", None), list):
        said["items"] = {"anyOf": tuples}
    return said


def credentials(asker):
    if asker == NOBODY:
        return {}
    # a session of its own: one that ends takes no other with it
    token = AccessTokens(TOKEN_KEY).issue(asker, "anything", [], uuid4().hex, datetime.now(UTC))
    return {"Authorization": f"Bearer {token}"}


def may(asker, method, path):
    """Whether the table of permissions lets the asker in, where the thing is the one of the table."""
    if path in PUBLIC:
        return True
    if path in OWN:
        return asker != NOBODY
    return asker in TABLE[method, path.removeprefix(PREFIX)]


def walk(served, examples):
    """Every operation with so many generated requests, in turn by everybody; the answers' status codes by asker."""
    _, app, schema, things = served
    route_paths = {route.path.replace(":path}", "}"): route.path for route in app.routes if isinstance(route, APIRoute)}
    seen: Counter[tuple[str, int]] = Counter()
    faults: list[str] = []
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= len(TABLE)
    for operation in operations:
        path = route_paths[operation.path]
        faults += _faults_of(operation, path, things, examples, seen)
    return seen, faults


def _faults_of(operation, path, things, examples, seen):
    faults = []
    asked = iter(range(10**9))

    @settings(
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(case=_valid_or_not(operation), is_real=st.booleans())
    def ask(case, is_real):
        asker = ASKERS[next(asked) % len(ASKERS)]
        if is_real:
            names = [name for name in case.path_parameters or {} if name in things]
            case.path_parameters.update({name: things[name] for name in names})
        if "dry_run" in (case.query or {}):
            case.query["dry_run"] = False  # a process of its own each time
        response = case.call(headers=credentials(asker), timeout=60)
        seen[asker, response.status_code] += 1
        told = f"{operation.label} as {asker}: {response.status_code}"
        if response.status_code < 400 and not may(asker, operation.method.upper(), path):
            faults.append(f"{told}: a hole")
        try:
            case.validate_response(response, checks=CHECKS)
        except AssertionError as error:
            faults.append(f"{told}: {error}")
        except BaseExceptionGroup as group:
            faults.extend(f"{told}: {error}" for error in group.exceptions)

    ask()
    return faults


def _valid_or_not(operation):
    """Requests as the description has them, and such as it forbids."""
    valid = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    forbidden = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return st.one_of(valid, forbidden)


def test_no_request_breaks_the_service_its_description_or_the_policies(served):
    seen, faults = walk(served, examples=2 * len(ASKERS))
    assert faults == [], "\n\n".join(faults[:20])
    assert {asker for asker, _ in seen} == set(ASKERS)
    # nobody is told 401, or reads what is public
    assert {status for asker, status in seen if asker == NOBODY} <= {200, 401, 422}
    assert sum(count for (_, status), count in seen.items() if status == 200) > 20, seen


@pytest.mark.deep
@pytest.mark.timeout(7200)
def test_no_request_of_very_many_does(served):
    _, faults = walk(served, examples=60 * len(ASKERS))
    assert faults == [], "\n\n".join(faults[:20])


def test_an_endpoint_without_a_check_is_entered_by_nobody_and_found_by_asking(served):
    client, app, _, _ = served
    assert entered_by_nobody(client, app) == []
    app.add_api_route("/api/v1/admin/planted", lambda: "open to everybody")
    assert entered_by_nobody(client, app) == ["GET /api/v1/admin/planted"]


def entered_by_nobody(client, app):
    """Endpoints that answer a caller without credentials with anything but 401, though they are not public."""
    found = []
    for route in app.routes:
        if not isinstance(route, APIRoute) or route.path in PUBLIC:
            continue
        address = route.path.replace(":path", "")
        for name in route.param_convertors:
            address = address.replace(f"{{{name}}}", "1")
        for method in sorted(route.methods):
            for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
                response = client.request(method, address, headers=headers)
                if response.status_code != 401 and f"{method} {route.path}" not in found:
                    found.append(f"{method} {route.path}")
    return found


def test_the_askers_are_people_of_the_table():
    assert set(ASKERS) - {NOBODY} <= set(PEOPLE)
