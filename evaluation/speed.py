"""How fast a server answers: time to first token, and tokens a second, alone and with others.

Measured over streamed answers to real questions of the suite, after the suite itself has warmed the server up.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from contracts.errors import UnavailableError
from contracts.evaluation import TestCase
from contracts.suites import ScoreEstimate
from evaluation.asking import chat_url, messages_of
from evaluation.intervals import quantile_estimate, ratio_estimate
from evaluation.suites.kind import RunOptions

SINGLE_STREAM_ANSWERS = 12
CONCURRENT_ANSWERS = 32
CONCURRENCY = 8


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """When the tokens of one answer came."""

    first_token_seconds: float
    total_seconds: float
    tokens: int


def speed_estimates(cases: Sequence[TestCase], url: str, model: str, options: RunOptions) -> list[ScoreEstimate]:
    """Time to first token (p50, p90), tokens a second of one stream, and of eight together."""
    return asyncio.run(_measure(cases, url, model, options))


async def _measure(cases: Sequence[TestCase], url: str, model: str, options: RunOptions) -> list[ScoreEstimate]:
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:

        async def stream(case: TestCase) -> StreamedAnswer:
            body = {
                "model": model,
                "messages": messages_of(case, options.system_prompt),
                "temperature": 0,
                "max_tokens": options.max_answer_tokens,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
            try:
                return await stream_answer(session, chat_url(url), body)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise UnavailableError(
                    "The model server broke off while its speed was measured",
                    value=f"{type(error).__name__}: {error}",
                    next_step="start the evaluation again",
                ) from error

        alone = [await stream(case) for case in _cycled(cases, SINGLE_STREAM_ANSWERS)]
        gate = asyncio.Semaphore(CONCURRENCY)
        loop = asyncio.get_running_loop()

        async def stream_among_others(case: TestCase) -> StreamedAnswer:
            async with gate:
                return await stream(case)

        began = loop.time()
        together = await asyncio.gather(*(stream_among_others(case) for case in _cycled(cases, CONCURRENT_ANSWERS)))
        seconds = loop.time() - began
    first_ms = [answer.first_token_seconds * 1000 for answer in alone]
    return [
        quantile_estimate("first_token_ms_p50", first_ms, 0.5),
        quantile_estimate("first_token_ms_p90", first_ms, 0.9),
        ratio_estimate(
            "tokens_per_second_single",
            [answer.tokens for answer in alone],
            [answer.total_seconds for answer in alone],
        ),
        # one number of one period: there is nothing to resample
        ScoreEstimate(
            name=f"tokens_per_second_{CONCURRENCY}",
            value=sum(answer.tokens for answer in together) / seconds,
            interval=None,
            n=len(together),
        ),
    ]


async def stream_answer(session: aiohttp.ClientSession, url: str, body: dict[str, object]) -> StreamedAnswer:
    """One streamed answer. Tokens are the server's count, else the pieces it sent."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    first: float | None = None
    pieces, counted = 0, None
    async with session.post(url, json=body) as response:
        response.raise_for_status()
        async for line in response.content:
            if not line.startswith(b"data:") or line.strip() == b"data: [DONE]":
                continue
            event = json.loads(line[len(b"data:") :])
            usage = event.get("usage") or {}
            counted = usage.get("completion_tokens", counted)
            if any((choice.get("delta") or {}).get("content") for choice in event.get("choices", [])):
                pieces += 1
                first = loop.time() - began if first is None else first
    total = loop.time() - began
    return StreamedAnswer(total if first is None else first, total, int(counted if counted is not None else pieces))


def _cycled(cases: Sequence[TestCase], count: int) -> list[TestCase]:
    return [cases[place % len(cases)] for place in range(count)]
