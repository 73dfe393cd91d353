"""A job's plan, made in a process of its own: it loads transformers, which the router does not carry about.

`python -m serving_api.planning` reads the request from standard input and writes the plan, or the error's parts.
"""

import json
import subprocess
import sys

from contracts.errors import TunewayError, UnavailableError, error_from_record
from contracts.job_requests import FinetuneJobRequest, JobPlan
from stages.services import open_services

LIMIT_SECONDS = 300.0
"""Some 5 s on a machine that is not busy, most of them to load libraries."""
REFUSED = 3


def planned_elsewhere(request: FinetuneJobRequest) -> JobPlan:
    """The plan. Raises as `stages.finetuning.plan_job`, and UnavailableError where the process does not come to an end."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "serving_api.planning"],
            input=request.model_dump_json().encode(),
            stdout=subprocess.PIPE,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            "The plan was not ready in time", value=f"{LIMIT_SECONDS:.0f} s", next_step="try again"
        ) from error
    if done.returncode == REFUSED:
        raise error_from_record(json.loads(done.stdout))
    if done.returncode != 0:
        raise UnavailableError(
            "The plan could not be made",
            value=f"exit code {done.returncode}",
            next_step="see the service's log with `tuneway logs serving`; the job itself can be created all the same",
        )
    return JobPlan.model_validate_json(done.stdout)


def main() -> None:
    """Plan what standard input asks for."""
    from stages.finetuning import plan_job

    request = FinetuneJobRequest.model_validate_json(sys.stdin.buffer.read())
    try:
        plan = plan_job(request, open_services())
    except TunewayError as error:
        sys.stdout.write(json.dumps(error.as_record()))
        sys.exit(REFUSED)
    sys.stdout.write(plan.model_dump_json())


if __name__ == "__main__":
    main()
