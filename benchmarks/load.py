"""Questions to a server that speaks the OpenAI protocol, by a fixed number of users who each wait for their answer."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import aiohttp
import orjson

from contracts.errors import JobFailedError

USERS = 1000
MAX_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Load:
    """What a round of questions took."""

    seconds: float
    """From the first question to the last answer."""
    latencies_ms: list[float]
    """One an answer."""
    answer_bytes: int

    @property
    def requests(self) -> int:
        """Answers."""
        return len(self.latencies_ms)

    @property
    def requests_per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds

    @property
    def median_ms(self) -> float:
        """Time from question to whole answer, median."""
        return median(self.latencies_ms)


def ask_for(
    base_url: str, model: str, questions: Sequence[str], *, concurrency: int, seconds: float, stream: bool = False
) -> Load:
    """Ask for `seconds`; each of `concurrency` users asks again when the answer is whole.

    Raises JobFailedError for an answer that is none.
    """
    return asyncio.run(_ask_for(base_url, model, questions, concurrency, seconds, stream))


async def _ask_for(
    base_url: str, model: str, questions: Sequence[str], concurrency: int, seconds: float, stream: bool
) -> Load:
    latencies: list[float] = []
    size = 0
    number = 0
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=120), trust_env=False
    ) as session:
        began = time.perf_counter()

        async def user() -> None:
            nonlocal number, size
            while time.perf_counter() - began < seconds:
                number += 1
                body = {
                    "model": model,
                    "messages": [{"role": "user", "content": questions[number % len(questions)]}],
                    "max_tokens": MAX_TOKENS,
                    "temperature": 0,
                    "stream": stream,
                    "user": f"user-{number % USERS}",
                }
                asked = time.perf_counter()
                async with session.post(
                    f"{base_url}/chat/completions",
                    data=orjson.dumps(body),
                    headers={"Content-Type": "application/json"},
                ) as response:
                    answer = await response.read()
                latencies.append((time.perf_counter() - asked) * 1000)
                size += len(answer)
                is_whole = b"[DONE]" in answer[-40:] if stream else b'"choices"' in answer
                if response.status != 200 or not is_whole:
                    raise JobFailedError(
                        "The server did not answer a question",
                        value=f"{response.status}: {answer[:300].decode(errors='replace')}",
                        next_step=f"look at the log of {base_url}",
                    )

        await asyncio.gather(*(user() for _ in range(concurrency)))
        return Load(time.perf_counter() - began, latencies, size)
