"""A deployment in a process of its own: minutes of loading and comparing are no work for the router or a page.

`python -m stages.deploying` reads the request from standard input. It goes on when its caller stops, and what it has
reached stands in PostgreSQL: a killed one is gone on with by the same call again.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING

from contracts.errors import TunewayError
from contracts.models import DeployRequest
from settings.logs import start_logging
from stages.audit import record_action
from stages.plan_deployment import plan_deployment
from stages.services import open_services

if TYPE_CHECKING:
    from contracts.deployments import DeploymentPlan
    from stages.services import Services

log = logging.getLogger(__name__)

_started: list[subprocess.Popen[bytes]] = []


def ask_deployment(request: DeployRequest, services: Services, *, actor: str) -> DeploymentPlan:
    """Begin a deployment, audited, and come back at once with what it does. Raises as `plan_deployment` does."""
    plan = plan_deployment(request, services)
    asked = request.model_dump(mode="json")
    record_action(services, actor, "model.deployment_asked", f"model/{request.model_id}", asked)
    _start(request, services)
    return plan


def _start(request: DeployRequest, services: Services) -> None:
    # those that have ended are waited for here, so that none stays a zombie
    _started[:] = [process for process in _started if process.poll() is None]
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.deploying"],
        stdin=subprocess.PIPE,
        start_new_session=True,
        cwd=services.settings.repository_root,
    )
    assert process.stdin is not None, "it was opened with a pipe"
    with process.stdin as pipe:
        pipe.write(request.model_dump_json().encode())
    _started.append(process)


def main() -> None:
    """Deploy what standard input asks for."""
    start_logging("deploying")
    from stages.deploy import deploy

    try:
        request = DeployRequest.model_validate_json(sys.stdin.buffer.read())
        deployed = deploy(request, open_services())
    except TunewayError as error:
        sys.exit(error.sentence())
    log.info("deployed: %s", ", ".join(f"{arm.served_model_name} at {arm.base_url}" for arm in deployed.arms))


if __name__ == "__main__":
    main()
