"""Logging in over HTTP."""

import httpx
import jwt
import pytest
from sqlalchemy import text

from contracts.identity import Role
from stages.accounts import add_account
from tests.serving_api.running import ADMIN_TOKEN, running_service

pytestmark = pytest.mark.slow

PASSWORD = "안개 낀 다리 위 7시"


@pytest.fixture
def api(services):
    add_account("kim", Role.VIEWER, "test", services, password=PASSWORD)
    with running_service(services) as (url, _), httpx.Client(base_url=url) as client:
        yield client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_a_person_logs_in_stays_in_and_logs_out(api, services):
    wrong = api.post("/api/v1/auth/login", json={"username": "kim", "password": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "unauthorized")
    answer = api.post("/api/v1/auth/login", json={"username": "kim", "password": PASSWORD})
    assert answer.headers["Cache-Control"] == "no-store"
    pair = answer.json()
    assert pair["expires_in"] == 900
    me = api.get("/api/v1/auth/me", headers=bearer(pair["access_token"])).json()
    assert (me["username"], me["role"]) == ("kim", "viewer")
    assert api.get("/api/v1/admin/models", headers=bearer(pair["access_token"])).status_code == 200

    published = jwt.PyJWKSet.from_dict(api.get("/.well-known/jwks.json").json())
    key = published[jwt.get_unverified_header(pair["access_token"])["kid"]]
    assert jwt.decode(pair["access_token"], key, algorithms=["EdDSA"], audience="tuneway-api")["sub"] == "kim"

    newer = api.post("/api/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]}).json()
    assert api.post("/api/v1/auth/logout", headers=bearer(newer["access_token"])).status_code == 204
    assert api.get("/api/v1/auth/me", headers=bearer(newer["access_token"])).status_code == 401
    assert api.post("/api/v1/auth/refresh", json={"refresh_token": newer["refresh_token"]}).status_code == 401
    with services.unit_of_work() as uow:
        rows = uow.session.execute(text("SELECT action FROM audit_logs WHERE actor = 'kim' ORDER BY id")).scalars()
        assert list(rows) == ["login.refused", "login.accepted", "login.ended"]


def test_a_person_changes_their_password_and_has_to_log_in_again(api):
    token = api.post("/api/v1/auth/login", json={"username": "kim", "password": PASSWORD}).json()["access_token"]
    change = {"password": PASSWORD, "new_password": "다른 다리 위의 맑은 날"}
    weak = api.post("/api/v1/auth/password", json={**change, "new_password": "1234"}, headers=bearer(token))
    assert weak.status_code == 422
    wrong = api.post("/api/v1/auth/password", json={**change, "password": "x"}, headers=bearer(token))
    assert wrong.status_code == 401
    assert api.post("/api/v1/auth/password", json=change, headers=bearer(token)).status_code == 204
    assert api.get("/api/v1/auth/me", headers=bearer(token)).status_code == 401
    login = {"username": "kim", "password": change["new_password"]}
    assert api.post("/api/v1/auth/login", json=login).status_code == 200


def test_a_key_changes_no_password_and_what_is_refused_is_not_repeated(api):
    change = {"password": PASSWORD, "new_password": "다른 다리 위의 맑은 날"}
    assert api.post("/api/v1/auth/password", json=change, headers=bearer(ADMIN_TOKEN)).status_code == 422
    for body in ({"username": "kim", "password": ["secret words"]}, {"username": "kim", "passwrd": "secret words"}):
        refused = api.post("/api/v1/auth/login", json=body)
        assert refused.status_code == 422
        assert "secret words" not in refused.text
