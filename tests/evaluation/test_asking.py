"""Asking a model server: what is sent, what is tried again, what is reported."""

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from contracts.errors import ConflictError, InvalidRequestError, UnavailableError
from contracts.evaluation import TestCase
from evaluation import asking
from evaluation.asking import Answer, ask_async, chosen_for_repetition
from storage.journal import KeyedJournal
from tests.ports import free_port

CASES = [TestCase(id=f"c-{n}", question=f"{n}번 서식의 보존 기간은?", accepted_answers=["5년"]) for n in range(20)]

Body = dict[str, Any]
Reply = Callable[[Body, int], web.Response]


class ChatServer:
    """A small OpenAI endpoint of ours, over real HTTP, that can be told to misbehave."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.bodies: list[Body] = []
        self.at_once = self.most_at_once = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.005)
        self.at_once -= 1
        return self.reply(body, len(self.bodies))


def _says(text: str) -> web.Response:
    return web.json_response({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})


def _echo(body: Body, _number: int) -> web.Response:
    return _says("답: " + body["messages"][-1]["content"])


@asynccontextmanager
async def _serving(reply: Reply):
    server = ChatServer(reply)
    application = web.Application()
    application.router.add_post("/v1/chat/completions", server.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield server, f"http://127.0.0.1:{port}/v1"
    finally:
        await runner.cleanup()


@pytest.fixture
def short_pauses(monkeypatch):
    monkeypatch.setattr(asking, "FIRST_PAUSE_SECONDS", 0.01)


async def test_answers_come_in_the_order_of_the_cases_and_a_tenth_is_asked_twice():
    seen = []
    async with _serving(_echo) as (server, url):
        answers = await ask_async(
            CASES, endpoint_url=url, model="tuned", concurrency=4, on_progress=lambda *step: seen.append(step)
        )
    assert [answer.text for answer in answers] == [f"답: {case.question}" for case in CASES]
    assert len(server.bodies) == 22
    assert sum(answer.repeated_text is not None for answer in answers) == 2
    assert seen == [(done, 22) for done in range(1, 23)]
    assert server.most_at_once <= 4


async def test_a_question_is_asked_as_in_training_at_temperature_zero():
    async with _serving(_echo) as (server, url):
        await ask_async(
            CASES[:1], endpoint_url=url, model="tuned", system_prompt="규정 안내 담당자입니다.", max_answer_tokens=7
        )
        await ask_async(CASES[:1], endpoint_url=url.removesuffix("/v1"), model="tuned")
    assert server.bodies[0] == {
        "model": "tuned",
        "messages": [
            {"role": "system", "content": "규정 안내 담당자입니다."},
            {"role": "user", "content": "0번 서식의 보존 기간은?"},
        ],
        "temperature": 0,
        "max_tokens": 7,
    }
    assert [message["role"] for message in server.bodies[-1]["messages"]] == ["user"]


async def test_an_answer_that_changes_when_asked_again_is_unstable():
    async with _serving(lambda _body, number: _says(f"답 {number}")) as (_, url):
        answers = await ask_async(CASES, endpoint_url=url, model="tuned")
    assert sum(answer.is_unstable for answer in answers) == 2
    assert not Answer("c", "같음", "stop", 1.0, repeated_text="같음").is_unstable
    assert not Answer("c", "한 번", "stop", 1.0).is_unstable


async def test_a_server_that_is_busy_or_drops_the_connection_is_asked_again(short_pauses):
    def stumble(body: Body, number: int) -> web.Response:
        return _echo(body, number) if number > 2 else web.Response(status=503, text="loading")

    async with _serving(stumble) as (server, url):
        answers = await ask_async(CASES[:1], endpoint_url=url, model="tuned")
    assert answers[0].text == "답: 0번 서식의 보존 기간은?"
    assert len(server.bodies) == 4  # case and repetition were each refused once


async def test_a_server_that_comes_back_within_the_pauses_is_bridged(monkeypatch):
    monkeypatch.setattr(asking, "FIRST_PAUSE_SECONDS", 0.1)
    port = free_port()
    question = asyncio.create_task(
        ask_async(CASES[:1], endpoint_url=f"http://127.0.0.1:{port}/v1", model="tuned", timeout_seconds=5)
    )
    await asyncio.sleep(0.2)
    server = ChatServer(_echo)
    application = web.Application()
    application.router.add_post("/v1/chat/completions", server.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        assert (await question)[0].text == "답: 0번 서식의 보존 기간은?"
    finally:
        await runner.cleanup()


async def test_a_server_that_stays_away_is_one_clear_error(short_pauses):
    with pytest.raises(UnavailableError, match="did not answer after 5 attempts"):
        await ask_async(CASES, endpoint_url=f"http://127.0.0.1:{free_port()}/v1", model="tuned")


async def test_a_refused_question_is_not_asked_again(short_pauses):
    async with _serving(lambda *_: web.Response(status=400, text=json.dumps({"error": "too long"}))) as (server, url):
        with pytest.raises(InvalidRequestError, match="refused a question with status 400"):
            await ask_async(CASES[:1], endpoint_url=url, model="tuned")
    assert len(server.bodies) <= 2


def test_the_repeated_cases_depend_on_ids_and_seed_only():
    chosen = {case.id for case in chosen_for_repetition(CASES)}
    assert chosen == {case.id for case in chosen_for_repetition(CASES[::-1])}
    assert len(chosen) == 2
    assert any({case.id for case in chosen_for_repetition(CASES, seed)} != chosen for seed in range(1, 6))
    assert len(chosen_for_repetition(CASES[:3])) == 1


def _journal(tmp_path):
    return KeyedJournal(tmp_path / "answers.jsonl", ConflictError("in use"))


async def test_an_answered_case_is_never_asked_again(tmp_path):
    async with _serving(_echo) as (server, url):
        with _journal(tmp_path) as journal:
            first = await ask_async(CASES[:10], endpoint_url=url, model="tuned", journal=journal)
        assert len(server.bodies) == 11
        with _journal(tmp_path) as journal:
            answers = await ask_async(CASES, endpoint_url=url, model="tuned", journal=journal)
    # ten new cases, and those of the now two repeated ones that were not repeated before
    repeated_before = {case.id for case in chosen_for_repetition(CASES[:10])}
    repeated_now = {case.id for case in chosen_for_repetition(CASES)}
    assert len(server.bodies) == 11 + 10 + len(repeated_now - repeated_before)
    assert [answer.latency_ms for answer in answers[:10]] == [answer.latency_ms for answer in first]


async def test_another_question_under_the_same_id_is_asked(tmp_path):
    changed = CASES[0].model_copy(update={"question": "바뀐 질문입니까?"})
    async with _serving(_echo) as (server, url):
        with _journal(tmp_path) as journal:
            await ask_async(CASES[:1], endpoint_url=url, model="tuned", journal=journal)
            (answer,) = await ask_async([changed], endpoint_url=url, model="tuned", journal=journal)
            await ask_async([changed], endpoint_url=url, model="tuned", journal=journal, max_answer_tokens=7)
    assert answer.text == "답: 바뀐 질문입니까?"
    assert len(server.bodies) == 6


async def test_a_cases_own_system_prompt_takes_the_place_of_the_common_one():
    own = CASES[0].model_copy(update={"system_prompt": "짧게 답합니다."})
    async with _serving(_echo) as (server, url):
        await ask_async([own, CASES[1]], endpoint_url=url, model="tuned", system_prompt="공통", concurrency=1)
    systems = {body["messages"][-1]["content"]: body["messages"][0]["content"] for body in server.bodies}
    assert systems == {own.question: "짧게 답합니다.", CASES[1].question: "공통"}


async def test_the_servers_count_of_tokens_is_kept():
    def counted(body: Body, _number: int) -> web.Response:
        choice = {"message": {"content": "5년"}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": {"completion_tokens": 3}})

    async with _serving(counted) as (_, url):
        (answer,) = await ask_async(CASES[:1], endpoint_url=url, model="tuned")
    assert answer.tokens == 3


async def test_choices_are_asked_below_the_question():
    case = TestCase(id="c", question="어느 부서인가요?", accepted_answers=["재무처"], choices=["영업처", "재무처"])
    async with _serving(_echo) as (server, url):
        await ask_async([case], endpoint_url=url, model="m")
    assert server.bodies[0]["messages"][-1]["content"] == "어느 부서인가요?\n\n1. 영업처\n2. 재무처"
