"""What the cards do and what alarms, on the first page."""

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import streamlit as st

from contracts.identity import Role
from contracts.nodes import AnnouncedHost
from contracts.record import utc_now
from stages.nodes import FRESH, hosts_dir
from storage.files import write_json_atomically
from tests.dashboard.conftest import come_in, open_page, text_of

pytestmark = pytest.mark.slow

HEALTH = {
    "status": "ok",
    "host": "gpu-server",
    "gpus": 2,
    "slots": 2,
    "cards": [
        {
            "index": 0,
            "memory_used_bytes": 43_000_000_000,
            "memory_bytes": 95_000_000_000,
            "busy_ratio": 0.72,
            "temperature_celsius": 61.0,
            "power_watts": 310.4,
        },
        {
            "index": 1,
            "memory_used_bytes": 0,
            "memory_bytes": 95_000_000_000,
            "busy_ratio": None,
            "temperature_celsius": None,
            "power_watts": None,
        },
    ],
}
METRICS = 'tuneway_database_up 1\ntuneway_gpu_temperature_celsius{gpu="0",host="gpu-server"} 91\n'


@pytest.fixture
def runner_with_cards(monkeypatch):
    """A runner's health and metrics as a host with two cards tells them; no such host is here."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = (METRICS if self.path == "/metrics" else json.dumps(HEALTH)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(server.server_address[1]))
    yield
    server.shutdown()


@pytest.mark.parametrize(
    ("language", "summary", "step", "busy"),
    [
        ("ko", "GPU 0의 온도가 85도를 넘었습니다", "서버실의 냉방과 팬", "사용률 72 %"),
        ("en", "Card 0 is hotter than 85 °C", "Look at cooling, fans and filters", "72 % busy"),
    ],
)
def test_cards_tell_what_they_do_and_an_alarm_what_to_do(
    services, quiet_services, runner_with_cards, monkeypatch, language, summary, step, busy
):
    come_in(monkeypatch, "kim", Role.VIEWER)
    text = text_of(open_page("overview", language))
    assert f"43 GB / 95 GB · {busy} · 61 °C · 310 W" in text.replace("43.0", "43").replace("95.0", "95")
    assert "None" not in text
    assert summary in text
    assert step in text


def test_without_alarms_and_cards_nothing_of_them_is_drawn(services, quiet_services, monkeypatch):
    come_in(monkeypatch, "kim", Role.VIEWER)
    text = text_of(open_page("overview", "en"))
    assert "°C" not in text


def announce(services, host, cards, card, age=None):
    said = AnnouncedHost(host=host, address=host, cards=cards, card=card, updated_at=utc_now() - (age or timedelta()))
    write_json_atomically(hosts_dir(services.settings) / f"{host}.json", said.model_dump(mode="json"))


def test_the_cards_of_every_host_are_shown_also_those_that_a_silent_one_still_holds(
    services, quiet_services, runner_with_cards, monkeypatch
):
    come_in(monkeypatch, "kim", Role.VIEWER)
    announce(services, "gpu-server", [0, 1], "NVIDIA H100 NVL")
    assert "gpu-server" not in text_of(open_page("overview", "ko"))  # there is no other
    announce(services, "gpu-2", [0, 1, 2, 3], "NVIDIA H100 NVL")
    announce(services, "gone-long-ago", [0], "NVIDIA H100 NVL", age=3 * FRESH)
    with services.unit_of_work() as uow:
        assert uow.leases.acquire("server-8", 2, "gpu-2", 4) == [0, 1]
        assert uow.leases.acquire("server-9", 1, "silent", 2) == [0]
    st.cache_data.clear()
    text = text_of(open_page("overview", "ko"))
    assert "gone-long-ago" not in text
    places = [text.index(said) for said in ("gpu-server", "gpu-2", "silent", "45초 넘게 신호를")]
    assert places == sorted(places)
    for said in ("GPU 2대 가운데 0대", "GPU 4대 가운데 2대", "GPU 1대 가운데 1대"):
        assert text.count(said) == 1
    assert ("server-8" in text, "server-9" in text) == (True, True)
