"""Who may ask on /v1 and how often."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from contracts.enums import Arm
from contracts.identity import AccountKind, Role
from serving_api.chat_access import Rate
from stages.accounts import add_account, create_key, revoke_key
from tests.serving_api.running import add_model, running_service, wait_until
from tests.serving_api.upstream import running_upstream

QUESTION = {"messages": [{"role": "user", "content": "통행료 환급은 어떻게 합니까?"}]}


@contextmanager
def chat(services, **settings):
    """A client of the service under these settings."""
    with running_upstream("base") as upstream:
        add_model(services, "base", "base", "base-aaaa", upstream.url, Arm.A)
        services = replace(services, settings=services.settings.model_copy(update=settings))
        with running_service(services) as (url, _), httpx.Client(base_url=f"{url}/v1") as client:
            yield client


def ask(client, user="kim", key=None):
    headers = {"X-Tuneway-User": user} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    return client.post("/chat/completions", json=QUESTION, headers=headers)


def key_of(services, scope):
    return create_key("front-end", "chat", [scope], timedelta(days=1), "test", services)


@pytest.fixture
def front_end(services):
    add_account("front-end", Role.VIEWER, "test", services, kind=AccountKind.SERVICE)


def test_a_rate_lets_so_many_through_at_once_and_then_one_each_share_of_a_minute():
    rate = Rate(3)
    assert [rate.wait("kim", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 20.0]
    assert rate.wait("lee", 100.0) == 0.0
    assert rate.wait("kim", 119.0) == 1.0
    assert rate.wait("kim", 120.0) == 0.0
    assert rate.wait("kim", 120.0) == 20.0
    assert [rate.wait("kim", 300.0) for _ in range(4)] == [0.0, 0.0, 0.0, 20.0]


def test_users_who_are_long_gone_are_forgotten(monkeypatch):
    monkeypatch.setattr("serving_api.chat_access.MOST_COUNTED", 3)
    rate = Rate(60)
    for number in range(3):
        rate.wait(f"user-{number}", float(number))
    rate.wait("kim", 100.0)
    assert list(rate._arrivals) == ["kim"]


@pytest.mark.slow
def test_a_user_who_asks_too_often_is_told_when_to_come_back_in_openais_shape(services):
    with chat(services, chat_user_per_minute=2) as client:
        assert [ask(client).status_code for _ in range(2)] == [200, 200]
        refused = ask(client)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert 0 < int(refused.headers["retry-after"]) <= 30
        assert ask(client, user="lee").status_code == 200
        # what is read is not counted
        assert client.get("/models").status_code == 200


@pytest.mark.slow
def test_with_keys_nobody_asks_without_a_good_one_and_a_revoked_one_is_refused_soon(services, front_end):
    good, other = key_of(services, "chat:ask"), key_of(services, "job:read")
    with chat(services, chat_key_required=True) as client:
        for key in (None, "sk-anything", other.key, good.key[:-1] + "?"):
            refused = ask(client, key=key)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key"), key
        assert client.get("/models").status_code == 401
        assert client.post("/feedback", json={}).status_code == 401
        assert ask(client, key=good.key).status_code == 200
        assert client.get("/models", headers={"Authorization": f"Bearer {good.key}"}).status_code == 200
        revoke_key(good.details.prefix, "test", services)
        wait_until(lambda: ask(client, key=good.key).status_code == 401, seconds=60)


@pytest.mark.slow
def test_a_key_has_a_rate_of_its_own_whoever_asks_with_it(services, front_end):
    first, second = key_of(services, "chat:ask"), key_of(services, "chat:*")
    with chat(services, chat_key_per_minute=2) as client:
        answers = [ask(client, user=user, key=first.key) for user in ("kim", "lee", "park")]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert ask(client, key=second.key).status_code == 200
        # without the duty to show one, a question without a key is nobody's
        assert ask(client).status_code == 200
