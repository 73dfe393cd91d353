"""Getting into Airflow: by page, by password, by key; and out again."""

import pytest
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from fastapi import FastAPI
from fastapi.testclient import TestClient

from contracts.identity import PLATFORM_USER
from tests.operators.access.conftest import PASSWORD, PLATFORM_PASSWORD

pytestmark = pytest.mark.slow


@pytest.fixture
def client(manager):
    app = FastAPI()
    app.mount("/auth", manager.get_fastapi_app())
    return TestClient(app, base_url="http://airflow", follow_redirects=False)


def claims_of(manager, token):
    return manager._get_token_validator().validated_claims(token)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_is_in_both_languages_and_keeps_where_one_wanted_to_go(client, language):
    page = client.get("/auth/login", params={"next": "http://airflow/dags/train_model?tab=runs", "lang": language})
    assert page.status_code == 200
    assert f'<html lang="{language}">' in page.text
    assert "%2Fdags%2Ftrain_model%3Ftab%3Druns" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


def test_a_person_logs_in_by_the_page_and_out_again(client, manager):
    sent = {"username": "engineer", "password": PASSWORD}
    wrong = client.post("/auth/login", data={**sent, "password": "x"}, headers={"Origin": "http://airflow"})
    assert (wrong.status_code, COOKIE_NAME_JWT_TOKEN in wrong.cookies) == (401, False)
    foreign = client.post("/auth/login", data=sent, headers={"Origin": "http://elsewhere"})
    assert foreign.status_code == 403
    done = client.post("/auth/login?next=//evil/x", data=sent, headers={"Origin": "http://airflow"})
    assert (done.status_code, done.headers["location"]) == (303, "/x")
    assert "HttpOnly" in done.headers["set-cookie"]
    claims = claims_of(manager, done.cookies[COOKIE_NAME_JWT_TOKEN])
    assert manager.deserialize_user(claims).get_id() == "engineer"
    assert "role" not in claims

    out = client.get("/auth/logout")
    assert (out.status_code, out.headers["location"]) == (303, "/auth/login")
    with pytest.raises(ValueError, match="carries no valid"):
        manager.deserialize_user(claims)


@pytest.mark.parametrize(
    ("username", "password", "by"),
    [("engineer", PASSWORD, "session"), ("ci", "key", "key"), (PLATFORM_USER, PLATFORM_PASSWORD, "platform")],
)
def test_programs_get_a_token_for_a_password_a_key_or_the_platforms_own_secret(
    client, manager, key, username, password, by
):
    given = key if password == "key" else password
    answer = client.post("/auth/token", json={"username": username, "password": given})
    assert answer.status_code == 201
    claims = claims_of(manager, answer.json()["access_token"])
    assert (claims["by"], manager.deserialize_user(claims).get_id()) == (by, username)
    assert claims["exp"] - claims["iat"] <= 12 * 3600


@pytest.mark.parametrize("username", ["engineer", "ci", PLATFORM_USER, "nobody"])
def test_a_wrong_secret_gets_401_and_is_not_repeated(client, key, username):
    for password in ("guessed", key):
        if (username, password) == ("ci", key):
            continue
        answer = client.post("/auth/token", json={"username": username, "password": password})
        assert answer.status_code == 401
        assert password not in answer.text


def test_logins_of_one_address_are_counted_with_those_of_the_dashboard(client, manager):
    manager.services.settings.__dict__["logins_per_minute"] = 2
    answers = [client.post("/auth/token", json={"username": "nobody", "password": "x"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert int(answers[2].headers["retry-after"]) > 0
