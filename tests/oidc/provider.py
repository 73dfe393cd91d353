"""The site's provider for tests: the npm package oidc-provider in a process of its own."""

import fcntl
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from tests.ports import free_port

VERSION = "9.13.3"
CLIENT_SECRET = "a secret: of/the client"
ROLES = {"ai-team": "ml_engineer", "operators": "admin"}
STEPS = 12
"""Redirects and forms from the login to the callback; there are eight."""


def installed() -> Path:
    """The folder with the package, fetched once a machine; the test is skipped where that cannot be done."""
    folder = Path(tempfile.gettempdir()) / f"tuneway-oidc-provider-{VERSION}"
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm for the package oidc-provider")
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        manifest = folder / "node_modules" / "oidc-provider" / "package.json"
        if not manifest.exists() or json.loads(manifest.read_text(encoding="utf-8"))["version"] != VERSION:
            command = ["npm", "install", "--no-audit", "--no-fund", "--silent", f"oidc-provider@{VERSION}"]
            try:
                subprocess.run(command, cwd=folder, check=True, timeout=240, capture_output=True)
            except (subprocess.SubprocessError, OSError) as error:
                pytest.skip(f"needs the npm package oidc-provider {VERSION}, which could not be fetched: {error}")
    return folder


@contextmanager
def running_provider(redirect_uris: list[str]) -> Iterator[str]:
    """Its issuer."""
    folder, port = installed(), free_port()
    with tempfile.NamedTemporaryFile(suffix=".mjs", dir=folder) as script:
        script.write(Path(__file__).with_name("provider.mjs").read_bytes())
        script.flush()
        process = subprocess.Popen(
            ["node", script.name, str(port), *redirect_uris], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        issuer = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 120
            while not _answers(f"{issuer}/.well-known/openid-configuration"):
                assert process.poll() is None and time.monotonic() < deadline, "the provider did not come up"
                time.sleep(0.1)
            yield issuer
        finally:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def log_in_at(client: httpx.Client, url: str, name: str, stop_before: str) -> str:
    """As a browser does: follow the provider's redirects and send its forms; the address that leads back to us."""
    response = client.get(url)
    for _ in range(STEPS):
        if response.is_redirect:
            address = urljoin(str(response.url), response.headers["location"])
            if address.startswith(stop_before):
                return address
            response = client.get(address)
            continue
        action = re.search(r'<form[^>]*action="([^"]+)"', response.text)
        prompt = re.search(r'name="prompt" value="(\w+)"', response.text)
        assert response.status_code == 200 and action and prompt, response.text
        form = {"prompt": prompt[1]} | ({"login": name, "password": "any"} if prompt[1] == "login" else {})
        response = client.post(urljoin(str(response.url), unescape(action[1])), data=form)
    raise AssertionError("the provider leads nowhere")
