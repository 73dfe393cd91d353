"""From an archive to a served model on a machine that reaches nothing, watched so that nothing tries to."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from security.signing import make_key_pair
from setup import install
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port_base

WATCHER = Path(__file__).with_name("watched_network.py")
BASE_PYTHON = Path(sys.base_prefix) / "bin" / "python3.11"
RUN = "air-gap"
USE_OF_EXTRAS = (
    "import celery, distributed, kubernetes, redis; "
    "from airflow.providers.celery.executors.celery_executor import CeleryExecutor; "
    "from airflow.providers.cncf.kubernetes.executors.kubernetes_executor import KubernetesExecutor"
)

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None or not Path("/dev/net/tun").exists(),
    reason="needs root, iproute2 and /dev/net/tun to make a network",
)


def in_watched_network(report, *command, hidden=(), timeout=60, **variables):
    """Run a command there; what it ended with, and the packets that wanted to leave."""
    ended = subprocess.run(
        [
            *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *(str(BASE_PYTHON), "-I", str(WATCHER), str(report)),
            *(part for path in hidden for part in ("--hide", str(path))),
            *("--", *(str(part) for part in command)),
        ],
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **variables},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return ended, [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]


def test_whoever_tries_to_leave_is_seen_with_its_process_and_what_it_asked_the_resolver(tmp_path):
    program = (
        "import socket, contextlib\n"
        "with contextlib.suppress(OSError): socket.getaddrinfo('telemetry.invalid', 443)\n"
        "with contextlib.suppress(OSError): socket.create_connection(('198.51.100.7', 443), timeout=0.5)\n"
        "with contextlib.suppress(OSError): socket.create_connection(('2001:db8:1::7', 80), timeout=0.5)\n"
        "server = socket.create_server(('127.0.0.1', 8080)); socket.create_connection(('127.0.0.1', 8080), timeout=0.5)\n"
    )
    ended, packets = in_watched_network(tmp_path / "packets", BASE_PYTHON, "-c", program)
    assert ended.returncode == 0, ended.stderr
    assert {packet.get("question") for packet in packets} >= {"telemetry.invalid"}
    assert {(packet["to"], packet["port"]) for packet in packets} == {
        ("192.0.2.53", 53),
        ("198.51.100.7", 443),
        ("2001:db8:1::7", 80),
    }
    assert all("getaddrinfo" in packet["process"] for packet in packets)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.timeout(7200)
def test_bundled_installed_and_run_without_any_network_nothing_tries_to_leave(demo_base_model):
    folder = Path(tempfile.mkdtemp(prefix="tuneway-air-gap-"))
    # PostgreSQL may run as another account
    folder.chmod(0o755)
    try:
        _bundle_install_and_run(folder, demo_base_model)
    finally:
        shutil.rmtree(folder)


def _bundle_install_and_run(folder, base_model):
    make_key_pair(folder / "private.pem", folder / "public.pem")
    bundled = subprocess.run(
        [
            *(sys.executable, "-m", "cli.main", "bundle", "--to", str(folder), "--key", str(folder / "private.pem")),
            *("--uncommitted", "--json"),
        ],
        cwd=REPOSITORY_ROOT,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT), "TUNEWAY_LANGUAGE": "en"},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert bundled.returncode == 0, bundled.stderr
    report = json.loads(bundled.stdout)
    print({name: report[name] for name in ("size", "files", "wheels", "seconds")}, report["bundle"])
    with tarfile.open(report["archive"]) as tar:
        tar.extractall(folder, filter="data")
    Path(report["archive"]).unlink()
    bundle = folder / f"tuneway-{report['bundle']['bundle_id']}"

    target = folder / "opt"
    # nothing of the machine on which it was bundled is there: neither this checkout, nor its environments, nor caches
    sources = install.package_sources(Path(sys.executable))
    indexes = [url.removeprefix("file://") for url in sources.extra_index_urls if url.startswith("file://")]
    environments = [(REPOSITORY_ROOT / name).resolve() for name in (".venv", ".venv-vllm", ".make")]
    hidden = [REPOSITORY_ROOT, *environments, Path.home() / ".cache", *map(Path, [*sources.find_links, *indexes])]
    variables = {
        "HOME": str(folder / "home"),
        "TUNEWAY_LANGUAGE": "en",
        "TUNEWAY_PORT_BASE": str(free_port_base()),
        "TUNEWAY_MIN_FREE_DISK_GB": "1",
        "PYTHON": str(BASE_PYTHON),
    }
    # what runs needs nothing of the archive: it is at another place meanwhile
    elsewhere = folder / "elsewhere"
    steps = {
        "install": f"sh {bundle}/install.sh --public-key {folder}/public.pem --to {target}",
        "demo": f"{target}/tuneway demo --run-id {RUN} && {target}/tuneway summary {RUN} --json > {folder}/summary.json && {target}/tuneway down",
        "extras": f"sh {elsewhere}/install.sh --public-key {folder}/public.pem --to {target} --with {','.join(install.EXTRAS)}"
        f" && {target}/.venv/bin/python -I -c '{USE_OF_EXTRAS}'",
    }
    (folder / "home").mkdir()
    for name, command in steps.items():
        began = time.monotonic()
        ended, packets = in_watched_network(
            folder / f"{name}.packets", "sh", "-c", command, hidden=hidden, timeout=3600, **variables
        )
        print(f"{name}: {time.monotonic() - began:.0f} s")
        assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
        assert packets == []
        if name == "install":
            size = subprocess.run(["du", "-sk", target], capture_output=True, text=True, check=True).stdout.split()[0]
            print(f"installed: {int(size) / 1e6:.2f} GB")
            assert int(size) * 1024 <= report["bundle"]["installed_bytes"] * 1.1
            assert (target / ".venv-vllm" / "bin" / "vllm").exists()
            bundle.rename(elsewhere)
            # some CPU-minutes of training from nothing, which the demo does itself where there is none
            shutil.copytree(base_model, target / "var" / "models" / "base" / "demo-base")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["run_id"] == RUN
    assert summary["finished"]
    assert summary["gate"] == "pass"
    assert summary["accuracy_tuned"]["value"] >= 0.90
