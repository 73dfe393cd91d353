"""A real supervisor for the tests of permanent servers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from settings import Settings
from tests.serving_api.running import wait_until


@contextmanager
def running_supervisor(settings: Settings) -> Iterator[None]:
    """supervisord with its socket where the platform's has it, and only programs of programs.d."""
    run_dir = settings.run_dir
    settings.supervisor_socket.parent.mkdir(parents=True, exist_ok=True)
    (run_dir / "programs.d").mkdir(parents=True)
    configuration = run_dir / "supervisord.conf"
    configuration.write_text(
        f"""[supervisord]
logfile={run_dir}/supervisord.log
pidfile={run_dir}/supervisord.pid
nodaemon=true
[unix_http_server]
file={settings.supervisor_socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[include]
files = {run_dir}/programs.d/*.conf
""",
        encoding="utf-8",
    )
    program = Path(sys.executable).parent / "supervisord"
    # programs take their variables from supervisord's own environment, as the platform's do
    environment = {**os.environ, **settings.as_environment(), "PYTHONPATH": str(settings.repository_root)}
    process = subprocess.Popen([str(program), "-c", str(configuration)], stdout=subprocess.DEVNULL, env=environment)
    try:
        wait_until(settings.supervisor_socket.exists)
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)
