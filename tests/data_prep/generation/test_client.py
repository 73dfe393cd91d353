"""The client against real HTTP servers that misbehave."""

import asyncio
import itertools

import pytest

from contracts.errors import InvalidRequestError, UnavailableError
from contracts.record import JsonObject
from data_prep.generation import client as client_module
from data_prep.generation.client import BusyError, Completion, Constraint, ModelClient, RefusedError
from data_prep.rows import Message
from tests.data_prep.generation.endpoint import endpoint, said
from tests.ports import free_port

SCHEMA: JsonObject = {"type": "object"}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, "FIRST_PAUSE_SECONDS", 0.01)


def ask(url: str, *, attempts: int = 3, api_key: str | None = None, timeout: float = 5.0, times: int = 1):
    """What the client returns, and what it holds the endpoint to at the end."""

    async def go() -> tuple[Completion, Constraint]:
        client = ModelClient(url, "m", api_key=api_key, timeout_seconds=timeout, attempts=attempts, concurrency=2)
        async with client:
            for _ in range(times):
                found = await client.complete([Message("user", "가?")], SCHEMA, temperature=0, max_tokens=9, seed=3)
            return found, client.constraint

    return asyncio.run(go())


def test_the_answer_comes_with_its_tokens():
    with endpoint(lambda _: said("나", "length")) as server:
        completion, constraint = ask(server.url)
    assert completion == Completion("나", "length", 1000, 100, False)
    assert constraint is Constraint.JSON_SCHEMA
    body = server.bodies[0]
    assert (body["model"], body["temperature"], body["max_tokens"], body["seed"]) == ("m", 0, 9, 3)
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_tokens_that_are_not_told_are_reckoned_and_said_to_be():
    with endpoint(lambda _: said("가나다라마바사아", usage=False)) as server:
        completion, _ = ask(server.url)
    assert completion.tokens_estimated
    assert completion.output_tokens == 5


@pytest.mark.parametrize("url", ["{0}", "{0}/", "{0}/chat/completions"])
def test_the_address_may_be_written_in_the_usual_ways(url):
    with endpoint(lambda _: said("나")) as server:
        assert ask(url.format(server.url))[0].text == "나"
        assert ask(server.url.removesuffix("/v1"))[0].text == "나"


def test_the_key_is_sent_and_a_refused_one_is_told_at_once():
    with endpoint(lambda _: (401, {"error": "bad key"})) as server:
        with pytest.raises(InvalidRequestError, match="api_key_file"):
            ask(server.url, api_key="k")
        assert len(server.bodies) == 1
        assert server.headers[0]["Authorization"] == "Bearer k"


@pytest.mark.parametrize(
    "broken", [(500, "x"), (503, ""), (429, {"error": "slow down"}), (200, "<html>"), (200, {}), (200, "")]
)
def test_a_failure_is_tried_again(broken):
    replies = iter([broken, broken, said("나")])
    with endpoint(lambda _: next(replies)) as server:
        assert ask(server.url)[0].text == "나"
        assert len(server.bodies) == 3


def test_a_failure_that_stays_ends_after_the_attempts():
    with endpoint(lambda _: (500, "out of memory")) as server:
        with pytest.raises(BusyError, match="out of memory"):
            ask(server.url)
        assert len(server.bodies) == 3


def test_an_endpoint_that_takes_too_long_is_given_up():
    with endpoint(lambda _: said("나"), delay=1.0) as server, pytest.raises(BusyError):
        ask(server.url, timeout=0.1, attempts=2)


def test_nobody_at_the_address_is_unavailable():
    with pytest.raises(UnavailableError, match="goes on where this one stopped"):
        ask(f"http://127.0.0.1:{free_port()}/v1")


def test_a_question_that_does_not_fit_is_refused_without_another_attempt():
    with endpoint(lambda _: (400, {"error": "maximum context length is 512 tokens"})) as server:
        with pytest.raises(RefusedError, match="context length"):
            ask(server.url)
        assert len(server.bodies) == 1


def test_an_unknown_model_is_told_with_its_name():
    with (
        endpoint(lambda _: (404, {"error": "no such model"})) as server,
        pytest.raises(InvalidRequestError, match="m at"),
    ):
        ask(server.url)


def test_an_endpoint_without_constrained_decoding_is_asked_with_less_and_the_client_remembers():
    def answer(body):
        form = body.get("response_format", {}).get("type")
        return said("나") if form is None else (400, {"error": f"unknown response_format {form}"})

    with endpoint(answer) as server:
        completion, constraint = ask(server.url, attempts=1, times=2)
    assert completion.text == "나"
    assert constraint is Constraint.NONE
    forms = [body.get("response_format", {}).get("type") for body in server.bodies]
    assert forms == ["json_schema", "json_object", None, None]


def test_an_answer_without_end_is_cut(monkeypatch):
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 1000)
    with endpoint(lambda _: said("가" * 2000)) as server, pytest.raises(RefusedError, match="1000 bytes"):
        ask(server.url)


def test_the_pause_that_a_server_asks_for_is_kept_to():
    counter = itertools.count()
    with endpoint(lambda _: said("나") if next(counter) else (429, "")) as server:
        assert ask(server.url)[0].text == "나"


def test_an_address_that_is_none_is_told():
    with pytest.raises(InvalidRequestError, match="no address"):
        ask("http://[::1/v1")
