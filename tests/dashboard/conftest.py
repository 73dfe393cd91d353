import re
from html import unescape

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import REPOSITORY_ROOT
from tests.dashboard.story import Story, tell

PAGES = ("overview", "runs", "datasets", "review", "rating", "test-cases", "jobs", "models", "ab-tests")
APP = REPOSITORY_ROOT / "dashboard" / "app.py"


@pytest.fixture
def story(services) -> Story:
    """An installation with a history."""
    return tell(services)


@pytest.fixture
def quiet_services(monkeypatch):
    """Ports on which nobody answers, whatever runs on this machine."""
    monkeypatch.setenv("TUNEWAY_PORT_BASE", "26400")


def open_page(page: str = "overview", language: str | None = None, **query: object) -> AppTest:
    """The page as a browser opens it from an address."""
    app = AppTest.from_file(str(APP), default_timeout=30)
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
