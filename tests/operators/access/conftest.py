"""An auth manager over a real database and a real Cerbos, with people of every role."""

from datetime import timedelta

import pytest

from contracts.identity import PLATFORM_USER, AccountKind, Role
from operators.access.users import AirflowUser
from settings import SecretName
from stages.accounts import add_account, create_key
from stages.logins import principal_named
from tests.serving_api.policy_server import with_policies
from tests.serving_api.running import make_secrets

PASSWORD = "다리 위의 안개 낀 날 7시"
PLATFORM_PASSWORD = "the platform's own word for itself"
PEOPLE = {"boss": Role.ADMIN, "engineer": Role.ML_ENGINEER, "analyst": Role.ANALYST, "viewer": Role.VIEWER}


@pytest.fixture
def manager(services, monkeypatch):
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of the test that is long enough " * 3)
    from operators.access import auth_manager

    services = with_policies(services)
    make_secrets(services.settings.secrets_dir)
    (services.settings.secrets_dir / SecretName.AIRFLOW_PLATFORM_PASSWORD).write_text(PLATFORM_PASSWORD)
    for name, role in PEOPLE.items():
        add_account(name, role, "test", services, password=PASSWORD)
    add_account("ci", Role.ML_ENGINEER, "test", services, kind=AccountKind.SERVICE)
    monkeypatch.setattr(auth_manager, "open_services", lambda: services)
    made = auth_manager.TunewayAuthManager()
    made.init()
    return made


@pytest.fixture
def key(manager):
    return create_key("ci", "k", ["dag:read", "dag:trigger"], timedelta(days=1), "test", manager.services).key


@pytest.fixture
def user(manager):
    def named(name: str) -> AirflowUser:
        return AirflowUser(None if name == PLATFORM_USER else principal_named(name, manager.services))

    return named
