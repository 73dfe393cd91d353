"""uvicorn's HTTP protocol with fewer packets: the head and the body of an answer leave together."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class _JoinedTransport:
    """What is written within one turn of the event loop leaves in one call of the system, the dearest part of a small answer."""

    __slots__ = ("_loop", "_parts", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> None:
        """Send it by the end of the turn."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(part)

    def close(self) -> None:
        """Send what was written, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class JoinedHttpProtocol(HttpToolsProtocol):
    """One connection of a user."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Join what is written from here on."""
        super().connection_made(cast("asyncio.Transport", _JoinedTransport(transport, self.loop)))
