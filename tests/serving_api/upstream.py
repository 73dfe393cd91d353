"""A model server of ours that fails on demand, for what a healthy one never does."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

PIECES = ["통행료", "는 ", "현장에서 ", "환급", "합니다."]


@dataclass
class Upstream:
    """What it is to do, and what it saw."""

    name: str
    mode: str = "answer"
    """answer, unavailable (503), break (ends in the middle of a stream), slow (waits before the first piece)."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)
    """Questions whose connection was closed before the answer was whole."""
    url: str = ""
    slow_s: float = 30.0

    async def complete_text(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/completions."""
        body = orjson.loads(await request.read())
        self.asked.append(body)
        answer = {"id": "1", "object": "text_completion", "created": 1, "model": body["model"]}
        texts = [f"{self.name}: ", *PIECES]
        if not body.get("stream"):
            choices = [{"index": 0, "text": "".join(texts), "finish_reason": "stop", "logprobs": None}]
            usage = {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}
            return web.json_response({**answer, "choices": choices, "usage": usage})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for text in texts:
            choices = [{"index": 0, "text": text, "finish_reason": None, "logprobs": None}]
            await response.write(b"data: " + orjson.dumps({**answer, "choices": choices}) + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def embed(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/embeddings."""
        body = orjson.loads(await request.read())
        self.asked.append(body)
        vectors = [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        return web.json_response({"object": "list", "data": vectors, "model": body["model"], "usage": usage})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        body = orjson.loads(await request.read())
        self.asked.append(body)
        if self.mode == "unavailable":
            return web.Response(status=503, text="loading")
        try:
            return await self._answer(request, body)
        except (asyncio.CancelledError, ConnectionError):
            self.left.append(body)
            raise

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if self.mode == "slow":
            await asyncio.sleep(self.slow_s)
        if not body.get("stream"):
            message = {"role": "assistant", "content": f"{self.name}: {''.join(PIECES)}"}
            answer = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"]}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            return web.Response(body=orjson.dumps({**answer, "choices": choices}), content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for piece in [f"{self.name}: ", *PIECES]:
            await response.write(self._event(body, {"content": piece}))
            await asyncio.sleep(0.01)
            if self.mode == "break":
                assert request.transport is not None
                request.transport.abort()
            if self.mode == "endless":
                await asyncio.sleep(30)
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    def _event(self, body: dict[str, Any], delta: dict[str, Any]) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": None}]
        event = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": body["model"], "choices": choices}
        return b"data: " + orjson.dumps(event) + b"\n\n"


@contextmanager
def running_upstream(name: str) -> Iterator[Upstream]:
    """The server, in a thread."""
    upstream = Upstream(name)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    upstream.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    loop = asyncio.new_event_loop()
    application = web.Application()
    application.add_routes(
        [
            web.post("/v1/chat/completions", upstream.complete),
            web.post("/v1/completions", upstream.complete_text),
            web.post("/v1/embeddings", upstream.embed),
        ]
    )
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        await web.SockSite(runner, listener).start()

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield upstream
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
