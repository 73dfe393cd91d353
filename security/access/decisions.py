"""The decisions of Cerbos over HTTP. No answer, a late one or a broken one is never a yes: it raises UnavailableError."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import httpx

from contracts.access import Ownership, ResourceKind, Visibility
from contracts.errors import UnavailableError
from contracts.identity import Principal
from security.access.plans import visibility_of

ALLOWED = "EFFECT_ALLOW"
CHECK = "/api/check/resources"


class PolicyDecisions:
    """One connection pool to the policy decision point."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """`timeout_seconds`: of a whole call."""
        # the decision point is on this host: a site's proxy must not catch the call
        self._client = httpx.AsyncClient(base_url=url, timeout=timeout_seconds, trust_env=False)
        self._timeout_seconds = timeout_seconds

    async def allowed(
        self, principal: Principal, questions: Sequence[tuple[Ownership, Sequence[str]]]
    ) -> list[frozenset[str]]:
        """For each thing, those of the actions that the principal may do; all in one call."""
        return _answers(await self._ask(CHECK, _asked(principal, questions)), questions)

    async def visible(self, principal: Principal, kind: ResourceKind) -> Visibility:
        """Which things of a kind the principal may read, as a filter for the query."""
        answer = await self._ask(
            "/api/plan/resources",
            {"principal": _principal(principal), "resource": {"kind": kind.value}, "actions": ["read"]},
        )
        plan = answer.get("filter")
        if not isinstance(plan, dict):
            raise _no_decision("an answer of another shape")
        return visibility_of(plan)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._client.post(path, json={"requestId": uuid4().hex, **body})
            return _read(response)
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            raise _no_decision(f"{type(error).__name__}: {error}") from error


class BlockingPolicyDecisions:
    """The same for callers without an event loop, from any of their threads."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """`timeout_seconds`: of connecting, of sending and of each wait for the answer."""
        self._client = httpx.Client(base_url=url, timeout=timeout_seconds, trust_env=False)

    def allowed(
        self, principal: Principal, questions: Sequence[tuple[Ownership, Sequence[str]]]
    ) -> list[frozenset[str]]:
        """As `PolicyDecisions.allowed`."""
        body = {"requestId": uuid4().hex, **_asked(principal, questions)}
        try:
            answer = _read(self._client.post(CHECK, json=body))
        except (httpx.HTTPError, ValueError) as error:
            raise _no_decision(f"{type(error).__name__}: {error}") from error
        return _answers(answer, questions)


def _asked(principal: Principal, questions: Sequence[tuple[Ownership, Sequence[str]]]) -> dict[str, Any]:
    return {
        "principal": _principal(principal),
        "resources": [
            {
                "resource": {
                    "kind": thing.kind.value,
                    "id": thing.resource_id,
                    "attr": {"owner": thing.owner, "projects": thing.projects, "trainers": thing.trainers},
                },
                "actions": list(actions),
            }
            for thing, actions in questions
        ],
    }


def _read(response: httpx.Response) -> dict[str, Any]:
    response.raise_for_status()
    answer = response.json()
    if not isinstance(answer, dict):
        raise _no_decision("an answer of another shape")
    return answer


def _answers(answer: dict[str, Any], questions: Sequence[tuple[Ownership, Sequence[str]]]) -> list[frozenset[str]]:
    results = answer.get("results")
    if not isinstance(results, list) or len(results) != len(questions):
        raise _no_decision("an answer of another shape")
    return [_allowed(result, thing, actions) for result, (thing, actions) in zip(results, questions, strict=True)]


def _principal(principal: Principal) -> dict[str, Any]:
    return {
        "id": principal.username,
        "roles": [principal.role.value],
        "attr": {"projects": principal.projects, "kind": principal.kind.value},
    }


def _allowed(result: Any, thing: Ownership, actions: Sequence[str]) -> frozenset[str]:
    match result:
        case {"resource": {"kind": kind, "id": name}, "actions": dict(effects)} if (kind, name) == (
            thing.kind.value,
            thing.resource_id,
        ):
            return frozenset(action for action in actions if effects.get(action) == ALLOWED)
    raise _no_decision("an answer about something else")


def _no_decision(why: str) -> UnavailableError:
    return UnavailableError(
        "There is no decision on whether this is allowed, so it is refused",
        value=why,
        next_step="look at the policy decision point: `tuneway logs cerbos`; then try again",
    )
