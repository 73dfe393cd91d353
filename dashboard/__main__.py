"""`python -m dashboard`: serve it on the address and port of the settings."""

from __future__ import annotations

from threading import Thread

import uvicorn

from dashboard.reading.tallies import count_ahead
from dashboard.server import create_app
from settings import load_settings


def main() -> None:
    """Serve until the process is told to stop."""
    settings = load_settings()
    Thread(target=count_ahead, name="tallies-ahead", daemon=True).start()
    # X-Forwarded-For is read by our own rules, which name the proxies that are trusted
    uvicorn.run(
        create_app(), host=settings.host, port=settings.ports["dashboard"], proxy_headers=False, access_log=False
    )


if __name__ == "__main__":
    main()
