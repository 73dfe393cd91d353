"""A question of a person to one model version's own server: no router, no A/B test, nothing kept."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from enum import StrEnum
from threading import Thread
from typing import TYPE_CHECKING

from contracts.errors import ConflictError, TunewayError
from deployment.streaming import stream_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.models import ArmEndpoint
    from stages.services import Services

LONGEST_SECONDS = 600.0


class AnswerState(StrEnum):
    """How far an answer is."""

    WAITING = "waiting"
    STREAMING = "streaming"
    WHOLE = "whole"
    STOPPED = "stopped"
    FAILED = "failed"


class RunningAnswer:
    """An answer that comes in by itself."""

    def __init__(self, endpoint: ArmEndpoint, messages: Sequence[dict[str, str]]) -> None:
        self.endpoint = endpoint
        self.question = messages[-1]["content"]
        self.state = AnswerState.WAITING
        self.error: TunewayError | None = None
        self.first_seconds: float | None = None
        self.seconds: float | None = None
        self._messages = messages
        self._pieces: list[str] = []
        self._began = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        Thread(target=self._run, name="answer", daemon=True).start()

    @property
    def text(self) -> str:
        """What has come so far."""
        return "".join(self._pieces)

    @property
    def is_running(self) -> bool:
        """More may come."""
        return self.state in {AnswerState.WAITING, AnswerState.STREAMING}

    def stop(self) -> None:
        """Take no more: the connection closes, and the model stops with it. What has come stays."""
        self._is_stopped = True
        # a loop that is closed has come to its end in the meantime
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        try:
            self._task = self._loop.create_task(self._receive())
            self._loop.run_until_complete(self._task)
            state = AnswerState.WHOLE
        except asyncio.CancelledError:
            state = AnswerState.STOPPED
        except TunewayError as error:
            self.error, state = error, AnswerState.FAILED
        finally:
            self.seconds = time.monotonic() - self._began
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
        self.state = state

    async def _receive(self) -> None:
        if self._is_stopped:
            raise asyncio.CancelledError
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                async for piece in stream_answer(
                    self.endpoint.base_url, self.endpoint.served_model_name, self._messages
                ):
                    if self.first_seconds is None:
                        self.first_seconds = time.monotonic() - self._began
                        self.state = AnswerState.STREAMING
                    self._pieces.append(piece)
        except TimeoutError:
            raise asyncio.CancelledError from None


def ask_model(model_id: int, question: str, services: Services, *, system_prompt: str = "") -> RunningAnswer:
    """Begin to ask the version's server. Raises NotFoundError, ConflictError for a version that does not serve."""
    with services.unit_of_work() as uow:
        endpoint = uow.models.deployment(model_id)
        version = uow.models.get(model_id)
    if endpoint is None:
        raise ConflictError(
            "The version does not answer",
            value=f"model {model_id}, {version.model_name} {version.version}",
            allowed="a version that is deployed",
            next_step=f"deploy it with `tuneway deploy model:{model_id}`",
        )
    messages = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return RunningAnswer(endpoint, [*messages, {"role": "user", "content": question}])
