"""A real MLflow server for benchmarks that track their runs."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.ports import free_port

START_SECONDS = 600.0


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A real server on SQLite; its address."""
    port = free_port()
    store = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "mlflow.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "mlflow",
                    "server",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(port),
                    "--workers",
                    "1",
                ),
                *("--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")),
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, **store},
            cwd=folder,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                httpx.get(f"{url}/health", timeout=10, trust_env=False)
            except httpx.HTTPError:
                assert process.poll() is None, (folder / "mlflow.log").read_text(encoding="utf-8")
                assert time.monotonic() < deadline, "the MLflow server did not start"
                time.sleep(0.5)
            else:
                break
        yield url
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)
