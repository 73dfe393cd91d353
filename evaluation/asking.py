"""Ask a model server the test cases, as users will: OpenAI chat completions at temperature 0.

With a journal every answer is on the disk before the next question goes out; a run that was killed goes on with the
questions that have no answer yet.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp

from contracts.errors import InvalidRequestError, UnavailableError
from contracts.evaluation import TestCase
from evaluation.scorers.multiple_choice import question_with_choices
from storage.journal import KeyedJournal

REPEATED_SHARE = 0.1
"""Share of the cases that are asked a second time, to see whether temperature 0 gives the same answer."""
ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.5
"""Doubled after each attempt: 0.5, 1, 2 and 4 s bridge a server that restarts."""
REFUSED = "refused"
"""Finish reason of an answer that is empty because the server refused its question."""
SYNCED_EVERY = 64
"""Answers between two syncs of the journal: a kill loses none, a power cut these at most."""
_BUSY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to one case."""

    case_id: str
    text: str
    finish_reason: str
    latency_ms: float
    repeated_text: str | None = None
    """The answer to the same question asked again; None where it was not asked again."""
    tokens: int | None = None
    """Tokens of the answer, where the server counts them."""

    @property
    def is_unstable(self) -> bool:
        """Asked twice, answered differently."""
        return self.repeated_text is not None and self.repeated_text != self.text


def chosen_for_repetition(cases: Sequence[TestCase], seed: int = 0) -> list[TestCase]:
    """A tenth of the cases (at least one), the same for the same seed and ids."""
    ranked = sorted(cases, key=lambda case: hashlib.sha256(f"{seed}\0{case.id}".encode()).digest())
    return ranked[: max(1, round(len(cases) * REPEATED_SHARE))] if cases else []


@dataclass(frozen=True, slots=True)
class _Reply:
    text: str
    finish_reason: str
    latency_ms: float
    tokens: int | None = None


class _Asker:
    """One client of one model."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, model: str, system_prompt: str | None, max_answer_tokens: int
    ) -> None:
        self._session = session
        self._url = url
        self._model = model
        self._system_prompt = system_prompt
        self._max_answer_tokens = max_answer_tokens

    def body(self, case: TestCase) -> dict[str, object]:
        """What is sent."""
        return {
            "model": self._model,
            "messages": messages_of(case, self._system_prompt),
            "temperature": 0,
            "max_tokens": self._max_answer_tokens,
        }

    async def ask(self, body: dict[str, object]) -> _Reply:
        pause, last_failure = FIRST_PAUSE_SECONDS, ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(pause)
                pause *= 2
            try:
                return await self._post(body)
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
                last_failure = f"{type(error).__name__}: {error}"
            except _BusyError as error:
                last_failure = str(error)
        raise UnavailableError(
            f"The model server did not answer after {ATTEMPTS} attempts ({last_failure})",
            value=self._url,
            next_step="look at the model server's log, then start the evaluation again",
        )

    async def _post(self, body: dict[str, object]) -> _Reply:
        started = asyncio.get_running_loop().time()
        async with self._session.post(self._url, json=body) as response:
            if response.status in _BUSY_STATUSES:
                raise _BusyError(f"status {response.status}: {(await response.text())[:200]}")
            if response.status != 200:
                raise InvalidRequestError(
                    f"The model server refused a question with status {response.status}",
                    value=(await response.text())[:300],
                    allowed="a question that fits the model's context, for a model the server has loaded",
                    next_step="shorten the question in the test case file, or raise the server's maximum length",
                )
            payload = await response.json(content_type=None)
        choice = payload["choices"][0]
        return _Reply(
            text=choice["message"].get("content") or "",
            finish_reason=str(choice.get("finish_reason") or ""),
            latency_ms=(asyncio.get_running_loop().time() - started) * 1000,
            tokens=_answer_tokens(payload),
        )


class _BusyError(Exception):
    """The server cannot answer now."""


def chat_url(endpoint_url: str) -> str:
    """Where chat completions are asked for, of an address with or without /v1."""
    return endpoint_url.rstrip("/").removesuffix("/v1") + "/v1/chat/completions"


def messages_of(case: TestCase, system_prompt: str | None) -> list[dict[str, str]]:
    """The turns of a case: its own system prompt before the one that all cases are given; choices below the question."""
    prompt = system_prompt if case.system_prompt is None else case.system_prompt
    system = [] if prompt is None else [{"role": "system", "content": prompt}]
    return [*system, {"role": "user", "content": question_with_choices(case)}]


def _answer_tokens(payload: dict[str, Any]) -> int | None:
    usage = payload.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else None


def _journal_key(case: TestCase, body: dict[str, object], repetition: int) -> str:
    """What an answer is an answer to: the case, everything that is sent, and which time it is asked."""
    sent = json.dumps([case.id, body, repetition], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(sent.encode()).hexdigest()


async def ask_async(
    cases: Sequence[TestCase],
    *,
    endpoint_url: str,
    model: str,
    concurrency: int = 8,
    system_prompt: str | None = None,
    max_answer_tokens: int = 128,
    timeout_seconds: float = 120.0,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
    journal: KeyedJournal | None = None,
    keeps_refused: bool = False,
) -> list[Answer]:
    """`ask` for callers that have an event loop."""
    repeated = chosen_for_repetition(cases, seed)
    total, done = len(cases) + len(repeated), 0
    gate = asyncio.Semaphore(concurrency)
    timeout = aiohttp.ClientTimeout(total=timeout_seconds)
    connector = aiohttp.TCPConnector(limit=concurrency)
    url = chat_url(endpoint_url)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=False) as session:
        asker = _Asker(session, url, model, system_prompt, max_answer_tokens)

        async def asked(body: dict[str, object]) -> _Reply:
            try:
                return await asker.ask(body)
            except InvalidRequestError:
                if not keeps_refused:
                    raise
                return _Reply(text="", finish_reason=REFUSED, latency_ms=0.0)

        async def reply_to(case: TestCase, repetition: int) -> _Reply:
            nonlocal done
            body = asker.body(case)
            key = _journal_key(case, body, repetition)
            known = None if journal is None else journal.get(key)
            if known is not None:
                reply = _Reply(**known)
            else:
                async with gate:
                    reply = await asked(body)
                if journal is not None and reply.finish_reason != REFUSED:
                    journal.add(key, asdict(reply), sync=False)
            done += 1
            if journal is not None and done % SYNCED_EVERY == 0:
                journal.sync()
            if on_progress is not None:
                on_progress(done, total)
            return reply

        try:
            async with asyncio.TaskGroup() as group:
                first = {case.id: group.create_task(reply_to(case, 0)) for case in cases}
                second = {case.id: group.create_task(reply_to(case, 1)) for case in repeated}
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        finally:
            if journal is not None:
                journal.sync()
    return [
        Answer(
            case_id=case.id,
            text=(reply := first[case.id].result()).text,
            finish_reason=reply.finish_reason,
            latency_ms=reply.latency_ms,
            repeated_text=second[case.id].result().text if case.id in second else None,
            tokens=reply.tokens,
        )
        for case in cases
    ]


def ask(
    cases: Sequence[TestCase],
    *,
    endpoint_url: str,
    model: str,
    concurrency: int = 8,
    system_prompt: str | None = None,
    max_answer_tokens: int = 128,
    timeout_seconds: float = 120.0,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
    journal: KeyedJournal | None = None,
    keeps_refused: bool = False,
) -> list[Answer]:
    """Every case's answer, in the order of the cases; a tenth is asked twice.

    Connection errors and a busy server are tried again; then UnavailableError. A refused question raises
    InvalidRequestError; with `keeps_refused` its answer is empty, and no journal keeps it. `on_progress(done, total)` is
    called after each reply. Answers that the journal has are not asked for again; those that come are added to it.
    """
    return asyncio.run(
        ask_async(
            cases,
            endpoint_url=endpoint_url,
            model=model,
            concurrency=concurrency,
            system_prompt=system_prompt,
            max_answer_tokens=max_answer_tokens,
            timeout_seconds=timeout_seconds,
            seed=seed,
            on_progress=on_progress,
            journal=journal,
            keeps_refused=keeps_refused,
        )
    )
