"""`python -m cli.airflow_task COMMAND...`: become the command, with the platform's variables and Airflow's.

For the pods of the KubernetesExecutor, whose arguments Airflow gives (images/kubernetes/pod-template.yaml).
"""

import os
import shutil
import sys

from cli.programs import airflow_environment, common_environment
from contracts.errors import InvalidRequestError, TunewayError
from settings import load_settings


def main(command: list[str]) -> int:
    """Never returns where the command is found."""
    program = shutil.which(command[0]) if command else None
    if program is None:
        raise InvalidRequestError(
            "There is no such command",
            value=" ".join(command) or "nothing",
            allowed="a program and its arguments",
            next_step="python -m cli.airflow_task python -m airflow.sdk.execution_time.execute_workload ...",
        )
    settings = load_settings()
    os.umask(0o077)
    environment = {**os.environ, **common_environment(settings), **airflow_environment(settings)}
    os.execve(program, command, environment)  # noqa: S606 - becoming the program is the purpose


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except TunewayError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
