"""Airflow's login page and its door for programs: POST /auth/token answers a token for a password or a key."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import jwt
from airflow.api_fastapi.app import API_ROOT_PATH, AUTH_MANAGER_FASTAPI_APP_PREFIX, get_cookie_path
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from fastapi import FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.audit import acting_from
from contracts.errors import TooManyRequestsError, TunewayError, UnauthorizedError
from operators.access.login_texts import LOGIN_TEXTS
from operators.access.users import AirflowUser, admit
from security.identity.login_page import LOGIN_HEADERS, OTHER_LANGUAGE, LoginPage, login_page
from security.limits.addresses import client_address
from stages.logins import count_login, identify, log_out, open_tokens
from stages.oidc_logins import LOGIN_COOKIE, begin_login, finish_login

if TYPE_CHECKING:
    from operators.access.auth_manager import TunewayAuthManager

_STATUS = {"unauthorized": 401, "too_many_requests": 429, "forbidden": 403, "conflict": 409, "invalid_request": 422}
_PROBLEMS = {401: "wrong", 429: "too_many", 403: "no_role", 409: "name_taken"}
_COOKIE_SECONDS = 600

_log = logging.getLogger(__name__)


class Credentials(BaseModel):
    """A person's password, or the key of a service account in its place."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    username: str = Field(min_length=1, max_length=100)
    password: str = Field(min_length=1, max_length=256)


class Token(BaseModel):
    """For the Authorization header of Airflow's REST API."""

    access_token: str


def create_app(manager: TunewayAuthManager) -> FastAPI:
    """What Airflow mounts at /auth."""
    app = FastAPI(title="Tuneway", docs_url=None, redoc_url=None)
    prefix = AUTH_MANAGER_FASTAPI_APP_PREFIX
    services = manager.services
    settings = services.settings

    def address(request: Request) -> str:
        peer = "unknown" if request.client is None else request.client.host
        return client_address(peer, ",".join(request.headers.getlist("x-forwarded-for")), settings.trusted_proxies)

    def page(
        request: Request, following: str, *, problem: str = "", username: str = "", status: int = 200, retry: str = ""
    ) -> Response:
        asked = request.query_params.get("lang", "")
        language = asked if asked in OTHER_LANGUAGE else settings.language
        words = LOGIN_TEXTS[language]
        drawn = LoginPage(
            words=words.__getitem__,
            language=language,
            path=f"{prefix}/login",
            provider_path=f"{prefix}/oidc" if settings.oidc_issuer else "",
        )
        told = words[problem] if problem else ""
        headers = LOGIN_HEADERS | ({"Retry-After": retry} if retry else {})
        return HTMLResponse(login_page(drawn, following, told, username), status, headers)

    def refused(request: Request, error: TunewayError, following: str, username: str = "") -> Response:
        _log.warning("login: %s", error.sentence())
        status = _STATUS.get(error.code, 503)
        retry = str(error.value) if isinstance(error, TooManyRequestsError) else ""
        problem = _PROBLEMS.get(status, "unavailable")
        return page(request, following, problem=problem, username=username, status=status, retry=retry)

    def let_in(request: Request, user: AirflowUser, following: str) -> Response:
        response = RedirectResponse(following, 303)
        response.set_cookie(
            COOKIE_NAME_JWT_TOKEN,
            manager.generate_jwt(user),
            path=get_cookie_path(),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    @app.get("/login")
    def login_form(request: Request, following: Annotated[str, Query(alias="next")] = "") -> Response:
        return page(request, _within_airflow(following))

    @app.post("/login")
    def log_in(
        request: Request,
        username: Annotated[str, Form(max_length=100)],
        password: Annotated[str, Form(max_length=256)],
        following: Annotated[str, Query(alias="next")] = "",
    ) -> Response:
        goal = _within_airflow(following)
        origin = request.headers.get("origin")
        if origin is None or urlsplit(origin).netloc != request.headers.get("host"):
            return page(request, goal, problem="other_site", status=403)
        source = address(request)
        try:
            with acting_from(source):
                user = admit(username, password, services, source=source)
        except TunewayError as error:
            return refused(request, error, goal, username)
        return let_in(request, user, goal)

    @app.post("/token", status_code=201)
    @app.post("/token/cli", status_code=201)
    def token(request: Request, credentials: Credentials) -> Token:
        source = address(request)
        with acting_from(source):
            user = admit(credentials.username, credentials.password, services, source=source)
        return Token(access_token=manager.generate_jwt(user))

    @app.get("/oidc")
    def oidc(request: Request, following: Annotated[str, Query(alias="next")] = "") -> Response:
        goal = _within_airflow(following)
        redirect_uri = f"{(settings.oidc_airflow_url or settings.resolved_airflow_url).rstrip('/')}/auth/oidc/callback"
        try:
            count_login(address(request), services)
            url, kept = begin_login(redirect_uri, open_tokens(settings), services, goal)
        except TunewayError as error:
            return refused(request, error, goal)
        response = RedirectResponse(url, 303, {"Cache-Control": "no-store"})
        response.set_cookie(
            LOGIN_COOKIE,
            kept,
            max_age=_COOKIE_SECONDS,
            path=f"{prefix}/oidc",
            httponly=True,
            samesite="lax",
            secure=redirect_uri.startswith("https:"),
        )
        return response

    @app.get("/oidc/callback")
    def oidc_callback(
        request: Request,
        code: Annotated[str, Query(max_length=2000)] = "",
        state: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        source, tokens = address(request), open_tokens(settings)
        try:
            count_login(source, services)
            with acting_from(source):
                pair, goal = finish_login(
                    code, state, request.cookies.get(LOGIN_COOKIE, ""), tokens, services, source=source
                )
            user = AirflowUser(identify(pair.access_token, tokens, services))
        except TunewayError as error:
            return refused(request, error, API_ROOT_PATH)
        response = let_in(request, user, _within_airflow(goal))
        response.delete_cookie(LOGIN_COOKIE, path=f"{prefix}/oidc")
        return response

    @app.get("/logout")
    def log_out_here(request: Request) -> Response:
        """Airflow has revoked its own token before it sends the browser here; the session ends with it."""
        claims = _claims(manager, request.cookies.get(COOKIE_NAME_JWT_TOKEN, ""))
        try:
            user = manager.deserialize_user(claims)
        except ValueError:
            user = None
        if user is not None and user.principal is not None:
            with acting_from(address(request)):
                log_out(user.principal, services)
            manager.forget(claims)
        response = RedirectResponse(f"{prefix}/login", 303)
        response.delete_cookie(COOKIE_NAME_JWT_TOKEN, path=get_cookie_path(), httponly=True)
        return response

    @app.exception_handler(TunewayError)
    def problem(request: Request, error: TunewayError) -> JSONResponse:
        headers = {"Retry-After": str(error.value)} if isinstance(error, TooManyRequestsError) else {}
        if isinstance(error, UnauthorizedError):
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({"detail": error.sentence()}, _STATUS.get(error.code, 503), headers)

    return app


def _within_airflow(following: str) -> str:
    """The address to go on to, as a path of this Airflow; its first page for anything else."""
    parts = urlsplit(following)
    path = parts.path
    if not path.startswith(API_ROOT_PATH) or path.startswith(("//", "/\\")) or "\\" in path or not path.isprintable():
        return str(API_ROOT_PATH)
    if path.startswith(AUTH_MANAGER_FASTAPI_APP_PREFIX + "/"):
        return str(API_ROOT_PATH)
    return path + (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")


def _claims(manager: TunewayAuthManager, token: str) -> dict[str, Any]:
    """What a token says that Airflow has made and may have revoked; nothing for any other."""
    try:
        return dict(manager._get_token_validator().validated_claims(token))
    except jwt.InvalidTokenError:
        return {}
