"""The dashboard through the TLS proxy: log in, and pages that are drawn over its WebSocket."""

import pytest

from tests.dashboard.conftest import PASSWORD
from tests.dashboard.test_server import CHROMIUM, CHROMIUM_ARGUMENTS, dashboard
from tests.proxy.door import NGINX, running_door
from tests.proxy.test_door import PLACES


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk")
@pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)")
def test_a_person_logs_in_over_tls_and_the_session_leaves_the_browser_over_tls_only(
    visit, story, tmp_path, monkeypatch
):
    from playwright.sync_api import sync_playwright

    monkeypatch.setenv("TUNEWAY_TRUSTED_PROXIES", '["127.0.0.1/32"]')
    with (
        dashboard(tmp_path) as port,
        running_door({**PLACES, "dashboard:18085": f"127.0.0.1:{port}"}) as door,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        # the certificate is this test's own
        context = browser.new_context(ignore_https_errors=True)
        tab = context.new_page()
        sockets = []
        tab.on("websocket", lambda socket: sockets.append(socket.url))
        tab.goto(f"{door.url}/?lang=ko")
        tab.locator("#username").fill("kim")
        tab.locator("#password").fill(PASSWORD)
        tab.locator("form button").click()
        tab.get_by_text("서울 기준").last.wait_for(timeout=60_000)
        assert tab.locator("[data-testid=stException]").count() == 0
        assert sockets
        assert all(url.startswith(f"wss://localhost:{door.port}/") for url in sockets)
        cookies = context.cookies(door.url)
        assert cookies
        assert all(cookie["secure"] and cookie["httpOnly"] for cookie in cookies if "tuneway" in cookie["name"])
        assert any("tuneway" in cookie["name"] and cookie["secure"] for cookie in cookies)
        browser.close()
