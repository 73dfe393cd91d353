"""Other routers in front of the same model server, each with one worker: for comparison, in environments of their own."""

import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import InvalidRequestError, UnavailableError
from tests.ports import free_port

HOST = "127.0.0.1"
START_SECONDS = 90.0

INSTALL = {
    "nginx": "apt-get install nginx-light",
    "vllm-router": "python -m venv peers && peers/bin/pip install vllm-router",
    "litellm": "python -m venv peers && peers/bin/pip install 'litellm[proxy]'",
}
"""How to get what is not there; never into the platform's own environment."""

_NGINX = """\
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; client_body_buffer_size 64k;
  split_clients $remote_port $arm {{ 50% a; * b; }}
  upstream a {{ server {upstream}; keepalive 512; }}
  upstream b {{ server {upstream}; keepalive 512; }}
  server {{
    listen {host}:{port} backlog=1024; keepalive_requests 1000000;
    location / {{ proxy_pass http://$arm; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""
_LITELLM = """\
model_list:
  - model_name: stub
    litellm_params: {{model: openai/stub, api_base: "http://{upstream}/v1", api_key: none}}
litellm_settings: {{drop_params: true}}
"""


@dataclass(frozen=True, slots=True)
class RunningPeer:
    """A router that answers."""

    url: str
    pid: int
    program: str


def find_peer(name: str, folders: Sequence[str]) -> str | None:
    """The program, in the folders or on the PATH; None where it is not installed. Raises InvalidRequestError."""
    if name not in INSTALL:
        raise InvalidRequestError(
            "This router cannot be compared with", value=name, allowed=", ".join(INSTALL), next_step="name one of them"
        )
    path = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin"])
    return shutil.which(name, path=path)


@contextmanager
def running_peer(name: str, program: str, upstream: str, folder: Path) -> Iterator[RunningPeer]:
    """The router in front of `upstream`, host and port of a model server."""
    folder.mkdir()
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": ""}
    if name == "nginx":
        configuration = folder / "nginx.conf"
        configuration.write_text(
            _NGINX.format(folder=folder, upstream=upstream, host=HOST, port=port), encoding="utf-8"
        )
        command = [program, "-p", str(folder), "-c", str(configuration)]
    elif name == "vllm-router":
        command = [program, "--worker-urls", f"http://{upstream}", "--host", HOST, "--port", str(port)]
        command += ["--policy", "round_robin", "--prometheus-port", str(free_port())]
    else:
        configuration = folder / "litellm.yaml"
        configuration.write_text(_LITELLM.format(upstream=upstream), encoding="utf-8")
        command = [program, "--config", str(configuration), "--host", HOST, "--port", str(port), "--num_workers", "1"]
        environment |= {
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
    log_path = folder / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True, cwd=folder)
    try:
        _wait_until_it_answers(f"http://{HOST}:{port}", process, log_path)
        yield RunningPeer(f"http://{HOST}:{port}/v1", process.pid, program)
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log_path: Path) -> None:
    from benchmarks.wire_load import question

    request = urllib.request.Request(  # noqa: S310 - a server that was started here
        f"{url}/v1/chat/completions", data=question("stub", 0), headers={"Content-Type": "application/json"}
    )
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10):  # noqa: S310
                return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                said = log_path.read_text(encoding="utf-8", errors="replace")[-1500:]
                raise UnavailableError("A router did not start", value=f"{error}; {said}") from error
            time.sleep(0.3)
