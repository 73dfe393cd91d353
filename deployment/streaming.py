"""A model server's answer as it comes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from contracts.errors import JobFailedError
from deployment.client import ANSWER_TIMEOUT_S, PROBE_TIMEOUT_S, unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


async def stream_answer(base_url: str, model: str, messages: Sequence[dict[str, str]]) -> AsyncIterator[str]:
    """The pieces of the answer, sampled as the server samples where it is told nothing.

    The connection closes where the iteration ends, and the server stops with it. Raises UnavailableError, JobFailedError.
    """
    body = {"model": model, "messages": list(messages), "stream": True}
    timeout = httpx.Timeout(ANSWER_TIMEOUT_S, connect=PROBE_TIMEOUT_S)
    is_whole = False
    try:
        async with (
            # a site's proxy variables must not catch a call to this machine
            httpx.AsyncClient(timeout=timeout, trust_env=False) as client,
            client.stream("POST", f"{base_url}/chat/completions", json=body) as response,
        ):
            if response.status_code != httpx.codes.OK:
                told = (await response.aread()).decode("utf-8", "replace")
                raise _no_answer(model, f"{response.status_code} {told[:500]}")
            async for line in response.aiter_lines():
                if not line.startswith("data:"):
                    continue
                told = line.removeprefix("data:").strip()
                if told == "[DONE]":
                    is_whole = True
                    break
                if piece := _piece(model, told):
                    yield piece
    except httpx.TransportError as error:
        raise unavailable(base_url, error) from error
    if not is_whole:
        raise _no_answer(model, "the stream ended before the answer did")


def _piece(model: str, event: str) -> str:
    try:
        told: dict[str, Any] = json.loads(event)
        if "error" in told:
            raise _no_answer(model, str(told["error"])[:500])
        choices = told.get("choices") or [{}]
        return choices[0].get("delta", {}).get("content") or ""
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _no_answer(model, event[:500]) from error


def _no_answer(model: str, value: str) -> JobFailedError:
    return JobFailedError(
        f"The model {model} did not answer the question",
        value=value,
        next_step="look at `tuneway status` and the model server's log",
    )
