"""The service on a port, in a thread of the test's process, and rows for it to route by."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from contracts.enums import Arm, ModelFormat, ModelStatus, ServerBackend
from contracts.experiments import ABExperiment, StartABTestRequest, TrafficSplit
from contracts.identity import AccountKind, Role
from contracts.models import ArmEndpoint, ModelVersion
from contracts.record import utc_now
from security.identity.opaque_tokens import hash_token, key_prefix
from serving_api.app import create_app
from serving_api.control import Control, control_server
from serving_api.control_door import listener
from serving_api.data_path import DataPath
from serving_api.event_mover import EventMover
from serving_api.public import PublicService
from serving_api.routing import Routing, RoutingTable, table_at
from serving_api.serving_state import read_state
from serving_api.user_connection import connections_to
from settings import SecretName
from stages.recorded_text import COLUMNS
from stages.services import Services
from tests.serving_api.policy_server import with_policies

ADMIN_TOKEN = f"twk_0123456789ab_{'a' * 43}"
"""An administrating service account's key."""
TOKEN_KEY = "A" * 43
"""32 bytes of zero: the signing key of the access tokens."""


def make_secrets(folder: Path) -> None:
    """The secrets that the service reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SecretName.TOKEN_KEY.value).write_text(TOKEN_KEY, encoding="utf-8")
    (folder / SecretName.ASSIGNMENT_KEY.value).write_text("a key of the test", encoding="utf-8")


def add_admin_key(services: Services) -> None:
    """A service account `ci` with the key ADMIN_TOKEN."""
    with services.unit_of_work() as uow:
        if uow.users.credentials("ci") is None:
            account = uow.users.add("ci", kind=AccountKind.SERVICE, role=Role.ADMIN, projects=[], password_hash=None)
            uow.api_keys.add(
                prefix=str(key_prefix(ADMIN_TOKEN)),
                key_hash=hash_token(ADMIN_TOKEN),
                user_id=account.user_id,
                name="test",
                scopes=["*:*"],
                expires_at=utc_now() + timedelta(hours=1),
            )


@dataclass(frozen=True, slots=True)
class Running:
    """Both halves of the service, to look inside."""

    routing: Routing
    data_path: DataPath
    mover: EventMover
    control: FastAPI


@contextmanager
def running_service(services: Services, **limits: int) -> Iterator[tuple[str, Running]]:
    """The service's URL, and the service itself; its halves are threads here, joined by the socket as the processes are."""
    services = with_policies(services, **limits)
    make_secrets(services.settings.secrets_dir)
    add_admin_key(services)
    admin = create_app(services)
    public = PublicService(services, None)
    config = uvicorn.Config(
        public,
        loop="uvloop",
        http=connections_to(public.data_path),
        # as the service itself: uvicorn would believe any header of a local caller
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=2,
    )
    with ExitStack() as stack:
        behind = stack.enter_context(listener(services.settings.run_dir))
        stack.enter_context(running_server(control_server(Control(services, admin)), behind))
        front = stack.enter_context(socket.socket())
        front.bind(("127.0.0.1", 0))
        stack.enter_context(running_server(uvicorn.Server(config), front))
        url = f"http://127.0.0.1:{front.getsockname()[1]}"
        wait_until(lambda: _answers(url) and public.routing.table is not None)
        yield url, Running(public.routing, public.data_path, admin.state.mover, admin)


def table_of(services: Services) -> RoutingTable:
    """The routing table as of now."""
    state = read_state(services, utc_now())
    return table_at(state, state.pins, utc_now(), None)


@contextmanager
def running_server(server: uvicorn.Server, listening: socket.socket) -> Iterator[None]:
    """A server in a thread."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(is_true, seconds: float = 60.0) -> None:
    """Look again and again; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def add_model(services: Services, name: str, version: str, served_name: str, base_url: str, arm: Arm) -> ModelVersion:
    """A registered version that answers at `base_url`."""
    with services.unit_of_work() as uow:
        model = uow.models.add(
            model_name=name,
            version=version,
            base_model="tiny",
            base_model_path="/models/tiny",
            finetuning_job_id=None,
            model_path=f"/models/{served_name}",
            model_format=ModelFormat.LORA_ADAPTER,
            model_size_gb=0.1,
            status=ModelStatus.STAGING,
            mlflow_model_uri=None,
            content_hash=f"{served_name}-hash",
        )
        uow.models.set_deployment(
            model.model_id,
            ArmEndpoint(
                arm=arm,
                model_id=model.model_id,
                model_name=name,
                version=version,
                served_model_name=served_name,
                base_url=base_url,
                backend=ServerBackend.EMBEDDED,
            ),
        )
        return model


def start_experiment(services: Services, a: ModelVersion, b: ModelVersion, share_a: float = 0.5) -> ABExperiment:
    """An experiment between two deployed versions."""
    with services.unit_of_work() as uow:
        return uow.experiments.start(
            StartABTestRequest(
                experiment_name=f"test-{a.model_id}-{b.model_id}-{share_a}",
                model_a_id=a.model_id,
                model_b_id=b.model_id,
                traffic_split=TrafficSplit(a=share_a, b=1 - share_a),
            )
        )


def stored_answers(services: Services) -> list[dict[str, Any]]:
    """Every row of ab_test_logs, its texts opened."""
    from sqlalchemy import text

    opened = services.recorded_text.opened

    with services.unit_of_work() as uow:
        rows = uow.session.execute(text("SELECT * FROM ab_test_logs ORDER BY id")).mappings()
        return [
            {
                name: opened(name, row["request_id"], value) if name in COLUMNS and value is not None else value
                for name, value in row.items()
            }
            for row in rows
        ]
