"""`python -m runner`: the service of this host. SIGTERM ends it and leaves its jobs alive."""

import fcntl
import os
import socket
import sys

import uvicorn

from contracts.errors import CapacityError, ConflictError, TunewayError
from runner.api import create_app
from runner.service import RunnerService
from settings import SecretName, read_secret
from settings.logs import start_logging
from stages.services import open_services
from stages.tracing import open_tracer
from storage.processes import host_name


def main() -> int:
    """Serve until told to end."""
    start_logging("runner")
    try:
        _serve()
    except TunewayError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _serve() -> None:
    services = open_services()
    settings = services.settings
    token = read_secret(settings.secrets_dir, SecretName.RUNNER_TOKEN)
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    lock = os.open(settings.run_dir / f"runner-{host_name()}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConflictError(
            "Another runner of this host serves this data folder",
            value=settings.jobs_dir,
            next_step="see `tuneway status`",
        ) from error
    port = settings.ports["runner"]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, port))
    except OSError as error:
        raise CapacityError(
            "The runner's port is taken",
            value=f"{settings.host}:{port}",
            next_step="set TUNEWAY_RUNNER_PORT (or TUNEWAY_PORT_BASE) to a free one",
        ) from error
    listener.set_inheritable(False)
    service = RunnerService(services)
    service.start()
    try:
        config = uvicorn.Config(
            create_app(service, token, open_tracer(settings, "runner")), log_level="warning", access_log=False
        )
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        service.close()


if __name__ == "__main__":
    raise SystemExit(main())
