"""What a caller may do, asked of the policies before an endpoint's own work: by action, by thing, and for lists by row."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from anyio import from_thread
from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from contracts.access import ResourceKind, Visibility
from contracts.errors import InvalidRequestError
from contracts.identity import Principal
from security.access.decisions import PolicyDecisions
from serving_api.authentication import principal_of, services_of
from stages import permissions

PUBLIC = frozenset(
    {
        "/health",
        "/docs",
        "/docs/swagger-ui.js",
        "/docs/swagger-ui.css",
        "/openapi.json",
        "/.well-known/jwks.json",
        "/api/v1/auth/login",
        "/api/v1/auth/refresh",
        "/api/v1/auth/oidc/login",
        "/api/v1/auth/oidc/callback",
    }
)
"""Paths that answer without knowing who asks."""
OWN = frozenset({"/api/v1/auth/logout", "/api/v1/auth/me", "/api/v1/auth/password", "/api/v1/auth/revoke"})
"""Paths on which everybody who is logged in deals with themselves."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A dependency that lets a call through when the policies say so, and keeps the endpoint from being entered otherwise."""

    kind: ResourceKind
    action: str
    by: str | None = None
    """The path's parameter that names the thing; None: the action concerns no thing in particular."""

    async def __call__(self, request: Request, principal: Annotated[Principal, Depends(principal_of)]) -> None:
        """Raises ForbiddenError, NotFoundError, and UnavailableError where there is no decision."""
        row_id = None if self.by is None else _number(self.by, str(request.path_params[self.by]))
        await require(request, principal, self.kind, self.action, row_id)


@dataclass(frozen=True, slots=True)
class ListPermission:
    """A dependency that says which rows of a list the caller sees: one question, whatever the number of rows."""

    kind: ResourceKind

    async def __call__(self, request: Request, principal: Annotated[Principal, Depends(principal_of)]) -> Visibility:
        """Raises UnavailableError where there is no decision, ForbiddenError where a key's scopes leave lists out."""
        return await permissions.visible(principal, self.kind, decisions=decisions_of(request))


@dataclass(frozen=True, slots=True)
class Things:
    """What the caller may do with things that the body names. Only for endpoints that run in a worker thread."""

    request: Request
    principal: Principal

    def require(self, kind: ResourceKind, action: str, row_id: int) -> None:
        """Raises as Permission does."""
        from_thread.run(require, self.request, self.principal, kind, action, row_id)


def _things(request: Request, principal: Annotated[Principal, Depends(principal_of)]) -> Things:
    return Things(request, principal)


ThingsParameter = Annotated[Things, Depends(_things)]


async def require(
    request: Request, principal: Principal, kind: ResourceKind, action: str, row_id: int | None = None
) -> None:
    """Let pass who may. Raises ForbiddenError, NotFoundError, and UnavailableError where there is no decision.

    `row_id`: of the thing; None: the action concerns no thing in particular.
    """
    await permissions.require(
        principal, kind, action, row_id, decisions=decisions_of(request), services=services_of(request)
    )


def _number(name: str, given: str) -> int:
    try:
        return int(given)
    except ValueError as error:
        raise InvalidRequestError(
            "The thing is named by a number", value=given[:100], next_step=f"correct {name}"
        ) from error


def permit(kind: ResourceKind, action: str, by: str | None = None) -> Any:
    """For `dependencies=[...]` of an endpoint."""
    return Depends(Permission(kind, action, by))


def decisions_of(request: Request) -> PolicyDecisions:
    """The application's way to the policies."""
    decisions: PolicyDecisions = request.app.state.decisions
    return decisions


def permissions_of(route: APIRoute) -> list[Permission | ListPermission]:
    """What an endpoint asks of the policies."""
    return [call for call in _calls(route.dependant) if isinstance(call, Permission | ListPermission)]


def unguarded(app: FastAPI) -> list[str]:
    """Endpoints that anybody could enter though they are not public, as `METHOD path`."""
    found = []
    for route in app.routes:
        path = getattr(route, "path", "")
        if path in PUBLIC:
            continue
        if isinstance(route, APIRoute) and (
            permissions_of(route) or (path in OWN and principal_of in set(_calls(route.dependant)))
        ):
            continue
        found.append(f"{','.join(sorted(getattr(route, 'methods', None) or ()))} {path}")
    return found


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for dependency in dependant.dependencies:
        if dependency.call is not None:
            yield dependency.call
        yield from _calls(dependency)
