"""Logins on a real database: lock-out, rotation, reuse, revocation, keys."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from contracts.errors import ConflictError, InvalidRequestError, NotFoundError, UnauthorizedError
from contracts.identity import AccountKind, Role
from contracts.record import utc_now
from security.identity.access_tokens import AccessTokens
from stages import logins
from stages.accounts import (
    add_account,
    create_key,
    ensure_first_admin,
    grant,
    list_keys,
    revoke_key,
    set_active,
    set_password,
)
from stages.logins import MOST_FAILURES, identify, log_in, log_out, refresh, revoke_access

TOKENS = AccessTokens("A" * 43)
PASSWORD = "안개 낀 다리 위 7시"


@pytest.fixture
def kim(services):
    return add_account("kim", Role.ANALYST, "test", services, projects=["roads"], password=PASSWORD).account


def audited(services, action):
    with services.unit_of_work() as uow:
        rows = uow.session.execute(text("SELECT actor, details FROM audit_logs WHERE action = :a"), {"a": action})
        return [(row.actor, row.details) for row in rows]


def test_the_first_admin_is_made_once_with_a_password_that_logs_in(services):
    made = ensure_first_admin(services, "setup")
    assert made is not None and made.password is not None
    assert log_in("admin", made.password, TOKENS, services).expires_in == 900
    assert ensure_first_admin(services, "setup") is None


def test_a_login_tells_who_one_is_as_the_database_has_it_now(services, kim):
    pair = log_in("kim", PASSWORD, TOKENS, services, source="10.0.0.7")
    who = identify(pair.access_token, TOKENS, services)
    assert (who.username, who.role, who.projects, who.scopes) == ("kim", Role.ANALYST, ["roads"], None)
    grant("kim", "test", services, role=Role.VIEWER)
    assert identify(pair.access_token, TOKENS, services).role is Role.VIEWER
    assert audited(services, "login.accepted")[0][1]["source"] == "10.0.0.7"


def test_unknown_wrong_and_locked_are_answered_alike_and_the_lock_ends(services, kim, monkeypatch):
    messages = set()
    for name, password in [("nobody", PASSWORD), *[("kim", "wrong")] * MOST_FAILURES, ("kim", PASSWORD)]:
        with pytest.raises(UnauthorizedError) as refused:
            log_in(name, password, TOKENS, services)
        messages.add(refused.value.sentence())
    assert len(messages) == 1
    found = audited(services, "login.refused")
    assert [details["locked"] for _, details in found] == [False] * MOST_FAILURES + [True, False]
    assert found[-1][1]["why"] == "locked"
    assert found[0][0] == "unknown"
    later = utc_now() + timedelta(minutes=16)
    monkeypatch.setattr(logins, "utc_now", lambda: later)
    assert log_in("kim", PASSWORD, TOKENS, services)


def test_a_right_password_forgets_the_wrong_ones_before(services, kim):
    for _ in range(2):
        for _ in range(MOST_FAILURES - 1):
            with pytest.raises(UnauthorizedError):
                log_in("kim", "wrong", TOKENS, services)
        log_in("kim", PASSWORD, TOKENS, services)


def test_a_stolen_refresh_token_ends_the_whole_session(services, kim):
    first = log_in("kim", PASSWORD, TOKENS, services)
    other = log_in("kim", PASSWORD, TOKENS, services)
    second = refresh(first.refresh_token, TOKENS, services)
    assert identify(second.access_token, TOKENS, services).username == "kim"
    with pytest.raises(UnauthorizedError):
        refresh(first.refresh_token, TOKENS, services)
    for pair in (first, second):
        with pytest.raises(UnauthorizedError):
            identify(pair.access_token, TOKENS, services)
        with pytest.raises(UnauthorizedError):
            refresh(pair.refresh_token, TOKENS, services)
    assert identify(other.access_token, TOKENS, services).username == "kim"
    assert len(audited(services, "login.refresh_reused")) == 1


def test_of_two_refreshes_at_once_never_two_are_good(services, kim):
    pair = log_in("kim", PASSWORD, TOKENS, services)

    def attempt(_):
        try:
            return refresh(pair.refresh_token, TOKENS, services)
        except UnauthorizedError:
            return None

    with ThreadPoolExecutor(4) as pool:
        good = [found for found in pool.map(attempt, range(4)) if found is not None]
    assert len(good) == 1
    with pytest.raises(UnauthorizedError):
        identify(good[0].access_token, TOKENS, services)


def test_a_session_ends_after_a_day_however_often_it_was_refreshed(services, kim, monkeypatch):
    pair = log_in("kim", PASSWORD, TOKENS, services)
    start = utc_now()
    for hours in (4, 8, 11.9):
        moment = start + timedelta(hours=hours)
        monkeypatch.setattr(logins, "utc_now", lambda moment=moment: moment)
        pair = refresh(pair.refresh_token, TOKENS, services)
    assert pair.refresh_expires_in < 400
    monkeypatch.setattr(logins, "utc_now", lambda: start + timedelta(hours=12.1))
    with pytest.raises(UnauthorizedError):
        refresh(pair.refresh_token, TOKENS, services)


def test_one_access_token_is_taken_back_and_the_session_goes_on(services, kim):
    pair = log_in("kim", PASSWORD, TOKENS, services)
    revoke_access(pair.access_token, "kim", TOKENS, services)
    with pytest.raises(UnauthorizedError):
        identify(pair.access_token, TOKENS, services)
    assert identify(refresh(pair.refresh_token, TOKENS, services).access_token, TOKENS, services)


def test_logout_a_new_password_and_a_disabled_account_end_sessions_at_once(services, kim):
    add_account("boss", Role.ADMIN, "test", services, password=PASSWORD)
    for end in (
        lambda pair: log_out(identify(pair.access_token, TOKENS, services), services),
        lambda pair: set_password("kim", "boss", services, PASSWORD),
        lambda pair: set_active("kim", False, "boss", services),
    ):
        pair = log_in("kim", PASSWORD, TOKENS, services)
        end(pair)
        with pytest.raises(UnauthorizedError):
            identify(pair.access_token, TOKENS, services)
        with pytest.raises(UnauthorizedError):
            refresh(pair.refresh_token, TOKENS, services)
    with pytest.raises(UnauthorizedError):
        log_in("kim", PASSWORD, TOKENS, services)


def test_a_key_is_good_until_it_expires_is_revoked_or_its_account_is_disabled(services, monkeypatch):
    add_account("ci", Role.ML_ENGINEER, "test", services, kind=AccountKind.SERVICE)
    made = create_key("ci", "pipeline", ["job:read"], timedelta(days=1), "test", services)
    who = identify(made.key, TOKENS, services)
    assert (who.username, who.scopes, who.session_id) == ("ci", ["job:read"], None)
    assert list_keys(services)[0].last_used_at is not None
    with pytest.raises(UnauthorizedError):
        identify(made.key[:-1] + ("a" if made.key[-1] != "a" else "b"), TOKENS, services)
    set_active("ci", False, "test", services)
    with pytest.raises(UnauthorizedError):
        identify(made.key, TOKENS, services)
    set_active("ci", True, "test", services)
    assert identify(made.key, TOKENS, services)
    with monkeypatch.context() as patched:
        patched.setattr(logins, "utc_now", lambda: utc_now() + timedelta(days=1))
        with pytest.raises(UnauthorizedError):
            identify(made.key, TOKENS, services)
    revoke_key(made.details.prefix, "test", services)
    with pytest.raises(UnauthorizedError):
        identify(made.key, TOKENS, services)


def test_no_secret_is_stored_in_clear(services, kim):
    add_account("ci", Role.VIEWER, "test", services, kind=AccountKind.SERVICE)
    key = create_key("ci", "k", ["*:read"], timedelta(days=1), "test", services).key
    pair = log_in("kim", PASSWORD, TOKENS, services)
    with services.unit_of_work() as uow:
        tables = ("users", "refresh_tokens", "revoked_tokens", "api_keys", "audit_logs")
        rows = [
            # as JSON: SQLAlchemy shortens what it prints
            json.dumps(row[0], ensure_ascii=False)
            for table in tables
            for row in uow.session.execute(text(f"SELECT row_to_json(t) FROM {table} t"))
        ]
    stored = "\n".join(rows)
    assert "$argon2id$" in stored
    for secret in (PASSWORD, key, pair.refresh_token, pair.access_token):
        assert secret not in stored


def test_service_accounts_have_no_password_and_people_no_keys(services, kim):
    add_account("ci", Role.VIEWER, "test", services, kind=AccountKind.SERVICE)
    with pytest.raises(UnauthorizedError):
        log_in("ci", "", TOKENS, services)
    for refused in (
        lambda: set_password("ci", "test", services),
        lambda: create_key("kim", "k", ["*:*"], timedelta(days=1), "test", services),
        lambda: create_key("ci", "k", ["jobs"], timedelta(days=1), "test", services),
        lambda: create_key("ci", "k", [], timedelta(days=1), "test", services),
        lambda: create_key("ci", "k", ["*:*"], timedelta(days=400), "test", services),
        lambda: add_account("Kim Minsu", Role.VIEWER, "test", services),
        lambda: add_account("lee", Role.VIEWER, "test", services, projects=["a b"]),
    ):
        with pytest.raises(InvalidRequestError):
            refused()
    with pytest.raises(ConflictError):
        add_account("kim", Role.VIEWER, "test", services)
    with pytest.raises(NotFoundError):
        grant("nobody", "test", services, role=Role.VIEWER)


def test_the_last_administrator_stays(services):
    add_account("boss", Role.ADMIN, "test", services, password=PASSWORD)
    add_account("robot", Role.ADMIN, "test", services, kind=AccountKind.SERVICE)
    for refused in (
        lambda: set_active("boss", False, "boss", services),
        lambda: grant("boss", "boss", services, role=Role.VIEWER),
    ):
        with pytest.raises(ConflictError):
            refused()
    add_account("second", Role.ADMIN, "boss", services, password=PASSWORD)
    assert not set_active("boss", False, "second", services).is_active


class Sessions(RuleBasedStateMachine):
    """Whatever is done in whatever order: a token is good exactly as long as the model says."""

    services: Any = None
    pairs = Bundle("pairs")

    def __init__(self) -> None:
        super().__init__()
        with self.services.unit_of_work() as uow:
            uow.session.execute(text("TRUNCATE refresh_tokens, revoked_tokens"))
        set_active("kim", True, "test", self.services)
        self.live: dict[str, str] = {}  # refresh token -> session
        self.sessions: set[str] = set()
        self.access: dict[str, str] = {}  # access token -> session
        self.revoked: set[str] = set()
        self.active = True

    def _keep(self, pair, session):
        self.live[pair.refresh_token] = session
        self.access[pair.access_token] = session
        return pair

    @rule(target=pairs)
    def log_in(self):
        if not self.active:
            set_active("kim", True, "test", self.services)
            self.active = True
        pair = log_in("kim", PASSWORD, TOKENS, self.services)
        session = TOKENS.verify(pair.access_token).session_id
        self.sessions.add(session)
        return self._keep(pair, session)

    @rule(target=pairs, pair=pairs)
    def refresh(self, pair):
        session = self.access[pair.access_token]
        is_good = self.active and session in self.sessions and pair.refresh_token in self.live
        try:
            new = refresh(pair.refresh_token, TOKENS, self.services)
        except UnauthorizedError:
            assert not is_good
            self.sessions.discard(session)
            return pair
        assert is_good
        del self.live[pair.refresh_token]
        return self._keep(new, session)

    @rule(pair=pairs)
    def revoke(self, pair):
        revoke_access(pair.access_token, "kim", TOKENS, self.services)
        self.revoked.add(pair.access_token)

    @rule(pair=consumes(pairs))
    def log_out(self, pair):
        try:
            who = identify(pair.access_token, TOKENS, self.services)
        except UnauthorizedError:
            return
        log_out(who, self.services)
        self.sessions.discard(who.session_id)

    @rule()
    def disable(self):
        set_active("kim", False, "test", self.services)
        self.active = False
        self.sessions.clear()

    @invariant()
    def access_tokens_are_good_as_long_as_their_session(self):
        for token, session in self.access.items():
            expected = self.active and session in self.sessions and token not in self.revoked
            try:
                identify(token, TOKENS, self.services)
                is_good = True
            except UnauthorizedError:
                is_good = False
            assert is_good is expected


@pytest.mark.slow
def test_a_token_is_good_exactly_as_long_as_its_session(services, monkeypatch):
    # hashing is not what is tried here, and would take most of the time
    monkeypatch.setattr(logins, "verify_password", lambda given, _: given == PASSWORD)
    add_account("boss", Role.ADMIN, "test", services, password=PASSWORD)
    add_account("kim", Role.VIEWER, "test", services, password=PASSWORD)
    Sessions.services = services
    run_state_machine_as_test(Sessions, settings=settings(max_examples=20, stateful_step_count=15))
