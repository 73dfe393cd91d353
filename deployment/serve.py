"""Become the permanent model server of a key: `python -m deployment.serve KEY`.

Started by the supervisor. What to serve is read now, so a server started again after a crash knows every adapter that
was loaded into it since.
"""

import os
import sys

from deployment.backends import SERVERS
from deployment.permanent import key_is_valid, read_state, state_path
from settings import load_settings


def main() -> None:
    """Replace this process by the server's."""
    if len(sys.argv) != 2 or not key_is_valid(sys.argv[1]):
        sys.exit("usage: python -m deployment.serve KEY, with the key of a model server of this installation")
    settings = load_settings()
    path = state_path(settings, sys.argv[1])
    state = read_state(path)
    if state is None:
        sys.exit(f"There is no model server {sys.argv[1]}: {path} does not exist. Next: deploy a model version.")
    command = SERVERS[state.backend].command(state.spec, settings, state.port)
    os.execve(command.arguments[0], command.arguments, command.environment)  # noqa: S606 - an argument list, no shell


if __name__ == "__main__":
    main()
