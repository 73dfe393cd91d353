"""An uploaded file made into a dataset version in a process of its own: minutes of reading rows are no work for a page.

`python -m stages.finishing` reads the upload's id from standard input. It goes on when its caller stops; a killed one is
gone on with by the same call again, or by the admin API when it starts.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from contracts.errors import TunewayError
from stages.services import open_services
from stages.uploads import complete_upload, finish_upload

if TYPE_CHECKING:
    from stages.services import Services

log = logging.getLogger(__name__)

_NICENESS = 5
"""Of the minutes in which all cores prepare rows: answers to users come first."""

_started: dict[str, subprocess.Popen[bytes]] = {}


def go_on(upload_id: str, services: Services, *, user_id: int) -> None:
    """See that somebody makes a dataset of the whole file; called again while somebody does, it does nothing.

    Raises ConflictError where bytes are missing.
    """
    for ended in [found for found, process in _started.items() if process.poll() is not None]:
        del _started[ended]
    if complete_upload(upload_id, services, user_id=user_id) and upload_id not in _started:
        _started[upload_id] = _start(upload_id, services)


def _start(upload_id: str, services: Services) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.finishing"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        cwd=services.settings.repository_root,
        env={**os.environ, **services.settings.as_environment()},
    )
    assert process.stdin is not None, "it was opened with a pipe"
    with process.stdin as pipe:
        pipe.write(upload_id.encode())
    return process


def main() -> None:
    """Finish the upload that standard input names."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        upload = finish_upload(sys.stdin.buffer.read().decode(), open_services(), lambda: os.nice(_NICENESS))
    except TunewayError as error:
        sys.exit(error.sentence())
    log.info("upload %s: %s", upload.upload_id, upload.state.value)


if __name__ == "__main__":
    main()
