"""A deployment in a process of its own: minutes of loading and comparing are no work for the router.

`python -m serving_api.deploying` reads the request from standard input. It goes on when the service stops, and what it
has reached stands in PostgreSQL: a killed one is gone on with by the same call again.
"""

import logging
import subprocess
import sys

from contracts.errors import TunewayError
from contracts.models import DeployRequest
from stages.services import open_services

log = logging.getLogger(__name__)

_started: list[subprocess.Popen[bytes]] = []


def start_deployment(request: DeployRequest) -> None:
    """Begin, and come back at once."""
    # those that have ended are waited for here, so that none stays a zombie
    _started[:] = [process for process in _started if process.poll() is None]
    process = subprocess.Popen(
        [sys.executable, "-m", "serving_api.deploying"], stdin=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None, "it was opened with a pipe"
    with process.stdin as pipe:
        pipe.write(request.model_dump_json().encode())
    _started.append(process)


def main() -> None:
    """Deploy what standard input asks for."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    from stages.deploy import deploy

    try:
        request = DeployRequest.model_validate_json(sys.stdin.buffer.read())
        deployed = deploy(request, open_services())
    except TunewayError as error:
        sys.exit(error.sentence())
    log.info("deployed: %s", ", ".join(f"{arm.served_model_name} at {arm.base_url}" for arm in deployed.arms))


if __name__ == "__main__":
    main()
