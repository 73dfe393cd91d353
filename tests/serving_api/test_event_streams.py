"""Whoever follows a job sees each line once and soon, also after a lost connection, until the job is over."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import text

from contracts.record import utc_now
from contracts.training import TrainRequest
from serving_api import event_streams
from storage.files import write_json_atomically, write_text_atomically
from tests.serving_api.running import ADMIN_TOKEN, running_service, wait_until
from tests.stages.test_jobs import make_job

pytestmark = pytest.mark.slow


@pytest.fixture
def job(services):
    """A job with a row, and the folder of its first attempt."""
    with services.unit_of_work() as uow:
        dataset = uow.datasets.add(
            name="tiny", content_hash="0" * 64, file_path="/d", total_samples=1, train_samples=1, val_samples=0,
            test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
        )  # fmt: skip
        request = TrainRequest(job_name="tolls", dataset_id=dataset.dataset_id, base_model="tiny")
        number = uow.jobs.create(request, hyperparameters={}, base_model_path="/m")
    folder = make_job(services.settings, number)
    folder.attempt(1).root.mkdir()
    return number, folder


@pytest.fixture
def client(services, job):
    with (
        running_service(services) as (url, _),
        httpx.Client(
            base_url=f"{url}/api/v1/admin/finetuning/jobs/{job[0]}",
            headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
            timeout=60,
        ) as client,
    ):
        yield client


def write(path, lines):
    with path.open("a", encoding="utf-8") as stream:
        for line in lines:
            stream.write(line)
            stream.flush()


def end(folder, attempt, state, finished_at=None):
    """The attempt ends; None: just now."""
    moment = (finished_at or utc_now()).isoformat()
    write_json_atomically(
        folder.attempt(attempt).exit, {"state": state, "exit_code": 0, "finished_at": moment, "error": None}
    )


def events(response):
    """Each event as (name, id, data, when it came), as they come; comments as ("comment", None, text, when)."""
    name, number, data = "message", None, list[str]()
    for line in response.iter_lines():
        if line == "":
            if data:
                yield name, number, "\n".join(data), time.monotonic()
            name, data = "message", []
        elif line.startswith(":"):
            yield "comment", None, line, time.monotonic()
        else:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "id":
                number = value
            elif field == "data":
                data.append(value)


def followed(client, path, last_id=None, until=lambda event: False):
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    found = []
    with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        for event in events(response):
            found.append(event)
            if until(event):
                break
    return found


def lines_of(found):
    return [line for name, _, data, _ in found if name == "log" for line in data.split("\n")]


def test_lines_arrive_while_the_job_writes_and_the_stream_ends_with_it(client, job):
    _, folder = job
    log, written = folder.attempt(1).log, {}

    def train():
        for number in range(150):
            written[f"step {number}"] = time.monotonic()
            write(log, [f"step {number}\n"])
            time.sleep(0.02)
        write(log, ["done, without a line feed"])
        end(folder, 1, "succeeded")

    log.touch()
    trainer = threading.Thread(target=train)
    with client.stream("GET", "/logs/events") as response:
        trainer.start()
        found = list(events(response))
    trainer.join()
    assert lines_of(found) == [*written, "done, without a line feed"]
    assert [name for name, *_ in found][-1] == "end"
    assert json.loads(found[-1][2]) == {"state": "succeeded"}
    # how soon is measured by benchmarks/job_calls.py
    assert found[0][3] < written["step 149"]


def test_after_a_lost_connection_no_line_is_missing_or_comes_twice(client, job):
    _, folder = job
    expected = [f"한국어 줄 {number}" for number in range(60)]
    found, last_id = [], None
    for part in range(0, 60, 20):
        write(folder.attempt(1).log, [f"{line}\n" for line in expected[part : part + 20]])
        got = followed(client, "/logs/events", last_id, until=lambda event, last=expected[part + 19]: last in event[2])
        found += lines_of(got)
        last_id = got[-1][1]
    assert found == expected
    end(folder, 1, "stopped")
    # whoever has seen everything is told not to come again
    assert client.get("/logs/events", headers={"Last-Event-ID": last_id}).status_code == 204
    assert [name for name, *_ in followed(client, "/logs/events")] == ["log", "end"]
    wrong = client.get("/logs/events", headers={"Last-Event-ID": "yesterday"})
    assert (wrong.status_code, "Last-Event-ID" in wrong.json()["next_step"]) == (422, True)


def test_the_next_attempt_follows_in_the_same_stream(client, job):
    _, folder = job
    write(folder.attempt(1).log, ["first attempt\n"])
    end(folder, 1, "lost")

    def go_on():
        time.sleep(0.5)
        submission = json.loads(folder.submission.read_text())
        folder.attempt(2).root.mkdir()
        write(folder.attempt(2).log, ["second attempt\n"])
        write_json_atomically(folder.submission, {**submission, "attempt": 2})
        end(folder, 2, "succeeded")

    later = threading.Thread(target=go_on)
    later.start()
    found = followed(client, "/logs/events")
    later.join()
    assert lines_of(found) == ["first attempt", "second attempt"]
    assert [number for name, number, *_ in found if name == "log"] == ["1-14", "2-15"]


def test_the_polled_log_is_its_last_lines_and_says_where_the_stream_goes_on(client, job):
    _, folder = job
    write(folder.attempt(1).log, [f"{number}\n" for number in range(300)])
    write(folder.attempt(1).log, [" 10 %\r 50 %\r100 %\n", "not whole"])
    polled = client.get("/logs", params={"lines": 3}).json()
    assert polled["lines"] == ["298", "299", "100 %"]
    assert len(client.get("/logs").json()["lines"]) == 100
    end(folder, 1, "succeeded")
    assert lines_of(followed(client, "/logs/events", polled["last_id"])) == ["not whole"]


def metric(step, **values):
    return json.dumps({"step": step, "epoch": step / 10, "timestamp": "2026-11-28T00:00:00+00:00", **values}) + "\n"


def test_metrics_are_series_and_follow_as_they_are_logged(client, job):
    _, folder = job
    write(folder.metrics, [metric(1, loss=3.0), metric(2, loss=2.0, eval_loss=2.5, perplexity=12.18)])
    polled = client.get("/metrics").json()
    assert polled["series"]["loss"] == [[1, 3.0], [2, 2.0]]
    assert (polled["series"]["perplexity"], "timestamp" in polled["series"]) == ([[2, 12.18]], False)

    write(folder.metrics, [metric(3, loss=1.0)])
    got = followed(client, "/metrics/events", polled["last_id"], until=lambda event: event[0] == "metrics")
    assert [point["step"] for point in json.loads(got[-1][2])] == [3]

    # the training goes back to step 1
    write_text_atomically(folder.metrics, metric(1, loss=3.0))
    again = followed(client, "/metrics/events", got[-1][1], until=lambda event: event[0] == "metrics")
    assert [name for name, *_ in again] == ["reset", "metrics"]
    assert [point["step"] for point in json.loads(again[-1][2])] == [1]
    end(folder, 1, "succeeded")
    assert [name for name, *_ in followed(client, "/metrics/events")] == ["metrics", "end"]


def test_series_are_thinned_to_the_points_that_are_asked_for(client, job):
    write(job[1].metrics, [metric(step, loss=float(step)) for step in range(1, 1001)])
    series = client.get("/metrics", params={"points": 11}).json()["series"]["loss"]
    assert (len(series), series[0], series[-1]) == (11, [1, 1.0], [1000, 1000.0])


def test_a_silent_stream_beats_and_ends_for_whoever_may_not_see_it_any_more(client, job, services, monkeypatch):
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(event_streams, "ADMISSION_SECONDS", 0.3)
    seen = []
    with client.stream("GET", "/logs/events") as response:
        for event in events(response):
            seen.append(event[0])
            if seen.count("comment") == 3:
                with services.unit_of_work() as uow:
                    uow.session.execute(text("UPDATE api_keys SET revoked_at = now()"))
    assert seen[-1] == "refused"


def test_a_job_that_ends_before_it_begins_ends_its_stream(services, job, client, monkeypatch):
    with services.unit_of_work() as uow:
        number = uow.jobs.create(
            TrainRequest(job_name="other", dataset_id=1, base_model="tiny"), hyperparameters={}, base_model_path="/m"
        )
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 0.1)
    with client.stream("GET", f"{str(client.base_url).replace(f'/{job[0]}/', f'/{number}')}/logs/events") as response:
        for name, _, data, _ in events(response):
            if name == "comment":
                with services.unit_of_work() as uow:
                    uow.session.execute(text("UPDATE finetuning_jobs SET status = 'failed'"))
            else:
                assert (name, json.loads(data)) == ("end", {"state": "failed"})


def test_clients_that_wait_hold_no_threads_and_keep_nobody_out(client, job, monkeypatch):
    folder = job[1]
    folder.attempt(1).log.touch()
    monkeypatch.setattr(event_streams, "MOST_STREAMS", 60)
    before = threading.active_count()
    url, headers = str(client.base_url), dict(client.headers)

    def follow(_):
        with httpx.Client(base_url=url, headers=headers, timeout=120) as own:
            return lines_of(followed(own, "/logs/events"))

    with ThreadPoolExecutor(60) as pool:
        following = [pool.submit(follow, number) for number in range(60)]
        wait_until(lambda: event_streams._open_streams == 60, 120)
        # 60 of our own, at most 40 of the endpoints, 6 that look into files
        assert threading.active_count() - before - 60 < 50
        assert client.get("/logs").status_code == 200
        one_more = client.get("/logs/events")
        assert (one_more.status_code, one_more.json()["code"]) == (429, "too_many_requests")
        write(folder.attempt(1).log, ["line\n"])
        end(folder, 1, "succeeded")
        assert [one.result() for one in following] == [["line"]] * 60
    wait_until(lambda: event_streams._open_streams == 0, 60)
