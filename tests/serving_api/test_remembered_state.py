"""A router that starts again knows where questions go before PostgreSQL has answered."""

import errno
import os
import signal
import time
from collections.abc import Collection

import httpx
import pytest

from contracts.enums import Arm
from contracts.errors import UnavailableError
from contracts.record import utc_now
from database.embedded import EmbeddedPostgres
from database.migrate import upgrade
from database.unit_of_work import engine_for
from serving_api import remembered_state
from serving_api.chat_access import ChatAccess
from serving_api.remembered_state import MAX_AGE_SECONDS, RememberedState
from serving_api.routing import Routing, RunningExperiment
from serving_api.serving_state import ChatKey, ServingState, read_state
from settings import Settings, load_settings
from stages.services import open_services
from tests.ports import free_port
from tests.serving_api.running import add_model, make_secrets, start_experiment, wait_until
from tests.serving_api.test_event_log import QUESTION, start_postgres, start_service
from tests.serving_api.upstream import running_upstream

EMPTY = ServingState(deployed=[], production={}, experiments=[], pins={}, chat_keys={})


class Told:
    """Stands for the control process: what it tells, and which pins it was not asked for."""

    def __init__(self) -> None:
        self.state: ServingState | None = None
        self.known: list[list[int]] = []

    async def __call__(self, known: Collection[int]) -> ServingState:
        self.known.append(sorted(known))
        if self.state is None:
            raise UnavailableError("The control process does not answer")
        return self.state


@pytest.fixture
def state(services) -> ServingState:
    """Two models in an A/B test, and a user of each arm."""
    a, b = (add_model(services, "m", str(n), f"m-{n}", f"http://127.0.0.1:{n}/v1", arm) for n, arm in enumerate(Arm))
    experiment = start_experiment(services, a, b)
    with services.unit_of_work() as uow:
        number = experiment.experiment_id
        uow.experiments.pin_users(
            [{"experiment_id": number, "user_key": user, "variant": arm} for user, arm in (("kim", "a"), ("lee", "b"))]
        )
    return read_state(services, utc_now())


async def routing_after(remembered: RememberedState, told: Told) -> tuple[Routing, ChatAccess]:
    access = ChatAccess(Settings())
    routing = Routing(told, access, remembered)
    routing._recall()
    await routing.refresh()
    return routing, access


def only_test(routing: Routing) -> RunningExperiment:
    assert routing.table is not None
    (running,) = routing.table.experiments
    return running


async def test_the_table_pins_and_keys_of_before_hold_until_postgresql_is_read(tmp_path, state):
    path = tmp_path / "state.json"
    told = Told()
    told.state = state
    first, _ = await routing_after(RememberedState(path), told)
    only_test(first).pins["park"] = "a"
    assert path.stat().st_mode & 0o777 == 0o600
    number = state.experiments[0].experiment_id

    away = Told()
    again, access = await routing_after(RememberedState(path), away)
    assert (again.is_remembered, again.database_answers) == (True, False)
    assert only_test(again).experiment == only_test(first).experiment
    assert access.keys == {}
    pins = only_test(again).pins
    # park's pin is in the journal, and follows from the split
    assert pins == {"kim": "a", "lee": "b"}

    pins["choi"] = "b"
    # meanwhile kim was forgotten here and another host gave a pin
    away.state = state.model_copy(update={"pins": {number: {"lee": "a", "yoon": "a"}}})
    await again.refresh()
    assert not again.is_remembered
    assert only_test(again).pins == {"choi": "b", "lee": "a", "yoon": "a"}
    await again.refresh()
    assert away.known == [[], [], [number]]
    kept = RememberedState(path).recall()
    assert kept is not None
    assert kept.pins == {number: {"choi": "b", "lee": "a", "yoon": "a"}}


async def test_what_is_old_damaged_or_from_another_time_is_not_taken(tmp_path, caplog):
    path = tmp_path / "run" / "state.json"
    remembered = RememberedState(path)
    assert not remembered.confirm(EMPTY)
    assert remembered.recall() is None
    remembered.keep(EMPTY, {})
    assert remembered.recall() == EMPTY
    now = time.time()
    for moment, taken in ((-MAX_AGE_SECONDS - 5, False), (60, False), (-MAX_AGE_SECONDS + 60, True)):
        os.utime(path, (now + moment, now + moment))
        assert (remembered.recall() is not None) is taken
    os.utime(path, (now - 2 * MAX_AGE_SECONDS,) * 2)
    assert remembered.confirm(EMPTY)
    assert remembered.recall() == EMPTY
    assert caplog.records == []
    path.write_text("{", encoding="utf-8")
    assert remembered.recall() is None
    assert "cannot be read" in caplog.text
    routing, _ = await routing_after(remembered, Told())
    assert routing.table is None


async def test_a_key_that_was_revoked_is_not_remembered_though_the_table_is_the_same(tmp_path, state):
    path, told = tmp_path / "state.json", Told()
    key = ChatKey(prefix="twk_1", expires_at=time.time() + 3600)
    told.state = state.model_copy(update={"chat_keys": {"one": key, "two": key}})
    routing, _ = await routing_after(RememberedState(path), told)
    only_test(routing).pins["park"] = "a"
    table, written = routing.table, path.read_bytes()
    await routing.refresh()
    assert path.read_bytes() == written
    told.state = state.model_copy(update={"chat_keys": {"two": key}, "is_behind": True, "pins": {}})
    await routing.refresh()
    assert routing.table is table
    kept = RememberedState(path).recall()
    assert kept is not None
    assert list(kept.chat_keys) == ["two"]
    assert kept.pins == {state.experiments[0].experiment_id: {"kim": "a", "lee": "b", "park": "a"}}


def test_a_full_disk_leaves_no_old_state_that_looks_new(tmp_path, caplog, monkeypatch):
    def full(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "state.json"
    remembered = RememberedState(path)
    remembered.keep(EMPTY, {})
    changed = EMPTY.model_copy(update={"production": {1: 1}})
    with monkeypatch.context() as patched:
        patched.setattr(remembered_state, "write_bytes_atomically", full)
        for _ in range(2):
            assert not remembered.confirm(changed)
            remembered.keep(changed, {})
    assert remembered.recall() is None
    assert caplog.text.count("cannot be kept") == 1
    remembered.keep(changed, {})
    assert remembered.confirm(changed)
    assert remembered.recall() == changed


@pytest.mark.slow
def test_a_killed_service_that_starts_while_postgresql_is_away_answers_and_loses_no_row(tmp_path, monkeypatch):
    postgres = EmbeddedPostgres(tmp_path / "postgres", "127.0.0.1", free_port(), "a-password")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    postgres.initialise()
    process = start_postgres(postgres)
    postgres.create_database("tuneway")
    url, port = postgres.url("tuneway"), free_port()
    upgrade(url)
    for name, value in (("DATA_DIR", tmp_path / "data"), ("DATABASE_URL", url), ("SERVING_PORT", port)):
        monkeypatch.setenv(f"TUNEWAY_{name}", str(value))
    services = open_services(load_settings())
    make_secrets(services.settings.secrets_dir)
    ask = f"http://127.0.0.1:{port}/v1/chat/completions"
    with running_upstream("only") as upstream:
        add_model(services, "m", "1", "m-1", upstream.url, Arm.A)
        service = start_service(port)
        try:
            assert httpx.post(ask, json=QUESTION).status_code == 200
            wait_until((services.settings.run_dir / "serving_state.json").exists)
            os.kill(service.pid, signal.SIGKILL)
            service.wait()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            service = start_service(port)
            answer = httpx.post(ask, json=QUESTION)
            assert answer.status_code == 200
            assert httpx.get(f"http://127.0.0.1:{port}/ready").json()["is_remembered"] is True
            process = start_postgres(postgres)
            wait_until(lambda: not httpx.get(f"http://127.0.0.1:{port}/ready").json()["is_remembered"])
            wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/ready").json()["events_waiting_bytes"] == 0)
            assert httpx.post(ask, json=QUESTION).status_code == 200
        finally:
            service.kill()
            service.wait()
            with services.unit_of_work() as uow:
                rows = uow.session.connection().exec_driver_sql("SELECT request_id FROM ab_test_logs").scalars().all()
            engine_for(url).dispose()
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
    assert answer.headers["x-tuneway-request-id"] in rows
