"""Logins, refreshes, reuse, revocation, disabled accounts and changed roles in any order: a small model says who may do what."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from contracts.errors import UnauthorizedError
from contracts.identity import Role
from security.identity.access_tokens import AccessTokens
from stages.accounts import add_account, grant, set_active, set_password
from stages.logins import identify, log_in, log_out, refresh, revoke_access
from stages.services import Services
from tests.serving_api.running import TOKEN_KEY

pytestmark = pytest.mark.slow

NAMES = ["kim", "lee"]
PASSWORDS = ["안개 낀 다리 위 7시", "다른 다리 위의 맑은 날"]


@dataclass
class Session:
    """A login as the model knows it."""

    name: str
    newest: str
    alive: bool = True
    used: list[str] = field(default_factory=list)


@dataclass
class Access:
    """An access token as the model knows it."""

    token: str
    session: Session
    revoked: bool = False


class Tokens(RuleBasedStateMachine):
    """The platform beside its model."""

    sessions = Bundle("sessions")
    accesses = Bundle("accesses")
    services: Services
    round = 0

    def __init__(self) -> None:
        super().__init__()
        self.tokens = AccessTokens(TOKEN_KEY)
        self.given: list[Access] = []
        self.active = dict.fromkeys(NAMES, True)
        self.roles = dict.fromkeys(NAMES, Role.VIEWER)
        self.passwords = dict.fromkeys(NAMES, PASSWORDS[0])
        self.open: list[Session] = []

    @initialize()
    def new_people(self):
        type(self).round += 1
        for name in NAMES:
            add_account(self.account(name), Role.VIEWER, "test", self.services, password=PASSWORDS[0])

    def account(self, name):
        return f"{name}-{self.round}"

    def take(self, pair, session):
        access = Access(pair.access_token, session)
        self.given.append(access)
        return access

    @rule(target=sessions, name=st.sampled_from(NAMES))
    def log_in_rightly(self, name):
        try:
            pair = log_in(self.account(name), self.passwords[name], self.tokens, self.services)
        except UnauthorizedError:
            assert not self.active[name]
            return Session(name, "", alive=False)
        assert self.active[name]
        session = Session(name, pair.refresh_token)
        self.open.append(session)
        self.take(pair, session)
        return session

    @rule(session=sessions)
    def refresh_with_the_newest(self, session):
        if not session.newest:
            return
        try:
            pair = refresh(session.newest, self.tokens, self.services)
        except UnauthorizedError:
            assert not (session.alive and self.active[session.name])
            return
        assert session.alive and self.active[session.name]
        session.used.append(session.newest)
        session.newest = pair.refresh_token
        self.take(pair, session)

    @rule(session=sessions, number=st.integers(0, 3))
    def refresh_with_one_that_was_used(self, session, number):
        if not session.used:
            return
        with pytest.raises(UnauthorizedError):
            refresh(session.used[number % len(session.used)], self.tokens, self.services)
        session.alive = False

    @rule(session=sessions, which=st.integers(0, 20))
    def log_out_by_one_of_its_tokens(self, session, which):
        mine = [access for access in self.given if access.session is session and self.is_good(access)]
        if mine:
            log_out(identify(mine[which % len(mine)].token, self.tokens, self.services), self.services)
            session.alive = False

    @rule(which=st.integers(0, 20))
    def revoke_one(self, which):
        if self.given:
            access = self.given[which % len(self.given)]
            revoke_access(access.token, "test", self.tokens, self.services)
            access.revoked = True

    @rule(name=st.sampled_from(NAMES), is_active=st.booleans())
    def let_in_or_out(self, name, is_active):
        set_active(self.account(name), is_active, "test", self.services)
        self.active[name] = is_active
        if not is_active:
            self.end_all_of(name)

    @rule(name=st.sampled_from(NAMES), role=st.sampled_from([Role.VIEWER, Role.ANALYST, Role.ML_ENGINEER]))
    def change_the_role(self, name, role):
        grant(self.account(name), "test", self.services, role=role)
        self.roles[name] = role

    @rule(name=st.sampled_from(NAMES), password=st.sampled_from(PASSWORDS))
    def change_the_password(self, name, password):
        set_password(self.account(name), "test", self.services, password)
        self.passwords[name] = password
        self.end_all_of(name)

    def end_all_of(self, name):
        for session in self.open:
            session.alive = session.alive and session.name != name

    def is_good(self, access):
        return access.session.alive and self.active[access.session.name] and not access.revoked

    @invariant()
    def every_token_does_what_the_model_says(self):
        for access in self.given:
            try:
                principal = identify(access.token, self.tokens, self.services)
            except UnauthorizedError:
                assert not self.is_good(access)
            else:
                assert self.is_good(access)
                name = access.session.name
                assert (principal.username, principal.role) == (self.account(name), self.roles[name])


def run(services, examples, steps):
    class Machine(Tokens):
        pass

    Machine.services = services
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_in_any_order_a_token_does_what_its_account_and_session_allow(services):
    run(services, examples=8, steps=25)


@pytest.mark.deep
def test_in_very_many_orders(services):
    run(services, examples=300, steps=60)
