"""`python -m dashboard`: serve it on the address and port of the settings."""

from __future__ import annotations

import uvicorn

from dashboard.server import create_app
from settings import load_settings


def main() -> None:
    """Serve until the process is told to stop."""
    settings = load_settings()
    # X-Forwarded-For is read by our own rules, which name the proxies that are trusted
    uvicorn.run(
        create_app(), host=settings.host, port=settings.ports["dashboard"], proxy_headers=False, access_log=False
    )


if __name__ == "__main__":
    main()
