"""The dashboard's server: the login page, the guard before everything else, and the pages of `app.py`.

`python -m dashboard` runs it. Nothing of Streamlit, neither page nor WebSocket nor file, answers without a session.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from contracts.audit import acting_from
from contracts.errors import TooManyRequestsError, TunewayError, UnauthorizedError
from dashboard import receiving
from dashboard.sessions import cookie_name, sessions_of
from dashboard.texts import Language, Words
from security.identity.login_page import LOGIN_HEADERS, LoginPage, login_page
from security.limits.addresses import client_address
from stages.logins import count_login, log_in, open_tokens
from stages.oidc_logins import LOGIN_COOKIE, begin_login, finish_login
from stages.services import open_services

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from contracts.identity import TokenPair
    from stages.services import Services

HEALTH = "/_stcore/health"
LOGIN = "/login"
OIDC = "/login/oidc"
OIDC_CALLBACK = "/login/oidc/callback"
OPEN = frozenset({LOGIN, OIDC, OIDC_CALLBACK, HEALTH})
"""What answers without a session."""
LOGIN_BODY_BYTES = 10_000
HEADERS = {
    b"x-frame-options": b"DENY",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
}

_log = logging.getLogger(__name__)


class Guard:
    """An ASGI middleware: without a session a reader is sent to the login page, and everything else is refused."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the connection through, or answer it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path in OPEN or _has_session(HTTPConnection(scope)):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4401, "reason": "log in"})
        else:
            await _refused(Request(scope))(scope, receive, _with_headers(send))


def create_app() -> st.App:
    """The server's application."""
    return st.App(
        Path(__file__).with_stem("app"),
        routes=[
            Route(LOGIN, _login, methods=["GET", "POST"]),
            Route(OIDC, _oidc_login, methods=["GET"]),
            Route(OIDC_CALLBACK, _oidc_callback, methods=["GET"]),
            *receiving.routes(lambda: _services()),
        ],
        middleware=[Middleware(Guard)],
    )


def address_of(connection: HTTPConnection, services: Services) -> str:
    """Where the browser is; a proxy's word counts where it is trusted."""
    peer = "unknown" if connection.client is None else connection.client.host
    forwarded = ",".join(connection.headers.getlist("x-forwarded-for"))
    return client_address(peer, forwarded, services.settings.trusted_proxies)


def log_person_in(request: Request, pair: TokenPair, services: Services, following: str) -> Response:
    """Begin the session and go where the person wanted to go."""
    response = RedirectResponse(following, status_code=303)
    response.set_cookie(
        cookie_name(services),
        sessions_of(services).open(pair),
        max_age=pair.refresh_expires_in,
        httponly=True,
        samesite="lax",
        secure=_is_encrypted(request, services),
    )
    return response


def local_address(text: str) -> str:
    """The address to go on to, where it is one of ours; else the first page."""
    parts = urlsplit(text)
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return text if is_ours and text.isprintable() and parts.path != LOGIN and "\\" not in text else "/"


async def _login(request: Request) -> Response:
    words = Words(_language(request))
    following = local_address(request.query_params.get("next", "/"))
    if request.method == "GET":
        return _page(words, following)
    if not _is_same_origin(request):
        return _page(words, following, problem=words("login.other_site"), status=403)
    body = await request.body() if _is_short(request) else b""
    if not body or len(body) > LOGIN_BODY_BYTES:
        return _page(words, following, problem=words("login.wrong"), status=400)
    form = await request.form()
    username, password = (str(form.get(name) or "") for name in ("username", "password"))
    try:
        services = await run_in_threadpool(_services)
        pair = await run_in_threadpool(_tokens, username, password, address_of(request, services), services)
        return log_person_in(request, pair, services, following)
    except UnauthorizedError:
        return _page(words, following, problem=words("login.wrong"), username=username, status=401)
    except TooManyRequestsError as error:
        return _page(words, following, problem=words("login.too_many"), username=username, status=429, retry=error)
    except TunewayError as error:
        _log.warning("login: %s", error.sentence())
        return _page(words, following, problem=words("login.unavailable"), username=username, status=503)


def _tokens(username: str, password: str, address: str, services: Services) -> TokenPair:
    """The API's tokens, counted and audited as its own logins are."""
    count_login(address, services)
    with acting_from(address):
        return log_in(username, password, open_tokens(services.settings), services, source=address)


async def _oidc_login(request: Request) -> Response:
    """To the site's provider."""
    words, following = Words(_language(request)), local_address(request.query_params.get("next", "/"))
    try:
        services = await run_in_threadpool(_services)
        settings = services.settings
        redirect_uri = f"{settings.oidc_dashboard_url or settings.resolved_dashboard_url}{OIDC_CALLBACK}"
        await run_in_threadpool(count_login, address_of(request, services), services)
        url, kept = await run_in_threadpool(begin_login, redirect_uri, open_tokens(settings), services, following)
    except TunewayError as error:
        return _oidc_problem(error, words, following)
    response = RedirectResponse(url, 303, {"Cache-Control": "no-store"})
    response.set_cookie(
        LOGIN_COOKIE,
        kept,
        max_age=600,
        path=OIDC,
        httponly=True,
        samesite="lax",
        secure=_is_encrypted(request, services),
    )
    return response


async def _oidc_callback(request: Request) -> Response:
    """Back from the provider, with a code or with an error."""
    words = Words(_language(request))
    try:
        services = await run_in_threadpool(_services)
        address = address_of(request, services)
        await run_in_threadpool(count_login, address, services)
        pair, following = await run_in_threadpool(
            _oidc_tokens,
            request.query_params.get("code", "")[:2000],
            request.query_params.get("state", "")[:200],
            request.cookies.get(LOGIN_COOKIE, ""),
            address,
            services,
        )
    except TunewayError as error:
        return _oidc_problem(error, words, "/")
    response = log_person_in(request, pair, services, local_address(following))
    response.delete_cookie(LOGIN_COOKIE, path=OIDC)
    return response


def _oidc_tokens(code: str, state: str, cookie: str, address: str, services: Services) -> tuple[TokenPair, str]:
    with acting_from(address):
        return finish_login(code, state, cookie, open_tokens(services.settings), services, source=address)


def _oidc_problem(error: TunewayError, words: Words, following: str) -> Response:
    _log.warning("login at the provider: %s", error.sentence())
    told, status = {
        "forbidden": ("login.no_role", 403),
        "conflict": ("login.name_taken", 409),
        "unauthorized": ("login.oidc_refused", 401),
        "too_many_requests": ("login.too_many", 429),
    }.get(error.code, ("login.oidc_unavailable", 503))
    return _page(words, following, problem=words(told), status=status)


def _page(
    words: Words,
    following: str,
    *,
    problem: str = "",
    username: str = "",
    status: int = 200,
    retry: TooManyRequestsError | None = None,
) -> Response:
    headers = LOGIN_HEADERS | ({} if retry is None else {"Retry-After": str(retry.value)})
    page = LoginPage(
        words=lambda key: words("app.tagline" if key == "tagline" else f"login.{key}"),
        language=words.language.value,
        path=LOGIN,
        icon=_icon(),
        provider_path=OIDC if _has_provider() else "",
    )
    return HTMLResponse(login_page(page, following, problem, username), status, headers)


@cache
def _icon() -> str:
    picture = Path(__file__).with_name("icon.png").read_bytes()
    return f"data:image/png;base64,{b64encode(picture).decode('ascii')}"


def _refused(request: Request) -> Response:
    """To the login page, for whoever opens a page; 401 for a page's own requests."""
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        language = f"&lang={request.query_params['lang']}" if request.query_params.get("lang") in set(Language) else ""
        following = quote(local_address(wanted), safe="/")
        return RedirectResponse(f"{LOGIN}?next={following}{language}", 303, {"Cache-Control": "no-store"})
    return PlainTextResponse("log in", 401)


def _has_session(connection: HTTPConnection) -> bool:
    try:
        services = _services()
        return sessions_of(services).holds(connection.cookies.get(cookie_name(services), ""))
    except TunewayError:
        # before the first start, or with a wrong setting, nobody is logged in
        return False


@cache
def _services() -> Services:
    """Opened once: a page asks for dozens of files. An error is not kept."""
    return open_services()


def _language(request: Request) -> Language:
    asked = request.query_params.get("lang")
    if asked in set(Language):
        return Language(asked)
    try:
        return Language(_services().settings.language)
    except TunewayError:
        return Language.KOREAN


def _has_provider() -> bool:
    try:
        return _services().settings.oidc_issuer is not None
    except TunewayError:
        return False


def _is_same_origin(request: Request) -> bool:
    """The form was sent from our own page: no other site logs a browser in as somebody else."""
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def _is_short(request: Request) -> bool:
    declared = request.headers.get("content-length", "")
    return declared.isdigit() and len(declared) < 10 and int(declared) <= LOGIN_BODY_BYTES


def _is_encrypted(request: Request, services: Services) -> bool:
    """The browser speaks HTTPS, with us or with a trusted proxy: the cookie never leaves in clear."""
    if request.url.scheme == "https":
        return True
    peer = "" if request.client is None else request.client.host
    is_proxy = client_address(peer, "192.0.2.1", services.settings.trusted_proxies) != peer
    return is_proxy and request.headers.get("x-forwarded-proto") == "https"


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(item for item in HEADERS.items() if item[0] not in present)]
        await send(message)

    return sending
