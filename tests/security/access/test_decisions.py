"""No decision is never a yes: a decision point that is away, slow or talks nonsense."""

import asyncio
import json

import pytest

from contracts.access import Ownership, ResourceKind
from contracts.errors import UnavailableError
from contracts.identity import AccountKind, Principal, Role
from security.access.decisions import PolicyDecisions
from tests.ports import free_port

KIM = Principal(user_id=1, username="kim", kind=AccountKind.PERSON, role=Role.ADMIN, token_id="t")
JOB = Ownership(kind=ResourceKind.JOB, resource_id="7")
GOOD = {
    "results": [{"resource": {"kind": "job", "id": "7"}, "actions": {"read": "EFFECT_ALLOW", "stop": "EFFECT_DENY"}}]
}


async def ask(answer: bytes | None, *, timeout_seconds: float = 30.0):
    """What the client makes of a server that sends these bytes; None: it keeps silent."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await asyncio.sleep(60)
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(answer or b"") + (answer or b"")
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    decisions = PolicyDecisions(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_seconds)
    try:
        return await decisions.allowed(KIM, [(JOB, ["read", "stop", "resume"])])
    finally:
        await decisions.close()
        server.close()


async def test_what_is_allowed_is_what_the_answer_says_and_nothing_more():
    assert await ask(json.dumps(GOOD).encode()) == [frozenset({"read"})]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"results": []}',
        json.dumps(
            {"results": [{"resource": {"kind": "job", "id": "8"}, "actions": {"read": "EFFECT_ALLOW"}}]}
        ).encode(),
        json.dumps({"results": [{"resource": {"kind": "job", "id": "7"}}]}).encode(),
    ],
)
async def test_nonsense_is_no_decision(answer):
    with pytest.raises(UnavailableError):
        await ask(answer)


async def test_silence_is_no_decision():
    with pytest.raises(UnavailableError):
        await ask(None, timeout_seconds=0.2)


async def test_a_decision_point_that_is_away_is_no_decision():
    decisions = PolicyDecisions(f"http://127.0.0.1:{free_port()}", 30.0)
    with pytest.raises(UnavailableError):
        await decisions.visible(KIM, ResourceKind.JOB)
    await decisions.close()
