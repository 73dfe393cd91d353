"""What an upload costs from end to end: received, encrypted, hashed, parsed, checked and written, over HTTP.

    python -m benchmarks.uploads               200 MB of JSONL

A real service in a process of its own, a real PostgreSQL and a real Cerbos; the file is sent in one form, then in parts
of 8 MB. Measured are the seconds until the file was received, until its rows were read and checked (the bar: 30 s on 2
cores, the aim 8 s), and on request (`--prepared`) until the dataset version was there; memory is the largest
resident size of the service and of the process that reads the rows.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.imports import write_files
from benchmarks.measuring import own_cpu_seconds, own_folder, own_settings, parser, report
from benchmarks.router import running_postgres
from storage.processes import process_tree, resident_bytes

TINY_MB = 1
PART_BYTES = 8_000_000
LOOKED_EVERY_SECONDS = 0.05


@dataclass
class Peaks:
    """Largest resident sizes, bytes."""

    service: int = 0
    reader: int = 0


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--megabytes", type=int, default=200)
    arguments.add_argument("--characters", type=int, default=300, help="of a row")
    arguments.add_argument("--prepared", action="store_true", help="wait for the dataset version too")
    options = arguments.parse_args()
    if options.tiny:
        options.megabytes, options.prepared = TINY_MB, True
    options.formats = ["jsonl"]
    with own_folder() as folder:
        path = write_files(folder, options)["jsonl"]
        with running(folder) as (api, process):
            lines = [
                measured("one form", send_form, api, process, path, options),
                measured("parts of 8 MB", send_parts, api, process, path, options),
            ]
    report(
        "uploads",
        options,
        {"measured": lines},
        [tuple(line.values()) for line in lines],
    )


@contextmanager
def running(folder: Path) -> Iterator[tuple[httpx.Client, "subprocess.Popen[bytes]"]]:
    """A service on a port, and a client that may use it."""
    from database.migrate import upgrade
    from stages.services import open_services
    from tests.ports import free_port
    from tests.serving_api.policy_server import with_policies
    from tests.serving_api.running import ADMIN_TOKEN, add_admin_key, make_secrets

    with running_postgres(folder / "postgres") as (database_url, _):
        upgrade(database_url)
        policies = with_policies(open_services(own_settings(database_url=database_url))).settings
        settings = own_settings(
            serving_port=free_port(),
            cerbos_port=policies.cerbos_port,
            cerbos_grpc_port=policies.cerbos_grpc_port,
            policy_timeout_seconds=20,
            requests_per_minute=100_000,
            min_free_disk_gb=0.1,
        )
        make_secrets(settings.secrets_dir)
        add_admin_key(open_services(settings))
        process = subprocess.Popen([sys.executable, "-m", "serving_api"], stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{settings.ports['serving']}"
            while not _answers(url):
                time.sleep(0.1)
            headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
            with httpx.Client(base_url=f"{url}/api/v1/admin", headers=headers, timeout=900) as client:
                yield client, process
        finally:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def measured(
    name: str, send: Any, api: httpx.Client, process: "subprocess.Popen[bytes]", path: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """One line of the result."""
    before, _ = _sizes(process.pid)
    cpu_before = {one: own_cpu_seconds(one) for one in process_tree(process.pid)}
    peaks, stopped = Peaks(), threading.Event()
    watch = threading.Thread(target=_watch, args=(process.pid, peaks, stopped))
    watch.start()
    began = time.perf_counter()
    upload_id, received = send(api, path)
    while (upload := api.get(f"training/uploads/{upload_id}").json())["state"] == "importing":
        time.sleep(LOOKED_EVERY_SECONDS)
    imported = time.perf_counter() - began
    cpu = sum(own_cpu_seconds(one) - cpu_before.get(one, 0) for one in process_tree(process.pid))
    stopped.set()
    watch.join()
    assert upload["state"] in {"preparing", "ready"}, upload
    prepared = None
    while options.prepared and upload["state"] != "ready":
        time.sleep(0.5)
        upload = api.get(f"training/uploads/{upload_id}").json()
        assert upload["state"] in {"preparing", "ready"}, upload
        prepared = round(time.perf_counter() - began, 1)
    # what is still being prepared would be measured with what comes next
    for child in process_tree(process.pid)[1:]:
        os.kill(child, signal.SIGKILL)
    return {
        "sent": name,
        "mb": path.stat().st_size / 1e6,
        "rows": upload["rows"],
        "received_seconds": round(received - began, 2),
        "read_and_checked_seconds": round(imported, 2),
        "cpu_seconds": round(cpu, 1),
        "prepared_seconds": prepared,
        "service_before_mib": before >> 20,
        "service_peak_mib": peaks.service >> 20,
        "reader_peak_mib": peaks.reader >> 20,
        "load": os.getloadavg()[0],
    }


def send_form(api: httpx.Client, path: Path) -> tuple[str, float]:
    """The upload and when the file was there."""
    key = f"form-{path.name}"
    with path.open("rb") as stream:
        answer = api.post(
            "training/datasets",
            data={"name": "form"},
            files={"file": ("form.jsonl", stream)},
            params={"wait_seconds": 0},
            headers={"Idempotency-Key": key},
        )
    assert answer.status_code in {201, 202}, answer.text
    return answer.json()["upload_id"], time.perf_counter()


def send_parts(api: httpx.Client, path: Path) -> tuple[str, float]:
    """The same in parts."""
    wanted = {"name": "parts", "file_name": "parts.jsonl", "size_bytes": path.stat().st_size}
    upload_id = api.post("training/uploads", json=wanted).json()["upload_id"]
    with path.open("rb") as stream:
        while part := stream.read(PART_BYTES):
            offset = str(stream.tell() - len(part))
            sent = api.patch(f"training/uploads/{upload_id}", content=part, headers={"Upload-Offset": offset})
            assert sent.status_code == 200, sent.text
    received = time.perf_counter()
    done = api.post(f"training/uploads/{upload_id}/complete", params={"wait_seconds": 0})
    assert done.status_code in {201, 202}, done.text
    return upload_id, received


def _watch(pid: int, peaks: Peaks, stopped: threading.Event) -> None:
    while not stopped.wait(LOOKED_EVERY_SECONDS):
        service, reader = _sizes(pid)
        peaks.service = max(peaks.service, service)
        peaks.reader = max(peaks.reader, reader)


def _sizes(pid: int) -> tuple[int, int]:
    """Bytes of the service, both of its processes, and of those that read rows apart."""
    service, readers = 0, 0
    for one in process_tree(pid):
        size = resident_bytes([one]) or 0
        if b"serving_api.apart" in _command(one):
            readers = max(readers, size)
        elif one == pid or b"serving_api.control" in _command(one):
            service += size
    return service, readers


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    main()
