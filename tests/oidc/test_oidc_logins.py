"""Logging in at the site's provider: a real one, and one that forges."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import text

from contracts.errors import InvalidRequestError, UnauthorizedError, UnavailableError
from contracts.identity import AccountKind, Role
from security.identity.oidc import Challenge, OidcProvider, values_of
from stages import accounts
from tests.dashboard.test_server import dashboard
from tests.oidc.provider import CLIENT_SECRET, ROLES, log_in_at, running_provider
from tests.ports import free_port
from tests.serving_api.running import make_secrets, running_service

CALLBACK = "http://127.0.0.1:9/api/v1/auth/oidc/callback"


@pytest.fixture
def site(services, tmp_path):
    """The issuer of a real provider, and settings that know it."""
    secret = tmp_path / "client_secret"
    secret.write_text(CLIENT_SECRET + "\n", encoding="utf-8")
    with running_provider([CALLBACK]) as issuer:
        settings = services.settings.model_copy(
            update={
                "oidc_issuer": issuer,
                "oidc_client_secret_file": secret,
                "oidc_roles": ROLES,
                "oidc_projects_claim": "projects",
                "oidc_api_url": "http://127.0.0.1:9",
            }
        )
        yield issuer, replace(services, settings=settings)


def log_in(api: str, name: str) -> httpx.Response:
    """The answer of our callback to a browser that was at the provider."""
    with httpx.Client() as browser:
        begun = browser.get(f"{api}/api/v1/auth/oidc/login")
        assert begun.status_code == 303, begun.text
        back = log_in_at(browser, begun.headers["location"], name, "http://127.0.0.1:9/")
        return browser.get(back.replace("http://127.0.0.1:9", api))


@pytest.mark.slow
def test_people_of_the_site_get_an_account_whose_role_and_projects_follow_the_provider(site):
    issuer, services = site
    with running_service(services) as (api, _):
        answer = log_in(api, "kim")
        assert answer.status_code == 200, answer.text
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        me = httpx.get(f"{api}/api/v1/auth/me", headers=bearer).json()
        assert (me["username"], me["role"], me["projects"]) == ("kim", "ml_engineer", ["roads"])
        httpx.put(f"{issuer}/people/kim?groups=operators,ai-team")
        assert log_in(api, "kim").status_code == 200
        assert httpx.get(f"{api}/api/v1/auth/me", headers=bearer).json()["role"] == "admin"

        # no group that has a role here
        assert (log_in(api, "seo").status_code, log_in(api, "nobody").status_code) == (403, 403)
        # a name of the provider is not the account of the same name that was here before
        accounts.add_account("admin", Role.ADMIN, "test", services, kind=AccountKind.PERSON)
        assert log_in(api, "admin").status_code == 409
        accounts.set_active("kim", False, "test", services)
        assert log_in(api, "kim").status_code == 401
    with services.unit_of_work() as uow:
        assert uow.users.credentials("seo") is None
        assert uow.users.get("admin").role is Role.ADMIN
        actions = uow.session.execute(text("SELECT action FROM audit_logs WHERE actor = 'oidc' ORDER BY id")).scalars()
        assert list(actions) == ["user.added", "user.granted", "user.granted"]


@pytest.mark.slow
def test_a_callback_without_its_own_beginning_is_refused(site):
    _, services = site
    with running_service(services) as (api, _), httpx.Client() as browser:
        begun = browser.get(f"{api}/api/v1/auth/oidc/login")
        back = log_in_at(browser, begun.headers["location"], "kim", "http://127.0.0.1:9/")
        callback = back.replace("http://127.0.0.1:9", api)
        # another browser; another state; the same code a second time
        assert httpx.get(callback).status_code == 401
        assert browser.get(callback.replace("state=", "state=x")).status_code == 401
        assert browser.get(callback).status_code == 200
        assert browser.get(callback).status_code == 401


@pytest.mark.slow
def test_the_dashboard_takes_the_sites_account_too(services, tmp_path, monkeypatch):
    make_secrets(services.settings.secrets_dir)
    port, secret = free_port(), tmp_path / "client_secret"
    secret.write_text(CLIENT_SECRET, encoding="utf-8")
    # the dashboard is sent back to by an address that leads nowhere: the test brings the browser there
    door = f"http://127.0.0.1:{port}"
    with running_provider([f"{door}/login/oidc/callback"]) as issuer:
        for name, value in {
            "ISSUER": issuer, "CLIENT_SECRET_FILE": str(secret), "ROLES": json.dumps(ROLES), "DASHBOARD_URL": door,
        }.items():  # fmt: skip
            monkeypatch.setenv(f"TUNEWAY_OIDC_{name}", value)
        with dashboard(tmp_path) as own_port, httpx.Client() as browser:
            own = f"http://127.0.0.1:{own_port}"
            assert "회사 계정으로 로그인" in browser.get(f"{own}/login").text
            begun = browser.get(f"{own}/login/oidc?next=/models")
            back = log_in_at(browser, begun.headers["location"], "kim", door)
            accepted = browser.get(back.replace(door, own))
            assert (accepted.status_code, accepted.headers["location"]) == (303, "/models")
            assert browser.get(f"{own}/models", headers={"Accept": "text/html"}).status_code == 200
            assert httpx.get(back.replace(door, own)).status_code == 401


class Forger(BaseHTTPRequestHandler):
    """A provider whose token endpoint answers whatever the test wants."""

    server: Any

    def do_GET(self) -> None:
        issuer = f"http://127.0.0.1:{self.server.server_port}"
        answers: dict[str, Any] = {
            "/.well-known/openid-configuration": {
                "issuer": issuer, "authorization_endpoint": f"{issuer}/auth", "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/jwks",
            },
            "/jwks": self.server.jwks,
        }  # fmt: skip
        self._say(answers[self.path])

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._say({"id_token": self.server.token})

    def _say(self, answer: Any) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def forger() -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), Forger)
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
    server.jwks = {"keys": [jwk | {"kid": "k1", "use": "sig", "alg": "RS256"}]}
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def claims(issuer: str, changes: dict[str, Any]) -> dict[str, Any]:
    now = int(time.time())
    given: dict[str, Any] = {
        "iss": issuer,
        "aud": "tuneway",
        "sub": "1",
        "nonce": "n",
        "iat": now,
        "exp": now + 60,
    } | changes
    return {name: now + value if name in {"iat", "exp"} and value < 10**9 else value for name, value in given.items()
            if value is not None}  # fmt: skip


def asked(forger: Any, token: str) -> dict[str, Any]:
    forger.token = token
    provider = OidcProvider(f"http://127.0.0.1:{forger.server_port}", "tuneway", None)
    return provider.claims("code", "http://127.0.0.1:9/", Challenge("s", "n", "v"))


def test_a_good_token_is_taken(forger):
    issuer = f"http://127.0.0.1:{forger.server_port}"
    token = jwt.encode(claims(issuer, {}), KEY, algorithm="RS256", headers={"kid": "k1"})
    assert asked(forger, token)["sub"] == "1"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"}, {"aud": "another"}, {"aud": ["tuneway", "another"]}, {"azp": "another"},
        {"nonce": "of another login"}, {"nonce": None}, {"exp": -120}, {"exp": None}, {"iat": -4000}, {"sub": None},
        {"sub": ""},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_with_a_wrong_claim_is_refused(forger, changes):
    issuer = f"http://127.0.0.1:{forger.server_port}"
    token = jwt.encode(claims(issuer, changes), KEY, algorithm="RS256", headers={"kid": "k1"})
    with pytest.raises(UnauthorizedError):
        asked(forger, token)


@pytest.mark.parametrize("trick", ["other key", "other kid", "none", "hmac", "algorithm of another key"])
def test_a_token_with_a_wrong_signature_is_refused(forger, trick):
    issuer = f"http://127.0.0.1:{forger.server_port}"
    good = claims(issuer, {})
    tokens = {
        "other key": lambda: jwt.encode(good, OTHER, algorithm="RS256", headers={"kid": "k1"}),
        "other kid": lambda: jwt.encode(good, KEY, algorithm="RS256", headers={"kid": "k2"}),
        "none": lambda: jwt.encode(good, "", algorithm="none", headers={"kid": "k1"}),
        "hmac": lambda: jwt.encode(good, "a" * 64, algorithm="HS256", headers={"kid": "k1"}),
        "algorithm of another key": lambda: jwt.encode(good, KEY, algorithm="PS256", headers={"kid": "k1"}),
    }
    with pytest.raises(UnauthorizedError):
        asked(forger, tokens[trick]())


def test_a_provider_that_is_away_or_calls_itself_otherwise_is_said(forger):
    challenge = Challenge.fresh()
    with pytest.raises(UnavailableError):
        OidcProvider(f"http://127.0.0.1:{free_port()}", "tuneway", None).authorization_url(CALLBACK, challenge)
    with pytest.raises(InvalidRequestError, match="calls itself by another name"):
        OidcProvider(f"http://localhost:{forger.server_port}", "tuneway", None).authorization_url(CALLBACK, challenge)
    with pytest.raises(InvalidRequestError, match="HTTPS"):
        OidcProvider("http://provider.site.example", "tuneway", None)


def test_groups_are_found_in_objects_and_as_single_texts():
    said = {"groups": "a", "realm_access": {"roles": ["b", 3]}, "https://site/groups": ["c"], "number": 7}
    found = [values_of(said, name) for name in ("groups", "realm_access.roles", "https://site/groups", "number", "x.y")]
    assert found == [["a"], ["b"], ["c"], [], []]
