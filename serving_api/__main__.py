"""The service as a process: `python -m serving_api`."""

import logging
import sys

import uvicorn

from contracts.errors import TunewayError
from serving_api.app import create_app
from stages.services import open_services

SHUTDOWN_SECONDS = 10


def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        services = open_services()
        app = create_app(services)
    except TunewayError as error:
        sys.exit(error.sentence())
    uvicorn.run(
        app,
        host=services.settings.host,
        port=services.settings.ports["serving"],
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


if __name__ == "__main__":
    main()
