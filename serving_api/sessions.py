"""Logging in and out, and the public keys of the access tokens."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, Query, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from contracts.errors import InvalidRequestError
from contracts.identity import Principal, TokenPair
from serving_api.authentication import Caller, ServicesParameter, Source, TokensParameter, no_store
from serving_api.problems import problem_responses
from stages.accounts import set_password
from stages.logins import confirm_password, log_in, log_out, refresh, revoke_access
from stages.oidc_logins import LOGIN_COOKIE, begin_login, finish_login


class Login(BaseModel):
    """A person's name and password."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    username: str = Field(min_length=1, max_length=100)
    password: str = Field(min_length=1, max_length=256)


class Refresh(BaseModel):
    """A session's newest refresh token."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    refresh_token: str = Field(min_length=1, max_length=200)


class PasswordChange(BaseModel):
    """A person's present password, and the one that follows it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    password: str = Field(min_length=1, max_length=256)
    new_password: str = Field(min_length=1, max_length=256)


class Revocation(BaseModel):
    """An access token that is to be refused from now on."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    token: str = Field(min_length=1, max_length=4000)


class Revoked(BaseModel):
    """The `jti` of the token that was taken back."""

    token_id: str


router = APIRouter(
    prefix="/api/v1/auth",
    tags=["auth"],
    responses=problem_responses(401, 422, 429, 503),
    dependencies=[Depends(no_store)],
)
keys = APIRouter(tags=["auth"])


@keys.get("/.well-known/jwks.json")
def jwks(tokens: TokensParameter) -> dict[str, list[dict[str, str]]]:
    """The public keys that verify access tokens (RFC 7517)."""
    return tokens.jwks()


@router.post("/login")
def login(request: Login, tokens: TokensParameter, services: ServicesParameter, source: Source) -> TokenPair:
    """An access token for 15 minutes, and a refresh token. Five wrong passwords lock the account for 15 minutes."""
    return log_in(request.username, request.password, tokens, services, source=source)


@router.post("/refresh")
def refresh_session(
    request: Refresh, tokens: TokensParameter, services: ServicesParameter, source: Source
) -> TokenPair:
    """New tokens for a refresh token, which is used up: shown a second time, it ends the session."""
    return refresh(request.refresh_token, tokens, services, source=source)


@router.get("/oidc/login", status_code=303, responses=problem_responses(422))
def oidc_login(request: Request, tokens: TokensParameter, services: ServicesParameter) -> RedirectResponse:
    """To the site's OIDC provider, whose callback answers the tokens. The browser keeps a cookie meanwhile."""
    settings = services.settings
    redirect_uri = f"{settings.oidc_api_url or settings.resolved_serving_url}/api/v1/auth/oidc/callback"
    url, kept = begin_login(redirect_uri, tokens, services)
    response = RedirectResponse(url, 303, {"Cache-Control": "no-store"})
    response.set_cookie(
        LOGIN_COOKIE,
        kept,
        max_age=600,
        path="/api/v1/auth/oidc",
        httponly=True,
        samesite="lax",
        secure=redirect_uri.startswith("https:"),
    )
    return response


@router.get("/oidc/callback", responses=problem_responses(403, 409))
def oidc_callback(
    tokens: TokensParameter,
    services: ServicesParameter,
    source: Source,
    code: Annotated[str, Query(max_length=2000)] = "",
    state: Annotated[str, Query(max_length=200)] = "",
    tuneway_oidc: Annotated[str, Cookie(max_length=4000)] = "",
) -> TokenPair:
    """The tokens of whoever the provider says it is; account, role and projects follow the provider's."""
    pair, _ = finish_login(code, state, tuneway_oidc, tokens, services, source=source)
    return pair


@router.post("/logout", status_code=204)
def logout(caller: Caller, services: ServicesParameter) -> None:
    """End the session with all its tokens."""
    log_out(caller, services)


@router.post("/revoke")
def revoke(request: Revocation, caller: Caller, tokens: TokensParameter, services: ServicesParameter) -> Revoked:
    """Take one access token back; whoever holds it may do so."""
    return Revoked(token_id=revoke_access(request.token, caller.username, tokens, services))


@router.get("/me")
def me(caller: Caller) -> Principal:
    """Who the caller is to this platform."""
    return caller


@router.post("/password", status_code=204)
def change_password(request: PasswordChange, caller: Caller, services: ServicesParameter, source: Source) -> None:
    """Change one's own password; every session of the account ends, this one too."""
    if caller.session_id is None:
        raise InvalidRequestError("A key changes no password", value=caller.username, next_step="log in as a person")
    confirm_password(caller.username, request.password, services, source=source)
    set_password(caller.username, caller.username, services, request.new_password)
