"""Which program answers, and in which version: part of what makes two evaluations comparable."""

import importlib.metadata
from pathlib import Path

import httpx

from contracts.enums import ServerBackend
from deployment.backends import choose_server
from settings import Settings

UNKNOWN_ENGINE = "unknown"
"""Of a server that does not tell."""
PROBE_TIMEOUT_S = 5.0


def installed_engine(settings: Settings) -> str:
    """The engine that a server started now would be: `vllm 0.32.0`, `embedded 0.2.15`."""
    backend = choose_server(settings).backend
    version = embedded_version() if backend is ServerBackend.EMBEDDED else _vllm_version(settings.vllm_python)
    return f"{backend.value} {version}"


def engine_at(base_url: str) -> str:
    """The engine behind an endpoint, as it tells itself; `unknown` where it does not."""
    try:
        # a site's proxy variables must not catch a call to a server inside
        with httpx.Client(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
            response = client.get(base_url.rstrip("/").removesuffix("/v1") + "/version")
            told = response.json() if response.status_code == httpx.codes.OK else None
    except (httpx.HTTPError, ValueError):
        return UNKNOWN_ENGINE
    if not isinstance(told, dict) or not isinstance(told.get("version"), str):
        return UNKNOWN_ENGINE
    # vLLM tells its version alone
    return f"{told.get('engine', ServerBackend.VLLM.value)} {told['version']}"


def embedded_version() -> str:
    """Of llama.cpp's wheel."""
    return importlib.metadata.version("xllamacpp")


def _vllm_version(python: Path) -> str:
    """Read from the folder of its environment: asking its interpreter takes seconds.

    Without the label of the build (`+cpu`), which a running vLLM does not tell either.
    """
    found = sorted((python.parent.parent / "lib").glob("python*/site-packages/vllm-*.dist-info"))
    if not found:
        return UNKNOWN_ENGINE
    return found[-1].name.removeprefix("vllm-").removesuffix(".dist-info").partition("+")[0]
