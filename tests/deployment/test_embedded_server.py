"""The embedded server between its users and llama.cpp."""

import asyncio

import aiohttp

from deployment.embedded_server import asked_again_if_closed

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def test_a_kept_connection_that_the_engine_has_closed_costs_nobody_an_answer():
    """The engine answers once on each connection, takes a second question there and closes without a word."""
    connections = 0

    async def engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"{}")
        writer.write(ANSWER)
        await reader.read(1)
        writer.close()

    async def ask_three_times() -> list[bytes]:
        server = await asyncio.start_server(engine, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/completion"
        found = []
        async with server, aiohttp.ClientSession(trust_env=False) as client:
            for _ in range(3):
                async with asked_again_if_closed(client, url, b"{}") as response:
                    found.append(await response.read())
        return found

    assert asyncio.run(ask_three_times()) == [b"{}"] * 3
    assert connections == 3
