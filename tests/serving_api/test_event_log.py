"""Nothing that was acknowledged is lost."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import httpx
import orjson
import pytest

from contracts.enums import Arm
from contracts.errors import UnavailableError
from database.embedded import EmbeddedPostgres
from database.migrate import upgrade
from database.unit_of_work import engine_for
from serving_api.control_process import MODULE
from serving_api.event_log import EventLog, line_with_body, segments_of
from serving_api.event_mover import BATCH_CHUNKS, CHUNK_EVENTS, EventMover, RefusedEventError, and_tell
from serving_api.held_events import PatientEventLog
from serving_api.request_ids import is_request_id, new_request_id
from settings import load_settings
from stages.services import open_services
from storage.processes import start_ticks
from tests.faults.faults import fill
from tests.ports import free_port
from tests.serving_api.running import (
    add_model,
    make_secrets,
    running_service,
    start_experiment,
    stored_answers,
    wait_until,
)
from tests.serving_api.upstream import running_upstream


class Store:
    """Stands for PostgreSQL: takes events, is away, or refuses those marked `poison`."""

    def __init__(self) -> None:
        self.stored: list[dict[str, object]] = []
        self.is_away = False

    def __call__(self, chunks: Iterable[list[dict[str, object]]]) -> None:
        if self.is_away:
            raise UnavailableError("PostgreSQL does not answer")
        events = list(chain.from_iterable(chunks))
        if any(event.get("poison") for event in events):
            raise RefusedEventError("The event cannot be stored")
        self.stored.extend(events)


@contextmanager
def moved_to(store: Store, folder: Path) -> Iterator[tuple[EventLog, EventMover]]:
    """A journal and what moves it; at the end all of it has been moved."""
    log, mover = EventLog(folder), EventMover(folder, store)
    log.start()
    mover.start()
    yield log, mover
    log.close()
    mover.close()


def left_by_a_killed_process(folder: Path, *events: dict[str, object]) -> Path:
    """The segment."""
    log = EventLog(folder)
    log.append_all(events)
    # as the kernel does with the files of a process that has ended
    log.close()
    return segments_of(folder)[-1]


def test_events_are_stored_in_the_order_they_were_written(tmp_path):
    store = Store()
    with moved_to(store, tmp_path) as (log, _):
        for number in range(1000):
            log.append({"n": number})
    assert [event["n"] for event in store.stored] == list(range(1000))
    assert log.pending_bytes == 0


def test_events_wait_on_disk_while_postgresql_is_away(tmp_path):
    store = Store()
    store.is_away = True
    with moved_to(store, tmp_path) as (log, mover):
        log.append({"n": 1})
        wait_until(lambda: mover.is_behind)
        log.append({"n": 2})
        assert store.stored == []
        store.is_away = False
        wait_until(lambda: len(store.stored) == 2)
        wait_until(lambda: not mover.is_behind)
    assert [event["n"] for event in store.stored] == [1, 2]


def test_what_a_killed_process_left_is_stored_by_the_next(tmp_path):
    store = Store()
    left_by_a_killed_process(tmp_path, {"n": 1}, {"n": 2})
    with moved_to(store, tmp_path) as (log, _):
        log.append_durably({"n": 3})
    assert [event["n"] for event in store.stored] == [1, 2, 3]


def test_a_segment_that_is_being_written_stays_and_one_process_moves_at_a_time(tmp_path):
    first, second = Store(), Store()
    writing = EventLog(tmp_path)
    writing.append({"n": 1})
    with moved_to(first, tmp_path) as (log, _):
        log.append({"n": 2})
        wait_until(lambda: len(first.stored) == 1)
        later = EventMover(tmp_path, second)
        later.start()
        time.sleep(0.5)
        assert second.stored == []
        assert writing.pending_bytes > 0
    writing.close()
    wait_until(lambda: len(second.stored) == 1)
    later.close()
    assert [event["n"] for event in (*first.stored, *second.stored)] == [2, 1]


def test_a_line_cut_off_by_a_crash_is_set_aside_and_the_rest_is_stored(tmp_path):
    (tmp_path / "00000000000000000001.jsonl").write_bytes(b'{"n":1}\n{"n":2,"te')
    store = Store()
    with moved_to(store, tmp_path):
        pass
    assert store.stored == [{"n": 1}]
    refused = orjson.loads((tmp_path / "refused.jsonl").read_bytes())
    assert refused["event"]["line"] == '{"n":2,"te'


def test_an_event_that_can_never_be_stored_does_not_hold_up_the_others(tmp_path):
    store = Store()
    left_by_a_killed_process(tmp_path, {"n": 1}, {"n": 2, "poison": True}, {"n": 3})
    with moved_to(store, tmp_path):
        pass
    assert [event["n"] for event in store.stored] == [1, 3]
    assert orjson.loads((tmp_path / "refused.jsonl").read_bytes())["event"]["n"] == 2


def test_of_several_transactions_each_event_is_stored_once_and_each_damage_is_set_aside_once(tmp_path):
    a_transaction = BATCH_CHUNKS * CHUNK_EVENTS
    events = [{"n": number} for number in range(2 * a_transaction + 5)]
    events[a_transaction + 7] |= {"poison": True}
    lines = [orjson.dumps(event) for event in events]
    lines[3] = lines[3][:-1]
    (tmp_path / "00000000000000000001.jsonl").write_bytes(b"\n".join(lines) + b'\n{"n":')
    store = Store()
    with moved_to(store, tmp_path):
        pass
    assert store.stored == [event for event in events if event["n"] not in (3, a_transaction + 7)]
    refused = [orjson.loads(line) for line in (tmp_path / "refused.jsonl").read_bytes().splitlines()]
    assert [each["event"] for each in refused] == [
        events[a_transaction + 7],
        {"line": '{"n":3\n'},
        {"line": '{"n":'},
    ]


@pytest.mark.parametrize("at", ["find", "tell"])
def test_what_looks_at_stored_events_holds_up_none_when_it_fails(tmp_path, caplog, at):
    def fail(_: object) -> None:
        raise ValueError("a fault")

    def look(_: object) -> None:
        return None

    store = Store()
    looked_at = and_tell(store, fail if at == "find" else look, fail if at == "tell" else look)
    left_by_a_killed_process(tmp_path, {"n": 1}, {"n": 2})
    mover = EventMover(tmp_path, looked_at)
    mover.start()
    mover.close()
    assert store.stored == [{"n": 1}, {"n": 2}]
    assert segments_of(tmp_path) == []
    assert "a fault" in caplog.text


def test_an_answer_is_kept_as_it_came_and_one_cut_short_does_not_spoil_the_next(tmp_path):
    store = Store()
    body = b'data: {"a":1}\r\n\r\n{"n":9}\n\x00\xed\x86'
    segment = left_by_a_killed_process(tmp_path, {"n": 1, "body": body}, {"n": 2, "body": b""}, {"n": 3})
    whole = segment.read_bytes()
    segment.write_bytes(whole + whole[: whole.index(b"data:") + 9] + b"\n" + whole)
    with moved_to(store, tmp_path):
        pass
    kept = [{"body": body, "n": 1}, {"body": b"", "n": 2}, {"n": 3}]
    assert store.stored == kept * 2
    refused = orjson.loads((tmp_path / "refused.jsonl").read_bytes().splitlines()[0])
    assert refused["reason"] == "cut off in the middle"


def test_a_query_beside_its_body_is_given_back_and_never_taken_for_an_event_where_a_crash_cut_the_journal(tmp_path):
    store = Store()
    query, body = '통행료"\n{"n":7}\n', b'{"choices":[]}'
    lines = [line_with_body(b'{"n":1,', {}, body, query), line_with_body(b'{"n":2,', {}, b"", "")]
    lines += [line_with_body(b'{"n":3,', {"query": "환급"}, body), line_with_body(b'{"n":4,', {}, body, "요금은")]
    cut = line_with_body(b'{"n":5,', {}, body, query)[:-9]
    (tmp_path / "00000000000000000001.jsonl").write_bytes(b"".join([*lines, cut]))
    with moved_to(store, tmp_path):
        pass
    assert store.stored == [
        {"n": 1, "query": query.encode(), "body": body},
        {"n": 2, "query": b"", "body": b""},
        # as a service of before has left it
        {"n": 3, "query": "환급", "body": body},
        {"n": 4, "query": "요금은".encode(), "body": body},
    ]
    (refused,) = (tmp_path / "refused.jsonl").read_bytes().splitlines()
    assert orjson.loads(refused)["event"]["line"] == cut.decode()


def test_writers_of_several_threads_do_not_mix_their_lines(tmp_path):
    store = Store()
    with moved_to(store, tmp_path) as (log, _):

        def write(writer: int) -> None:
            for number in range(200):
                log.append({"writer": writer, "n": number, "text": "가" * 500})

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(store.stored) == 800
    assert not (tmp_path / "refused.jsonl").exists()


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own, with these limits."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_without_room_for_another_file_delays_the_storing_and_nothing_more(tmp_path):
    store = Store()
    with small_disk(tmp_path / "disk", "size=4m,nr_inodes=12") as disk, moved_to(store, disk / "events") as (log, _):
        log.append({"n": 0})
        wait_until(lambda: store.stored)
        taken = []
        with pytest.raises(OSError, match="No space left"):
            for number in range(20):
                taken.append(disk / f"another-{number}")
                taken[-1].touch()
        for number in range(1, 50):
            log.append({"n": number})
            time.sleep(0.02)
        for path in taken:
            path.unlink(missing_ok=True)
        wait_until(lambda: len(store.stored) == 50, 20)
    assert [event["n"] for event in store.stored] == list(range(50))


@pytest.mark.slow
def test_a_full_disk_keeps_whole_what_was_written_and_takes_more_once_there_is_room(tmp_path):
    store = Store()
    with small_disk(tmp_path / "disk", "size=256k") as disk, moved_to(store, disk / "events") as (log, _):
        store.is_away = True
        filler, written = disk / "filler", 0
        filler.write_bytes(bytes(150_000))
        with pytest.raises(OSError, match="No space left"):
            for written in range(1000):
                log.append({"n": written, "text": "가" * 500})
        assert written > 10
        filler.unlink()
        log.append({"n": written, "text": "room again"})
        store.is_away = False
        wait_until(lambda: len(store.stored) == written + 1, 20)
    assert [event["n"] for event in store.stored] == list(range(written + 1))
    assert not (disk / "events" / "refused.jsonl").exists()


@pytest.mark.slow
def test_what_a_full_disk_does_not_take_is_held_and_written_in_its_order_once_there_is_room(tmp_path):
    store = Store()

    async def answer_on_a_full_disk(log: EventLog, disk: Path) -> None:
        patient = PatientEventLog(log)
        patient.append_all([{"n": 0}])
        filler = disk / "filler"
        fill(filler)
        for number in range(1, 20):
            patient.append_all([{"n": number, "text": "가" * 2000}])
        assert patient.held >= 18
        assert not patient.flush()
        filler.unlink()
        # an event that comes now waits its turn
        patient.append_all([{"n": 20}])
        assert patient.held >= 19
        async with asyncio.timeout(10):
            while patient.held:
                await asyncio.sleep(0.05)

    with small_disk(tmp_path / "disk", "size=256k") as disk, moved_to(store, disk / "events") as (log, _):
        asyncio.run(answer_on_a_full_disk(log, disk))
        wait_until(lambda: len(store.stored) == 21, 20)
    assert [event["n"] for event in store.stored] == list(range(21))


@pytest.mark.slow
def test_what_is_held_does_not_grow_beyond_its_bound_and_what_is_lost_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("serving_api.held_events.MAX_HELD_BYTES", 50_000)

    async def answer_on_a_full_disk(log: EventLog, disk: Path) -> PatientEventLog:
        patient = PatientEventLog(log)
        fill(disk / "filler")
        for number in range(20):
            patient.append_all([{"n": number, "text": "가" * 2000}])
        patient.close()
        return patient

    with small_disk(tmp_path / "disk", "size=256k") as disk:
        log = EventLog(disk / "events")
        patient = asyncio.run(answer_on_a_full_disk(log, disk))
        log.close()
    # 6 KB each
    assert (patient.held, patient.lost) == (8, 12)


def test_request_ids_are_recognised_and_cannot_be_made_without_the_key():
    ids = {new_request_id(b"key") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(is_request_id(b"key", text) for text in ids)
    assert not any(is_request_id(b"other", text) for text in ids)
    assert not is_request_id(b"key", "")
    assert not is_request_id(b"key", "tw-한글")


class Users:
    """Some who ask and rate without a pause until they are told to stop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ratings: dict[str, int | None] = {}
        """By the request ids of the whole answers that they got; None where no rating was confirmed."""
        self.statuses: list[int] = []
        self._has_stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(number,), daemon=True) for number in range(6)]
        for thread in self._threads:
            thread.start()

    def _ask_on(self, number: int) -> None:
        rating = 1 + number % 5
        with httpx.Client(base_url=self.url, timeout=30, headers={"X-Tuneway-User": f"u{number}"}) as client:
            while not self._has_stopped.is_set():
                try:
                    answer = client.post("/v1/chat/completions", json=QUESTION)
                    self.statuses.append(answer.status_code)
                    request_id = answer.headers["x-tuneway-request-id"]
                    self.ratings[request_id] = None
                    rated = client.post("/v1/feedback", json={"request_id": request_id, "rating": rating})
                    self.statuses.append(rated.status_code)
                    self.ratings[request_id] = rating
                except httpx.TransportError:
                    return

    def stop(self) -> None:
        """Let each get the answer it waits for."""
        self._has_stopped.set()
        for thread in self._threads:
            thread.join()

    def lack(self, services) -> list[str]:
        """Answers and ratings that they were told of and that are not stored."""
        stored = {row["request_id"]: row["user_rating"] for row in stored_answers(services)}
        return [
            request_id
            for request_id, rating in self.ratings.items()
            if request_id not in stored or (rating is not None and stored[request_id] != rating)
        ]


QUESTION = {"messages": [{"role": "user", "content": "환급은 며칠 걸립니까?"}]}


@pytest.mark.slow
def test_answers_and_ratings_outlive_a_killed_postgresql(tmp_path, monkeypatch):
    postgres = EmbeddedPostgres(tmp_path / "postgres", "127.0.0.1", free_port(), "a-password")
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    postgres.initialise()
    process = start_postgres(postgres)
    postgres.create_database("tuneway")
    url = postgres.url("tuneway")
    upgrade(url)
    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TUNEWAY_DATABASE_URL", url)
    services = open_services(load_settings())
    try:
        with running_upstream("old") as a, running_upstream("new") as b:
            models = [
                add_model(services, "m", str(number), f"m-{number}", upstream.url, arm)
                for number, (upstream, arm) in enumerate(((a, Arm.A), (b, Arm.B)))
            ]
            start_experiment(services, models[0], models[1])
            with running_service(services) as (service_url, app):
                users = Users(service_url)
                wait_until(lambda: len(users.ratings) > 20, 60)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                before = len(users.ratings)
                wait_until(lambda: len(users.ratings) > before + 20, 60)
                users.stop()
                assert set(users.statuses) == {200}
                wait_until(lambda: app.mover.is_behind, 30)
                wait_until(lambda: httpx.get(f"{service_url}/ready").json()["events_waiting"] is True)
                process = start_postgres(postgres)
                wait_until(lambda: not app.mover.is_behind, 60)
        assert users.lack(services) == []
    finally:
        engine_for(url).dispose()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def start_postgres(postgres: EmbeddedPostgres) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        postgres.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    postgres.wait_until_ready()
    return process


@pytest.mark.slow
def test_answers_and_ratings_outlive_a_killed_service_and_a_stopped_one_ends_what_it_began(services, monkeypatch):
    port = free_port()
    monkeypatch.setenv("TUNEWAY_SERVING_PORT", str(port))
    make_secrets(services.settings.secrets_dir)
    with running_upstream("old") as upstream:
        add_model(services, "m", "1", "m-1", upstream.url, Arm.A)
        crowds = []
        for _ in range(2):
            service = start_service(port)
            crowds.append(users := Users(f"http://127.0.0.1:{port}"))
            wait_until(lambda users=users: len(users.ratings) > 40, 60)
            os.kill(service.pid, signal.SIGKILL)
            service.wait()
            users.stop()
        service = start_service(port)
        try:
            wait_until(lambda: [users.lack(services) for users in crowds] == [[], []], 30)
            wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/ready").json()["events_waiting_bytes"] == 0)
            known = len(stored_answers(services))
            upstream.mode, upstream.slow_s = "slow", 3.0
            url = f"http://127.0.0.1:{port}"
            late: list[int] = []
            user = threading.Thread(
                target=lambda: late.append(httpx.post(f"{url}/v1/chat/completions", json=QUESTION).status_code)
            )
            user.start()
            wait_until(lambda: httpx.get(f"{url}/ready").json()["requests_in_flight"] == 1)
        finally:
            service.terminate()
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 503)
        assert httpx.post(f"{url}/v1/chat/completions", json=QUESTION).json()["error"]["code"] == "stopping"
        # uvicorn shuts down in order and then ends by the signal it got
        assert service.wait(timeout=30) == -signal.SIGTERM
        user.join()
        assert late == [200]
        wait_until(lambda: len(stored_answers(services)) == known + 1)


@pytest.mark.slow
def test_questions_and_ratings_go_on_while_the_control_process_is_killed(services, monkeypatch):
    port = free_port()
    monkeypatch.setenv("TUNEWAY_SERVING_PORT", str(port))
    make_secrets(services.settings.secrets_dir)
    url = f"http://127.0.0.1:{port}"
    with running_upstream("old") as upstream:
        add_model(services, "m", "1", "m-1", upstream.url, Arm.A)
        service = start_service(port)
        try:
            users = Users(url)
            before = len(users.ratings)
            control = wait_for_control_of(service.pid)
            os.kill(control, signal.SIGKILL)
            wait_until(lambda: len(users.ratings) > before + 20, 60)
            # whoever comes meanwhile waits for the next one, or is told to come again
            wait_until(lambda: httpx.get(f"{url}/health", timeout=60).status_code == 200, 60)
            assert wait_for_control_of(service.pid) != control
            users.stop()
            assert set(users.statuses) == {200}
            wait_until(lambda: users.lack(services) == [], 30)
            # it does not outlive the process that started it, whatever ends that one
            control = wait_for_control_of(service.pid)
            os.kill(service.pid, signal.SIGKILL)
            wait_until(lambda: start_ticks(control) is None, 30)
        finally:
            service.kill()
            service.wait()


def wait_for_control_of(pid: int) -> int:
    """Process id of the control process."""
    found: list[int] = []

    def is_there() -> bool:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        found[:] = [int(child) for child in children if MODULE.encode() in Path(f"/proc/{child}/cmdline").read_bytes()]
        return bool(found)

    wait_until(is_there)
    return found[0]


def start_service(port: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(load_settings().repository_root)}
    service = subprocess.Popen([sys.executable, "-m", "serving_api"], env=environment)
    deadline = time.monotonic() + 180
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200:
                return service
        except httpx.TransportError:
            pass
        assert service.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
