"""The dashboard as `tuneway up` starts it, looked at with a browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY_ROOT
from tests.dashboard.conftest import PAGES, PASSWORD
from tests.dashboard.story import COMPLETE_RUN
from tests.ports import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip


@contextmanager
def dashboard(folder: Path) -> Iterator[int]:
    """The dashboard's server over this process's environment; its port."""
    port = free_port()
    log = folder / "dashboard.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT), "TUNEWAY_DASHBOARD_PORT": str(port)},
            stdout=stream,
            stderr=stream,
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/_stcore/health", log)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    while True:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                assert answer.read() == b"ok"
                return
        except urllib.error.URLError:
            time.sleep(0.2)


def log_tab_in(tab: "Page", port: int, name: str = "kim", language: str = "ko") -> None:
    """Log in as a person does; the tab then shows the first page."""
    tab.goto(f"http://127.0.0.1:{port}/?lang={language}")
    tab.locator("#username").fill(name)
    tab.locator("#password").fill(PASSWORD)
    tab.locator("form button").click()
    tab.get_by_text("서울 기준" if language == "ko" else "Seoul time").last.wait_for(timeout=60_000)


def other_addresses() -> list[str]:
    """This machine's addresses beside the loopback."""
    found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    return sorted({str(address[4][0]) for address in found if not str(address[4][0]).startswith("127.")})


def test_the_dashboard_answers_on_the_loopback_address_only(visit, tmp_path):
    with dashboard(tmp_path) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=10) as answer:
            assert answer.status == 200
            assert b"<title>" in answer.read()
        for address in other_addresses():
            with pytest.raises(OSError), socket.create_connection((address, port), timeout=2):
                pass


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk")
@pytest.mark.parametrize(
    ("width", "language", "colours"),
    [
        (1440, "ko", "light"),
        pytest.param(390, "ko", "dark", marks=pytest.mark.deep),
        pytest.param(1440, "en", "dark", marks=pytest.mark.deep),
        pytest.param(390, "en", "light", marks=pytest.mark.deep),
    ],
)
def test_every_page_is_whole_in_a_browser(visit, story, tmp_path, width, language, colours):
    """No error, no line wider than the screen, no request to another host; a picture of each page is left."""
    from playwright.sync_api import sync_playwright

    pictures = Path(os.environ.get("DASHBOARD_PICTURES", str(tmp_path)))
    outside: set[str] = set()
    with dashboard(tmp_path) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
        tab = context.new_page()
        tab.on("request", lambda request: None if _is_ours(request.url, port) else outside.add(request.url))
        tab.goto(f"http://127.0.0.1:{port}/login?lang={language}")
        assert tab.locator("main").evaluate("main => document.body.scrollWidth - innerWidth") <= 0
        tab.screenshot(path=pictures / f"login-{width}-{language}-{colours}.png")
        log_tab_in(tab, port, language=language)
        for page in PAGES:
            query = f"?lang={language}" + (f"&run={COMPLETE_RUN.replace('+', '%2B')}" if page == "runs" else "")
            tab.goto(f"http://127.0.0.1:{port}/{'' if page == 'overview' else page}{query}")
            tab.get_by_text("서울 기준" if language == "ko" else "Seoul time").last.wait_for(timeout=60_000)
            tab.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')", timeout=60_000)
            assert tab.locator("[data-testid=stException]").count() == 0
            content = tab.locator("[data-testid=stMain]")
            assert content.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
            if page == "runs":
                # the training curve, both models' accuracy, the categories, the gate, what was removed and masked
                tab.locator(".js-plotly-plot").nth(5).wait_for(timeout=60_000)
                assert tab.locator(".js-plotly-plot").count() == 6
            tab.set_viewport_size({"width": width, "height": content.evaluate("main => main.scrollHeight") + 20})
            tab.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')", timeout=60_000)
            tab.screenshot(path=pictures / f"{page}-{width}-{language}-{colours}.png")
            tab.set_viewport_size({"width": width, "height": 900})
        browser.close()
    assert outside == set()


def _is_ours(url: str, port: int) -> bool:
    return url.startswith((f"http://127.0.0.1:{port}/", "data:", "blob:"))
