"""A real MLflow server on the real PostgreSQL, which a test may kill and start again."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.ports import free_port

if TYPE_CHECKING:
    from database.embedded import EmbeddedPostgres


@contextmanager
def running_mlflow(postgres_server: "EmbeddedPostgres", folder: Path) -> Iterator["MlflowServer"]:
    """A server with a database of its own; a test that kills it starts it again."""
    name = f"mlflow_{uuid.uuid4().hex[:8]}"
    postgres_server.create_database(name)
    server = MlflowServer(postgres_server.url(name, "psycopg2"), folder)
    server.start()
    yield server
    server.kill()


class MlflowServer:
    """`mlflow server` as a process group of its own."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._database_url = database_url
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when the server answers."""
        with (self._folder / "mlflow.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
                    *("--workers", "1", "--serve-artifacts"),
                    *("--artifacts-destination", str(self._folder / "artifacts")),
                ],
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "MLFLOW_BACKEND_STORE_URI": self._database_url,
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                },
                cwd=self._folder,
                start_new_session=True,
            )
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1):
                    return
            except OSError:
                assert self._process.poll() is None, (self._folder / "mlflow.log").read_text()
                time.sleep(0.2)
        raise AssertionError("the MLflow server did not start")

    def kill(self) -> None:
        """kill -9 of the whole group."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
