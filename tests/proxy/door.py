"""nginx with the proxy's configuration, as an ordinary account, before services of a test."""

import os
import re
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port

PROXY = REPOSITORY_ROOT / "proxy"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
IS_ROOT = os.geteuid() == 0
USER, GROUP = ("nobody", "nogroup") if IS_ROOT else (None, None)
"""As in its container: nginx is not root."""


@dataclass(frozen=True)
class Door:
    """A running proxy."""

    folder: Path
    port: int
    airflow_port: int

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "certificate.pem"))

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=self.trust, timeout=30, trust_env=False)

    @property
    def log(self) -> str:
        return (self.folder / "access.log").read_text(encoding="utf-8")


def written_configuration(folder: Path, site: str, places: Mapping[str, str]) -> tuple[int, int]:
    """The repository's files with the ports, places and folders of a test; the two ports."""
    ports = free_port(), free_port()
    text = (PROXY / "nginx.conf").read_text(encoding="utf-8")
    text = text.replace("8443", str(ports[0])).replace("8444", str(ports[1]))
    text = text.replace("/tmp/tuneway-proxy", f"{folder}/nginx")
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    text = (PROXY / site).read_text(encoding="utf-8")
    for name, address in places.items():
        text = text.replace(f"server {name}", f"server {address}")
    text = re.sub(r"access_log \S+", f"access_log {folder}/access.log", text)
    (folder / "site.conf").write_text(text, encoding="utf-8")
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return ports


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    """`nginx -t`."""
    own(folder)
    return subprocess.run(
        [str(NGINX), "-t", "-c", str(folder / "nginx.conf")],
        user=USER,
        group=GROUP,
        extra_groups=[] if IS_ROOT else None,
        capture_output=True,
        text=True,
        check=False,
    )


def own(folder: Path) -> None:
    """Hand the files over to the ordinary account."""
    for path in (folder, *folder.iterdir()):
        if USER is not None and GROUP is not None:
            shutil.chown(path, USER, GROUP)


@contextmanager
def running_door(places: Mapping[str, str], site: str = "site-compose.conf") -> Iterator[Door]:
    """The proxy before the services at these places."""
    with own_folder() as folder:
        yield from _running(folder, places, site)


@contextmanager
def own_folder() -> Iterator[Path]:
    """Not pytest's, which its own account alone may enter."""
    folder = Path(tempfile.mkdtemp(prefix="tuneway-proxy-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _running(folder: Path, places: Mapping[str, str], site: str) -> Iterator[Door]:
    door = Door(folder, *written_configuration(folder, site, places))
    own(folder)
    with (folder / "errors.log").open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [str(NGINX), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"],
            stderr=errors,
            user=USER,
            group=GROUP,
            extra_groups=[] if IS_ROOT else None,
        )
    try:
        for _ in range(200):
            try:
                with door.client() as client:
                    client.get("/metrics")
                break
            except httpx.TransportError:
                assert process.poll() is None, (folder / "errors.log").read_text(encoding="utf-8")
                time.sleep(0.05)
        yield door
    finally:
        process.terminate()
        process.wait(timeout=10)
