"""The service as a process: `python -m serving_api`. It answers /v1, and starts the control process for everything else."""

import sys
import time
from types import FrameType

import uvicorn

from contracts.errors import TunewayError
from serving_api.control_door import listener
from serving_api.control_process import ControlProcess
from serving_api.data_path import DataPath
from serving_api.memory import settle_memory
from serving_api.public import PublicService
from serving_api.user_connection import connections_to
from settings import refuse_weak_secrets
from settings.logs import start_logging
from stages.services import open_services

KEEP_ALIVE_SECONDS = 75
SHUTDOWN_SECONDS = 2
DRAIN_SECONDS = 8.0
"""For answers on their way; with the above less than the 15 s after which the supervisor kills."""


class DrainingServer(uvicorn.Server):
    """Told to stop, it refuses new questions by an answer and lets those on their way end; told again, it stops."""

    def __init__(self, config: uvicorn.Config, data_path: DataPath) -> None:
        super().__init__(config)
        self._data_path = data_path
        self._drained_by: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the signal."""
        super().handle_exit(sig, frame)
        if not self._data_path.is_draining:
            self._data_path.drain()
            self._drained_by = time.monotonic() + DRAIN_SECONDS
            self.should_exit = False

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second; whether to stop."""
        if self._drained_by is not None:
            self.should_exit |= not self._data_path.in_flight or time.monotonic() > self._drained_by
        return await super().on_tick(counter)


def main() -> None:
    """Serve until SIGTERM."""
    start_logging("serving-api")
    try:
        services = open_services()
        if services.settings.production:
            refuse_weak_secrets(services.settings.secrets_dir)
        control = ControlProcess(services.settings, listener(services.settings.run_dir))
        app = PublicService(services, control)
    except TunewayError as error:
        sys.exit(error.sentence())
    config = uvicorn.Config(
        app,
        host=services.settings.host,
        port=services.settings.ports["serving"],
        loop="uvloop",
        ws="none",
        lifespan="on",
        http=connections_to(app.data_path),
        access_log=False,
        server_header=False,
        # who asks is told by a header or the body, never by the address
        proxy_headers=False,
        log_config=None,
        # longer than clients keep theirs (httpx and openai: 5 s, as uvicorn): the one who asks closes, never between two questions
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    settle_memory()
    DrainingServer(config, app.data_path).run()


if __name__ == "__main__":
    main()
