"""How fast two models write: asked the same questions in turns, on the server that would serve them.

A round asks one model for a while, then the other; the next round begins with the one that was last. Each answer has the
same number of tokens, whatever the model wants to say, and only whole answers count. Both servers are up all the time where
memory holds both; else one after the other, in the order parent, compressed, compressed, parent, so that a card that
grows slower with its heat harms both alike.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from contracts.errors import JobFailedError
from contracts.speed import SpeedAtLoad, SpeedComparison
from deployment.ephemeral import running_server
from deployment.specification import ServerEndpoint, ServerSpec
from settings import Settings
from storage.processes import process_tree, resident_bytes

CONCURRENCIES = (1, 16)
"""One user, whose wait is a token's time; and as many as fill a server without a queue."""
ANSWER_TOKENS = 64
ROUNDS = 3
ROUNDS_APART = 2
"""Where each change of model is a start of a server."""
CARD_SHARE = 0.9
"""Of a card's memory, that servers may take: vLLM's own default."""
ROOM_FACTOR = 1.25
"""Of a model's weights, that its server needs at least: activations, and a cache for some answers."""
TIMEOUT_SECONDS = 600.0
LOADED = re.compile(r"Model loading took ([\d.]+) GiB")
MB_PER_GIB = 1024**3 / 1e6

log = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]


def compare_speed(
    parent: ServerSpec,
    compressed: ServerSpec,
    questions: Sequence[str],
    settings: Settings,
    log_folder: Path,
    *,
    seconds: float,
    concurrencies: Sequence[int] = CONCURRENCIES,
    on_progress: OnProgress = lambda _done, _total: None,
) -> SpeedComparison:
    """Ask both for `seconds` at each concurrency, round by round. Raises JobFailedError, UnavailableError.

    Both specs must name different models.
    """
    specs = {spec.served_model_name: spec for spec in (parent, compressed)}
    servers = _Servers(specs, settings, log_folder)
    names = list(specs)
    rounds = ROUNDS if servers.together else ROUNDS_APART
    rates: dict[int, dict[str, list[float]]] = {users: {name: [] for name in names} for users in concurrencies}
    done, total = 0, rounds * len(names)
    with servers:
        for number in range(rounds):
            for name in names if number % 2 == 0 else reversed(names):
                endpoint = servers.endpoint(name)
                for users in concurrencies:
                    written = asyncio.run(ask_for(endpoint.base_url, name, questions, users, seconds))
                    rates[users][name].append(written.tokens_per_second)
                done += 1
                on_progress(done, total)
    return SpeedComparison(
        backend=endpoint.backend,
        device=_device(parent.gpu_ids),
        rounds=rounds,
        together=servers.together,
        answer_tokens=ANSWER_TOKENS,
        loads=[_load(users, *(rates[users][name] for name in names)) for users in concurrencies],
        parent_memory_mb=servers.memory_mb.get(parent.served_model_name),
        compressed_memory_mb=servers.memory_mb.get(compressed.served_model_name),
    )


def _load(users: int, parent: list[float], compressed: list[float]) -> SpeedAtLoad:
    ratios = [after / before for before, after in zip(parent, compressed, strict=True)]
    return SpeedAtLoad(
        concurrency=users,
        parent_tokens_per_second=median(parent),
        compressed_tokens_per_second=median(compressed),
        ratio=median(ratios),
        lowest_ratio=min(ratios),
        highest_ratio=max(ratios),
    )


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote for some users, from the first question to the last answer."""

    tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Of all users together."""
        return self.tokens / self.seconds


async def ask_for(url: str, model: str, questions: Sequence[str], users: int, seconds: float) -> Written:
    """Each of the users asks, and asks again when the answer is whole, until the time is over; at least once."""
    numbers, counts = count(), [0] * users
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    connector = aiohttp.TCPConnector(limit=users)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=False) as session:
        began = time.perf_counter()

        async def user(place: int) -> None:
            while True:
                question = questions[next(numbers) % len(questions)]
                written = await _answer(session, url, model, question)
                counts[place] += written  # not in one line: others write while this one waits
                if time.perf_counter() - began >= seconds:
                    return

        await asyncio.gather(*(user(place) for place in range(users)))
        return Written(sum(counts), time.perf_counter() - began)


async def _answer(session: aiohttp.ClientSession, url: str, model: str, question: str) -> int:
    """Tokens that the model wrote."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": ANSWER_TOKENS,
        "ignore_eos": True,
    }
    content: Any = None
    try:
        async with session.post(f"{url}/chat/completions", json=body) as response:
            content = await response.json(content_type=None)
            return int(content["usage"]["completion_tokens"])
    except (aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError) as error:
        raise JobFailedError(
            "A model server did not answer while its speed was measured",
            value=f"{model}: {type(error).__name__} {error}, {str(content)[:300]}",
            next_step="look at the server's log in the job's folder",
        ) from error


class _Servers:
    """The servers that are up: both, or the one that is asked."""

    def __init__(self, specs: dict[str, ServerSpec], settings: Settings, log_folder: Path) -> None:
        self._specs, self._settings, self._folder = specs, settings, log_folder
        self._stack = ExitStack()
        self._up: dict[str, ServerEndpoint] = {}
        self.memory_mb: dict[str, float | None] = {}
        shares = _shares(list(specs.values()))
        self.together = shares is not None
        if shares is not None:
            self._specs = {
                name: spec.model_copy(update={"card_share": share})
                for (name, spec), share in zip(specs.items(), shares, strict=True)
            }

    def __enter__(self) -> _Servers:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def endpoint(self, name: str) -> ServerEndpoint:
        """Where the model answers; it is started where it is not up."""
        if name not in self._up:
            if not self.together:
                self._close()
            spec = self._specs[name]
            log_path = self._folder / f"speed-{name}.log"
            self._up[name] = self._stack.enter_context(running_server(spec, self._settings, log_path))
        return self._up[name]

    def _close(self) -> None:
        for name, endpoint in self._up.items():
            self.memory_mb[name] = _memory_mb(endpoint, self._specs[name], self._folder / f"speed-{name}.log")
        self._stack.close()
        self._up.clear()


def _shares(specs: Sequence[ServerSpec]) -> list[float | None] | None:
    """Of the cards' memory, for each of the servers; None where they do not fit side by side. No share without cards."""
    cards = specs[0].gpu_ids
    if not cards:
        return [None for _ in specs]
    with _driver() as nvml:
        total = sum(int(nvml.nvmlDeviceGetMemoryInfo(nvml.nvmlDeviceGetHandleByIndex(card)).total) for card in cards)
    needed = [sum(path.stat().st_size for path in Path(spec.model_path).glob("*.safetensors")) for spec in specs]
    room = CARD_SHARE * total - ROOM_FACTOR * sum(needed)
    if room < 0:
        return None
    return [(ROOM_FACTOR * size + room / len(specs)) / total for size in needed]


def _memory_mb(endpoint: ServerEndpoint, spec: ServerSpec, log_path: Path) -> float | None:
    """On cards what vLLM says of the weights: the rest of its share is a cache, as large as it may be."""
    if spec.gpu_ids:
        found = LOADED.findall(log_path.read_text(encoding="utf-8", errors="replace"))
        return float(found[-1]) * MB_PER_GIB if found else None
    assert endpoint.pid is not None, "it was started here"
    size = resident_bytes(process_tree(endpoint.pid))
    return None if size is None else size / 1e6


def _device(cards: Sequence[int]) -> str:
    if not cards:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
    with _driver() as nvml:
        names = {str(nvml.nvmlDeviceGetName(nvml.nvmlDeviceGetHandleByIndex(card))) for card in cards}
    return f"{len(cards)} x {', '.join(sorted(names))}"


@contextmanager
def _driver() -> Iterator[Any]:
    import pynvml

    pynvml.nvmlInit()
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()
