"""Who makes a call: the access token or key it carries, looked up at each call."""

from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from contracts.identity import Principal
from security.identity.access_tokens import AccessTokens, refused
from stages.logins import identify
from stages.services import Services

_bearer = HTTPBearer(auto_error=False, description="an access token of /api/v1/auth/login, or a service account's key")


def services_of(request: Request) -> Services:
    """The application's services."""
    services: Services = request.app.state.services
    return services


def tokens_of(request: Request) -> AccessTokens:
    """What signs and verifies the application's access tokens."""
    tokens: AccessTokens = request.app.state.tokens
    return tokens


def principal_of(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    """The caller. Raises UnauthorizedError."""
    if credentials is None:
        raise refused("none")
    return identify(credentials.credentials, tokens_of(request), services_of(request))


async def principal_again(request: Request) -> Principal:
    """The caller of a call that has been going on for a while, as of now. Raises UnauthorizedError."""
    return await run_in_threadpool(principal_of, request, await _bearer(request))


def source_of(request: Request) -> str:
    """The address that a call came from, for the audit trail."""
    return "" if request.client is None else request.client.host


def no_store(response: Response) -> None:
    """An answer that may hold a secret is kept by nobody on its way (RFC 6749, 5.1)."""
    response.headers["Cache-Control"] = "no-store"


ServicesParameter = Annotated[Services, Depends(services_of)]
TokensParameter = Annotated[AccessTokens, Depends(tokens_of)]
Caller = Annotated[Principal, Depends(principal_of)]
Source = Annotated[str, Depends(source_of)]
