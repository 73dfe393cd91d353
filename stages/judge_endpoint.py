"""A judging model behind an endpoint: the client of data preparation as what evaluation asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from data_prep.generation.client import BusyError, ModelClient, RefusedError
from data_prep.rows import Message
from evaluation.judging.asking import JudgeFailedError
from stages.key_files import key_in

if TYPE_CHECKING:
    from types import TracebackType

    from contracts.judging import JudgeEndpoint
    from contracts.record import JsonObject
    from settings import Settings


class EndpointJudge:
    """An evaluation's `JudgeModel`; a context manager that may be entered again."""

    def __init__(self, endpoint: JudgeEndpoint, settings: Settings) -> None:
        self._endpoint = endpoint
        self._api_key = key_in(settings, endpoint.api_key_file)
        self._client: ModelClient | None = None

    async def __aenter__(self) -> Self:
        self._client = ModelClient(
            self._endpoint.url,
            self._endpoint.model,
            api_key=self._api_key,
            timeout_seconds=self._endpoint.timeout_seconds,
            attempts=self._endpoint.attempts,
            concurrency=self._endpoint.concurrency,
            role="judge",
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._client is not None
        await self._client.__aexit__(kind, error, trace)

    async def reply(
        self, system: str, question: str, schema: JsonObject, *, temperature: float, max_tokens: int, seed: int
    ) -> str:
        """The model's text, constrained to the schema where the endpoint can."""
        assert self._client is not None
        try:
            completion = await self._client.complete(
                [Message("system", system), Message("user", question)],
                schema,
                temperature=temperature,
                max_tokens=max_tokens,
                seed=seed,
            )
        except (BusyError, RefusedError) as error:
            raise JudgeFailedError(str(error)) from error
        return completion.text
