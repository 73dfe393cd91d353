import re
from functools import cache
from html import unescape

import pytest
from streamlit.testing.v1 import AppTest

from contracts.identity import AccountKind, Role, TokenPair
from contracts.record import utc_now
from dashboard.sessions import sessions_of
from dashboard.visits import Browser, Visit
from security.identity.passwords import hash_password
from settings import load_settings
from stages.logins import log_in, open_tokens
from stages.services import Services, open_services
from tests.cli.airflow_stand_in import AirflowStandIn
from tests.conftest import REPOSITORY_ROOT
from tests.dashboard.story import Story, tell
from tests.serving_api.policy_server import policy_ports
from tests.serving_api.running import make_secrets

PAGES = ("overview", "runs", "datasets", "review", "rating", "test-cases", "jobs", "experiments", "models", "ab-tests")
APP = REPOSITORY_ROOT / "dashboard" / "app.py"


@pytest.fixture
def story(services) -> Story:
    """An installation with a history."""
    return tell(services)


PASSWORD = "correct horse battery staple"


@pytest.fixture
def airflow(monkeypatch) -> AirflowStandIn:
    """What starts `finetune_job`, at an address of its own."""
    stand_in = AirflowStandIn(dag_id="finetune_job")
    monkeypatch.setenv("TUNEWAY_AIRFLOW_URL", stand_in.url)
    return stand_in


@pytest.fixture
def quiet_services(monkeypatch):
    """Ports on which nobody answers, whatever runs on this machine; only the policies are decided, by a real Cerbos."""
    monkeypatch.setenv("TUNEWAY_PORT_BASE", "26400")
    port, grpc_port = policy_ports()
    monkeypatch.setenv("TUNEWAY_CERBOS_PORT", str(port))
    monkeypatch.setenv("TUNEWAY_CERBOS_GRPC_PORT", str(grpc_port))
    monkeypatch.setenv("TUNEWAY_POLICY_TIMEOUT_SECONDS", "20")
    monkeypatch.setenv("TUNEWAY_LOGINS_PER_MINUTE", "1000")


@pytest.fixture
def visit(services, quiet_services, monkeypatch) -> Visit:
    """The administrator `kim` is logged in: pages that are opened are theirs."""
    return come_in(monkeypatch, "kim", Role.ADMIN)


def come_in(monkeypatch, name: str, role: Role, projects: tuple[str, ...] = ()) -> Visit:
    """From here on pages are opened by this person, who really logs in."""
    services = open_services(load_settings())
    make_secrets(services.settings.secrets_dir)
    add_person(services, name, role, projects)
    pair = log_in(name, PASSWORD, open_tokens(services.settings), services)
    browser = Browser(sessions_of(services).open(pair), "127.0.0.1")
    monkeypatch.setattr("dashboard.visits.browser_of", lambda _: browser)
    return Visit(services.settings, session=browser.session, address=browser.address)


def come_in_earlier(monkeypatch) -> None:
    """From here on pages are opened by somebody who logged in while the database was there."""
    services = open_services(load_settings())
    make_secrets(services.settings.secrets_dir)
    access_token = open_tokens(services.settings).issue("kim", Role.ADMIN.value, [], "earlier", utc_now())
    pair = TokenPair(access_token=access_token, expires_in=900, refresh_token="earlier", refresh_expires_in=3600)
    browser = Browser(sessions_of(services).open(pair), "127.0.0.1")
    monkeypatch.setattr("dashboard.visits.browser_of", lambda _: browser)


def add_person(services: Services, name: str, role: Role, projects: tuple[str, ...] = ()) -> None:
    """An account with PASSWORD."""
    with services.unit_of_work() as uow:
        uow.users.add(
            name, kind=AccountKind.PERSON, role=role, projects=list(projects), password_hash=_hashed_password()
        )


@cache
def _hashed_password() -> str:
    return hash_password(PASSWORD)


def open_page(page: str = "overview", language: str | None = None, **query: object) -> AppTest:
    """The page as a browser opens it from an address."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    if language is not None:
        app.query_params["lang"] = language
    for name, value in query.items():
        app.query_params[name] = str(value)
    if page != "overview":
        app._page_hash = page_hash(page)
    return app.run()


def page_hash(page: str) -> str:
    """How Streamlit names a page of st.navigation: by its address."""
    from streamlit.util import calc_hash

    found: str = calc_hash(page)
    return found


def text_of(app: AppTest) -> str:
    """Every word a reader sees, tables and labels included, markup taken away."""
    assert not app.exception, [element.value for element in app.exception]
    found: list[str] = []
    for element in app.main:
        for attribute in ("value", "label", "text"):
            value = getattr(element, attribute, None)
            if isinstance(value, str):
                found.append(unescape(re.sub(r"<[^>]+>", " ", value)) if element.type == "html" else value)
        options = getattr(element, "options", None)
        if isinstance(options, list):
            found += [str(option) for option in options]
    for frame in app.dataframe:
        found.append(frame.value.to_string())
    # the pages escape what Markdown would read
    return re.sub(r"\s+", " ", " ".join(found).replace("\\", ""))
