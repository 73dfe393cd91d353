"""The /v1 door: who answers, what is passed through, what is kept."""

import errno
import threading
from datetime import timedelta

import httpx
import pytest
from openai import NotFoundError, OpenAI

from ab_testing.assignment import user_key
from contracts.enums import Arm, ModelStatus
from contracts.experiments import StartABTestRequest
from contracts.record import utc_now
from contracts.traffic import TrafficPlan
from serving_api.event_log import EventLog
from serving_api.routing import table_at
from serving_api.serving_state import read_state
from stages.services import Services
from stages.start_ab_test import start_ab_test
from tests.collector import attributes, collecting
from tests.serving_api.running import (
    ADMIN_TOKEN,
    add_model,
    running_service,
    start_experiment,
    stored_answers,
    wait_until,
)
from tests.serving_api.upstream import PIECES, running_upstream

pytestmark = pytest.mark.slow

QUESTION = [{"role": "system", "content": "짧게"}, {"role": "user", "content": "통행료 환급은 어떻게 합니까?"}]


class Platform:
    """Two upstreams, their models, and the service in front."""

    def __init__(self, services, url, app, upstreams, models) -> None:
        self.services, self.url, self.app = services, url, app
        self.a, self.b = upstreams
        self.model_a, self.model_b = models

    def experiment(self, share_a: float = 0.5):
        started = start_experiment(self.services, self.model_a, self.model_b, share_a)
        wait_until(lambda: started in running_experiments(self.app))
        return started

    def ask(self, as_user: str | None = "kim", **body):
        headers = {} if as_user is None else {"X-Tuneway-User": as_user}
        return httpx.post(
            f"{self.url}/v1/chat/completions", json={"messages": QUESTION, **body}, headers=headers, timeout=30
        )

    def answers(self, count: int):
        wait_until(lambda: len(stored_answers(self.services)) >= count)
        return stored_answers(self.services)


def running_experiments(app):
    return [one.experiment for one in app.routing.table.experiments]


@pytest.fixture
def platform(services):
    with running_upstream("old") as a, running_upstream("new") as b:
        models = (
            add_model(services, "base", "base", "base-aaaa", a.url, Arm.A),
            add_model(services, "rules", "1", "rules-v1-bbbb", b.url, Arm.B),
        )
        with running_service(services) as (url, app):
            yield Platform(services, url, app, (a, b), models)


def test_without_an_experiment_the_default_model_answers(platform):
    response = platform.ask()
    assert response.status_code == 200
    assert response.headers["x-tuneway-model"] == "base-aaaa"
    assert "x-tuneway-arm" not in response.headers
    assert platform.a.asked[0]["model"] == "base-aaaa"


def test_a_production_version_is_the_default_before_arm_a(platform):
    with platform.services.unit_of_work() as uow:
        uow.models.set_status(platform.model_b.model_id, ModelStatus.PRODUCTION)
    wait_until(lambda: platform.app.routing.table.default.model_id == platform.model_b.model_id)
    assert platform.ask().headers["x-tuneway-model"] == "rules-v1-bbbb"


def test_a_user_keeps_the_arm_and_users_are_split(platform):
    platform.experiment()
    first = {f"user-{n}": platform.ask(f"user-{n}").headers["x-tuneway-arm"] for n in range(24)}
    again = {user: platform.ask(user).headers["x-tuneway-arm"] for user in first}
    assert first == again
    assert set(first.values()) == {"a", "b"}


def test_a_pinned_user_keeps_the_arm_when_the_hash_says_otherwise(platform):
    experiment = platform.experiment(share_a=1.0)
    key = user_key("a key of the test", "kim")
    with platform.services.unit_of_work() as uow:
        uow.experiments.pin_user(experiment.experiment_id, key, Arm.B)
    with running_service(platform.services) as (url, _):
        response = httpx.post(
            f"{url}/v1/chat/completions", json={"messages": QUESTION}, headers={"X-Tuneway-User": "kim"}
        )
    assert response.headers["x-tuneway-arm"] == "b"


def test_the_user_may_stand_in_the_body_and_every_new_user_is_pinned(platform):
    experiment = platform.experiment()
    in_header = platform.ask("lee").headers["x-tuneway-arm"]
    in_body = platform.ask(None, user="lee").headers["x-tuneway-arm"]
    assert in_header == in_body

    def pinned():
        with platform.services.unit_of_work() as uow:
            return uow.experiments.pinned(experiment.experiment_id)

    wait_until(lambda: len(pinned()) == 1)
    assert list(pinned().values()) == [in_header]
    assert "lee" not in str(pinned())


def test_an_answer_passes_through_byte_for_byte_and_is_stored(platform):
    experiment = platform.experiment(share_a=0.0)
    response = platform.ask("kim", temperature=0, x_unknown=[1, 2])
    direct = httpx.post(f"{platform.b.url}/chat/completions", json={"messages": QUESTION, "model": "rules-v1-bbbb"})
    assert response.content == direct.content
    assert platform.b.asked[0] == {
        "messages": QUESTION,
        "temperature": 0,
        "x_unknown": [1, 2],
        "model": "rules-v1-bbbb",
    }
    (row,) = platform.answers(1)
    assert row["request_id"] == response.headers["x-tuneway-request-id"]
    assert row["experiment_id"] == experiment.experiment_id
    assert (row["variant"], row["assigned_variant"], row["model_id"]) == ("b", "b", platform.model_b.model_id)
    assert row["query"] == QUESTION[1]["content"]
    assert row["response"] == "new: " + "".join(PIECES)
    assert row["response_time_ms"] >= 0


def test_a_streamed_answer_passes_through_and_its_text_is_stored(platform):
    platform.experiment(share_a=0.0)
    client = OpenAI(base_url=f"{platform.url}/v1", api_key="none")
    stream = client.chat.completions.create(model="auto", messages=QUESTION, stream=True, user="kim")
    text = "".join(piece.choices[0].delta.content or "" for piece in stream)
    (row,) = platform.answers(1)
    assert text == "new: " + "".join(PIECES)
    assert row["response"] == text
    assert row["variant"] == "b"


def test_the_official_client_lists_models_and_asks_one_by_name(platform):
    platform.experiment(share_a=1.0)
    client = OpenAI(base_url=f"{platform.url}/v1", api_key="none")
    assert [model.id for model in client.models.list()] == ["auto", "base-aaaa", "rules-v1-bbbb"]
    answer = client.chat.completions.create(model="rules-v1-bbbb", messages=QUESTION, user="kim")
    assert answer.choices[0].message.content == "new: " + "".join(PIECES)
    (row,) = platform.answers(1)
    assert (row["experiment_id"], row["variant"]) == (None, None)
    with pytest.raises(NotFoundError, match="not deployed"):
        client.chat.completions.create(model="nobody", messages=QUESTION)


def test_an_arm_that_is_away_is_never_answered_by_the_other_and_its_users_count_as_failed(platform):
    platform.experiment(share_a=0.0)
    platform.b.mode = "unavailable"
    response = platform.ask()
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    assert platform.a.asked == []
    (row,) = platform.answers(1)
    assert (row["variant"], row["assigned_variant"], row["status"]) == (None, "b", "failed")
    assert (row["model_id"], row["query"], row["response"]) == (platform.model_b.model_id, QUESTION[1]["content"], "")


def test_the_official_client_completes_texts_and_embeds(platform):
    platform.experiment(share_a=0.0)
    client = OpenAI(base_url=f"{platform.url}/v1", api_key="none")
    whole = client.completions.create(model="auto", prompt="통행료 환급은", user="kim")
    stream = client.completions.create(model="auto", prompt="통행료 환급은", user="kim", stream=True)
    text = "new: " + "".join(PIECES)
    assert whole.choices[0].text == text
    assert "".join(piece.choices[0].text for piece in stream) == text
    vectors = client.embeddings.create(model="auto", input=["통행료", "환급"], encoding_format="float", user="kim")
    assert vectors.data[0].embedding == [0.25, -0.5]
    completed, streamed, embedded = platform.answers(3)
    assert (completed["response"], completed["query"], completed["variant"]) == (text, "통행료 환급은", "b")
    assert (completed["prompt_tokens"], completed["completion_tokens"], completed["first_token_ms"]) == (3, 6, None)
    assert (streamed["response"], streamed["completion_tokens"]) == (text, 1 + len(PIECES))
    assert 0 <= streamed["first_token_ms"] <= streamed["response_time_ms"]
    # the arms' vectors have nothing in common: the default model embeds for everyone
    assert (embedded["query"], embedded["response"], embedded["variant"]) == ("통행료\n환급", "", None)
    assert embedded["model_id"] == platform.model_a.model_id
    assert {row["table_version"] for row in (completed, streamed, embedded)} == {platform.app.routing.table.version}
    assert {row["status"] for row in (completed, streamed, embedded)} == {"complete"}


def test_a_model_asked_by_name_is_never_replaced(platform):
    platform.b.mode = "unavailable"
    response = platform.ask(model="rules-v1-bbbb")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "upstream_unavailable"
    assert platform.a.asked == []


def test_with_both_arms_away_the_error_has_openais_shape(platform):
    platform.experiment()
    platform.a.mode = platform.b.mode = "unavailable"
    error = platform.ask().json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "try again" in error["message"]


def test_an_answer_that_breaks_off_ends_with_an_error_and_counts_in_no_arm(platform):
    platform.experiment(share_a=0.0)
    platform.b.mode = "break"
    with httpx.stream(
        "POST", f"{platform.url}/v1/chat/completions", json={"messages": QUESTION, "stream": True}
    ) as response:
        lines = [line for line in response.iter_lines() if line]
    assert response.headers["x-tuneway-arm"] == "b"
    assert "upstream_broken" in lines[-1]
    assert "[DONE]" not in "".join(lines)
    assert platform.a.asked == []
    (row,) = platform.answers(1)
    assert (row["variant"], row["assigned_variant"], row["response"]) == (None, "b", "new: ")


@pytest.mark.parametrize(("mode", "stream"), [("slow", False), ("slow", True), ("endless", True)])
def test_a_user_who_leaves_ends_the_work_upstream(platform, mode, stream):
    platform.a.mode = mode

    def leave():
        with (
            pytest.raises(httpx.ReadTimeout),
            httpx.stream(
                "POST",
                f"{platform.url}/v1/chat/completions",
                json={"messages": QUESTION, "stream": stream},
                timeout=httpx.Timeout(5, read=0.5),
            ) as response,
        ):
            for _ in response.iter_bytes():
                pass

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    wait_until(lambda: len(platform.a.left) == 1)
    wait_until(lambda: platform.app.data_path.in_flight == 0)


def test_a_rating_is_stored_with_its_comment_and_may_be_changed(platform):
    platform.experiment(share_a=0.0)
    request_id = platform.ask().headers["x-tuneway-request-id"]
    for rating, comment in ((2, None), (5, "정확합니다")):
        body = {"request_id": request_id, "rating": rating, "comment": comment}
        response = httpx.post(f"{platform.url}/v1/feedback", json=body)
        assert response.json() == {"request_id": request_id, "rating": rating, "stored": True}
    wait_until(lambda: platform.answers(1)[0]["user_rating"] == 5)
    assert platform.answers(1)[0]["user_feedback"] == "정확합니다"


def test_a_rating_that_the_disk_does_not_take_is_not_acknowledged(platform, monkeypatch):
    request_id = platform.ask().headers["x-tuneway-request-id"]

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(EventLog, "append_durably", full)
        response = httpx.post(f"{platform.url}/v1/feedback", json={"request_id": request_id, "rating": 4})
    assert response.status_code == 503
    assert "the disk is full; rate again later" in response.json()["error"]["message"]


def test_every_answer_leaves_a_span_where_all_are_traced_and_none_waits_for_it(services):
    with collecting() as collector, running_upstream("only") as server:
        add_model(services, "base", "base", "base-aaaa", server.url, Arm.A)
        told = services.settings.model_copy(update={"traces_url": collector.url, "traced_answers": 1.0})
        with running_service(Services(told)) as (url, app):
            body = {"model": "auto", "messages": [{"role": "user", "content": "통행료는?"}]}
            answers = [httpx.post(f"{url}/v1/chat/completions", json=body) for _ in range(3)]
            collector.wait_for(3)
            assert not app.mover.is_behind
    spans = [span for _, span in collector.received if span.name == "answer"]
    assert {attributes(span)["tuneway.request_id"] for span in spans} == {
        answer.headers["x-tuneway-request-id"] for answer in answers
    }
    assert {attributes(span)["tuneway.status"] for span in spans} == {"complete"}
    assert "통행료" not in str(spans)


@pytest.mark.parametrize("rating", [0, 6, 3.5, "5", True, None])
def test_a_rating_that_is_no_whole_number_from_1_to_5_is_refused(platform, rating):
    request_id = platform.ask().headers["x-tuneway-request-id"]
    response = httpx.post(f"{platform.url}/v1/feedback", json={"request_id": request_id, "rating": rating})
    assert response.status_code == 400
    assert "1 to 5" in response.json()["error"]["message"]


def test_a_rating_of_an_answer_that_was_never_given_is_refused(platform):
    request_id = platform.ask().headers["x-tuneway-request-id"]
    forged = request_id[:-1] + ("0" if request_id[-1] != "0" else "1")
    response = httpx.post(f"{platform.url}/v1/feedback", json={"request_id": forged, "rating": 5})
    assert response.status_code == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b"{}", "messages"),
        (b'{"messages": []}', "messages"),
        (b'{"messages": [{}], "user": 5}', "user"),
    ],
)
def test_a_body_that_is_no_question_is_refused(platform, body, said):
    response = httpx.post(f"{platform.url}/v1/chat/completions", content=body)
    assert response.status_code == 400
    assert said in response.json()["error"]["message"]


def test_unknown_paths_and_methods_say_what_there_is(platform):
    assert "POST /v1/feedback" in httpx.get(f"{platform.url}/v1/nothing").json()["error"]["message"]
    assert httpx.get(f"{platform.url}/v1/feedback").status_code == 405


def test_what_was_counted_is_told_by_the_process_that_counts(platform):
    platform.ask()
    platform.answers(1)
    wait_until(lambda: "tuneway_events_waiting_bytes 0\n" in httpx.get(f"{platform.url}/metrics").text)
    text = httpx.get(f"{platform.url}/metrics").text
    assert 'tuneway_answers_total{arm="none",model="base-aaaa",status="complete"} 1\n' in text
    assert "tuneway_events_behind 0\n" in text
    assert httpx.head(f"{platform.url}/metrics").content == b""


def test_before_any_deployment_the_answer_says_so(services):
    with running_service(services) as (url, _):
        response = httpx.post(f"{url}/v1/chat/completions", json={"messages": QUESTION})
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "no_model_deployed"
        assert httpx.get(f"{url}/ready").status_code == 503
        assert httpx.get(f"{url}/health").json()["status"] == "ok"


def test_a_plan_says_who_takes_part_and_testers_count_in_no_comparison(platform):
    experiment = platform.experiment(share_a=0.0)
    admin = httpx.Client(
        base_url=f"{platform.url}/api/v1/admin/ab-tests/{experiment.experiment_id}",
        headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
    )
    assert platform.ask("early").headers["x-tuneway-arm"] == "b"

    version = platform.app.routing.table.version
    assert admin.put("traffic", json={"holdout": 0.5, "ramp": [{"share_b": 0.5}]}).status_code == 200
    assert admin.put("testers/kim", params={"arm": "a"}).status_code == 200
    wait_until(lambda: platform.app.routing.table.testers != {})
    assert platform.app.routing.table.version != version
    tester, early = platform.ask("kim"), platform.ask("early")
    assert (tester.headers["x-tuneway-arm"], early.headers["x-tuneway-arm"]) == ("a", "b")
    users = [f"user-{number}" for number in range(24)]
    shown = [platform.ask(user).headers.get("x-tuneway-arm") for user in users]
    rows = platform.answers(27)
    exposure = {row["request_id"]: row["exposure"] for row in rows}
    assert exposure[tester.headers["x-tuneway-request-id"]] == "override"
    assert set(exposure.values()) == {"assigned", "override", "holdout", "not_yet"}
    assert [row["variant"] for row in rows if row["exposure"] != "assigned"] == [None] * (27 - 2 - shown.count("b"))
    assert {row["experiment_id"] for row in rows} == {experiment.experiment_id}

    assert (
        admin.put("traffic", json={"ramp": [{"share_b": 0.5}, {"share_b": 0.1, "after_hours": 1}]}).status_code == 422
    )
    assert admin.put("traffic", json={"ends_at": "2020-01-01T00:00:00Z"}).status_code == 200
    wait_until(lambda: not running_experiments(platform.app))
    assert "x-tuneway-arm" not in platform.ask("early").headers


def test_experiments_run_beside_each_other_and_a_later_one_moves_nobody(platform):
    ids = platform.model_a.model_id, platform.model_b.model_id
    users = [f"user-{number}" for number in range(40)]

    def start(name: str) -> int:
        request = StartABTestRequest(
            experiment_name=name, model_a_id=ids[0], model_b_id=ids[1], target_samples=None, layer_share=0.4
        )
        started = start_ab_test(request, platform.services)
        wait_until(lambda: started in running_experiments(platform.app))
        return started.experiment_id

    def shown() -> dict[str, tuple[int | None, str | None]]:
        asked = {user: platform.ask(user).headers["x-tuneway-request-id"] for user in users}
        rows = {row["request_id"]: row for row in platform.answers(len(stored_answers(platform.services)))}
        wait_until(
            lambda: (
                rows.update({r["request_id"]: r for r in stored_answers(platform.services)})
                or (set(asked.values()) <= set(rows))
            )
        )
        return {user: (rows[asked[user]]["experiment_id"], rows[asked[user]]["variant"]) for user in users}

    first = start("first")
    alone = shown()
    second = start("second")
    beside = shown()
    assert {number for number, _ in alone.values()} == {first, None}
    assert {number for number, _ in beside.values()} == {first, second, None}
    assert {user: got for user, got in alone.items() if got[0]} == {
        user: got for user, got in beside.items() if got[0] == first
    }
    assert {got for got in beside.values() if got[0] is None} == {(None, None)}


def test_a_test_ends_by_the_clock_while_postgresql_is_away(platform):
    platform.experiment(share_a=0.0)
    state = read_state(platform.services, utc_now())
    ends_at = utc_now() + timedelta(hours=1)
    experiment = state.experiments[0].model_copy(update={"traffic": TrafficPlan(ends_at=ends_at)})
    known = state.model_copy(update={"experiments": [experiment]})
    before = table_at(known, known.pins, ends_at - timedelta(seconds=1), None)
    assert [one.experiment for one in before.experiments] == [experiment]
    after = table_at(known, known.pins, ends_at, before)
    assert after.experiments == ()
    assert after.version != before.version
    assert table_at(known, known.pins, ends_at + timedelta(days=1), after) is after
