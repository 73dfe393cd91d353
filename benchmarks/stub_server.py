"""A model server that says the same to everyone at no cost, so that what stands in front of it can be measured.

python -m benchmarks.stub_server PORT
"""

import asyncio
import json
import sys

import uvloop

CHUNKS = 64
PACE_S = 0.01
"""Between two pieces of a stream."""

ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "stub",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "통행료 환급 " * 40}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 120, "completion_tokens": 160, "total_tokens": 280},
    },
    ensure_ascii=False,
).encode()


def _event(number: int) -> bytes:
    delta = {"index": 0, "delta": {"content": f"환급{number} "}, "finish_reason": None}
    event = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "stub", "choices": [delta]}
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


PIECES = [*(_event(number) for number in range(CHUNKS - 1)), b"data: [DONE]\n\n"]
STREAM = b"".join(PIECES)

_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_WHOLE = _JSON % len(ANSWER) + ANSWER
_MODELS = b'{"object":"list","data":[{"id":"stub","object":"model","created":1,"owned_by":"stub"}]}'
_OTHER = _JSON % len(_MODELS) + _MODELS
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
_CHUNKED = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in PIECES]


class Stub(asyncio.Protocol):
    """One connection; a question at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Answer each whole question."""
        buffer = self._buffer + data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            head = buffer[:end].lower()
            _, found, rest = head.partition(b"content-length:")
            whole = end + 4 + (int(rest.split(b"\r\n", 1)[0]) if found else 0)
            if len(buffer) < whole:
                break
            body, buffer = buffer[end + 4 : whole], buffer[whole:]
            self._answer(head, body)
        self._buffer = buffer

    def _answer(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        if not head.startswith(b"post"):
            self._transport.write(_OTHER)
        elif b'"stream":true' in body or b'"stream": true' in body:
            self._transport.write(_STREAM_HEAD)
            self._next(0)
        else:
            self._transport.write(_WHOLE)

    def _next(self, place: int) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        if place == len(_CHUNKED):
            self._transport.write(b"0\r\n\r\n")
            return
        self._transport.write(_CHUNKED[place])
        asyncio.get_running_loop().call_later(PACE_S, self._next, place + 1)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
