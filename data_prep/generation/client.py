"""One model behind an OpenAI-compatible endpoint: asked many things at once, patiently, and never more than wanted."""

import asyncio
import json
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import httpx

from contracts.errors import InvalidRequestError, UnavailableError
from contracts.record import JsonObject
from data_prep.rows import Message

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
"""Doubled after each attempt, with up to a quarter more by chance, so that many callers do not come back at once."""
LONGEST_PAUSE_SECONDS = 30.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""An answer of 32,768 tokens takes well below a megabyte."""
CHARACTERS_PER_TOKEN = 1.6
"""Of Korean text with usual tokenizers; for endpoints that do not tell their tokens."""
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_UNKNOWN_OPTION = frozenset({400, 404, 422, 500, 501})


class Constraint(StrEnum):
    """How the endpoint is made to answer JSON, the strictest first."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    NONE = "none"


_WEAKER = {Constraint.JSON_SCHEMA: Constraint.JSON_OBJECT, Constraint.JSON_OBJECT: Constraint.NONE}


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer, which the endpoint was paid for."""

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    tokens_estimated: bool


class RefusedError(Exception):
    """The endpoint will not answer this question, however often it is asked. Says why, without the question."""


class BusyError(Exception):
    """The endpoint failed at this question on every attempt."""


class ModelClient:
    """An endpoint and a model on it; a context manager."""

    def __init__(
        self,
        endpoint_url: str,
        model: str,
        *,
        api_key: str | None,
        timeout_seconds: float,
        attempts: int,
        concurrency: int,
        role: str = "generator",
    ) -> None:
        """`role` is what errors call the model."""
        self._role = role
        self._url = _base_url(endpoint_url)
        self._model = model
        self._attempts = attempts
        self._constraint = Constraint.JSON_SCHEMA
        self._jitter = random.Random(0)  # noqa: S311 - spreads pauses
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(timeout_seconds, connect=min(10.0, timeout_seconds)),
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
            # an endpoint on this host must not be looked for behind a site's proxy
            trust_env=not _is_local(self._url, role),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    @property
    def constraint(self) -> Constraint:
        """What the endpoint turned out to understand."""
        return self._constraint

    async def complete(
        self, messages: Sequence[Message], schema: JsonObject, *, temperature: float, max_tokens: int, seed: int
    ) -> Completion:
        """The model's answer.

        An endpoint that is away or busy is asked again after growing pauses, or after the one it names; then
        UnavailableError (nobody answers) or BusyError (it fails at this question). A key or a model that the endpoint
        does not know is InvalidRequestError; a question it refuses is RefusedError.
        """
        failure: Exception | None = None
        pause = FIRST_PAUSE_SECONDS
        attempt = 0
        while attempt < self._attempts:
            if failure is not None:
                await asyncio.sleep(_asked_pause(failure) or pause * (1 + self._jitter.random() / 4))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            constraint = self._constraint
            try:
                return await self._post(messages, schema, constraint, temperature, max_tokens, seed)
            except _OptionError as error:
                # the same question without the option; no attempt is spent on it
                if self._constraint is constraint:
                    self._constraint = _WEAKER[constraint]
                    log.info("the endpoint does not take %s (%s): asking with less", constraint.value, error)
                continue
            except (httpx.RequestError, _BusyAnswerError) as error:
                failure = error
            attempt += 1
        if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout):
            raise UnavailableError(
                f"The {self._role}'s endpoint does not answer ({type(failure).__name__}: {failure})",
                value=self._url,
                next_step="look at the model server; starting the same work again goes on where this one stopped",
            ) from failure
        raise BusyError(str(failure) or type(failure).__name__) from failure

    async def _post(
        self,
        messages: Sequence[Message],
        schema: JsonObject,
        constraint: Constraint,
        temperature: float,
        max_tokens: int,
        seed: int,
    ) -> Completion:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": temperature,
            "max_tokens": max_tokens,
            "seed": seed,
            "stream": False,
            **_response_format(constraint, schema),
        }
        async with self._client.stream("POST", f"{self._url}/chat/completions", json=body) as response:
            content = await _limited(response)
        self._check_status(response, content, constraint)
        return _completion(content, body["messages"])

    def _check_status(self, response: httpx.Response, content: bytes, constraint: Constraint) -> None:
        status, said = response.status_code, _said(content)
        if status == httpx.codes.OK:
            return
        if status in _UNKNOWN_OPTION and constraint is not Constraint.NONE and _speaks_of_format(said):
            raise _OptionError(said)
        if status in _BUSY:
            raise _BusyAnswerError(f"status {status}: {said}", _retry_after(response))
        if status in {401, 403}:
            raise InvalidRequestError(
                f"The {self._role}'s endpoint refuses the key with status {status}",
                value=self._url,
                allowed="a key that the endpoint knows",
                next_step="put the key into a file of the secrets folder and name the file in api_key_file",
            )
        if status == httpx.codes.NOT_FOUND:
            raise InvalidRequestError(
                f"The {self._role}'s endpoint has no such model or no chat completions",
                value=f"{self._model} at {self._url}: {said}",
                allowed="the id of a model that the endpoint lists at /models",
                next_step="correct model or endpoint_url",
            )
        raise RefusedError(f"status {status}: {said}")


class _OptionError(Exception):
    """The endpoint does not know the option that constrains the answer."""


class _BusyAnswerError(Exception):
    def __init__(self, said: str, pause: float | None = None) -> None:
        super().__init__(said)
        self.pause = pause


def _base_url(url: str) -> str:
    plain = url.rstrip("/").removesuffix("/chat/completions")
    return plain if plain.rsplit("/", 1)[-1].startswith("v") else f"{plain}/v1"


def _is_local(url: str, role: str) -> bool:
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL as error:
        raise InvalidRequestError(
            f"The {role}'s address is no address",
            value=url,
            allowed="such as http://127.0.0.1:8000/v1",
            next_step="correct endpoint_url",
        ) from error
    return host in {"127.0.0.1", "localhost", "::1"}


def _response_format(constraint: Constraint, schema: JsonObject) -> dict[str, Any]:
    if constraint is Constraint.JSON_SCHEMA:
        named = {"name": "answer", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    if constraint is Constraint.JSON_OBJECT:
        return {"response_format": {"type": "json_object"}}
    return {}


def _speaks_of_format(said: str) -> bool:
    lowered = said.casefold()
    return any(
        word in lowered for word in ("response_format", "json_schema", "json_object", "schema", "grammar", "guided")
    )


async def _limited(response: httpx.Response) -> bytes:
    """The body, at most MAX_ANSWER_BYTES of it: an endpoint gone wild must not fill the memory."""
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise RefusedError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    return bytes(content)


def _said(content: bytes) -> str:
    return content[:300].decode(errors="replace").replace("\n", " ").strip()


def _retry_after(response: httpx.Response) -> float | None:
    given = response.headers.get("retry-after", "")
    return min(float(given), LONGEST_PAUSE_SECONDS) if given.replace(".", "", 1).isdigit() else None


def _asked_pause(failure: Exception) -> float | None:
    return failure.pause if isinstance(failure, _BusyAnswerError) else None


def _completion(content: bytes, messages: list[dict[str, str]]) -> Completion:
    try:
        payload = json.loads(content)
        choice = payload["choices"][0]
        text = choice["message"].get("content") or ""
        finish_reason = str(choice.get("finish_reason") or "")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _BusyAnswerError(f"an answer that is no chat completion: {_said(content)}") from error
    if not isinstance(text, str):
        raise _BusyAnswerError("an answer whose content is no text")
    given = payload.get("usage")
    usage: dict[str, Any] = given if isinstance(given, dict) else {}
    sent, answered = usage.get("prompt_tokens"), usage.get("completion_tokens")
    told = isinstance(sent, int) and isinstance(answered, int)
    characters = sum(len(message["content"]) for message in messages)
    return Completion(
        text=text,
        finish_reason=finish_reason,
        input_tokens=sent if isinstance(sent, int) else round(characters / CHARACTERS_PER_TOKEN),
        output_tokens=answered if isinstance(answered, int) else round(len(text) / CHARACTERS_PER_TOKEN),
        tokens_estimated=not told,
    )
