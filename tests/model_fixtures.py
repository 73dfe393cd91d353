"""Fixtures of tests that serve a model; import them in the conftest of the package that needs them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployment.ephemeral import running_server
from deployment.specification import ServerEndpoint, ServerSpec, lora_adapter
from settings import Settings, load_settings
from tests.tiny_model import make_tiny_adapter, make_tiny_model

BASE_NAME, ADAPTER_NAME, SECOND_ADAPTER_NAME = "tiny-base", "tiny-v1-aaaaaaaa", "tiny-v2-bbbbbbbb"


@dataclass(frozen=True)
class TinyModels:
    """A model and two adapters on disk."""

    base: Path
    adapter: Path
    second_adapter: Path

    def spec(self) -> ServerSpec:
        """A server of the base with the first adapter."""
        return ServerSpec(
            model_path=str(self.base),
            served_model_name=BASE_NAME,
            adapters=[lora_adapter(ADAPTER_NAME, self.adapter)],
        )


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory) -> TinyModels:
    """A random Qwen3 model and LoRA adapters of ranks 8 and 16 for it."""
    folder = tmp_path_factory.mktemp("tiny-models")
    base = make_tiny_model(folder / "base")
    return TinyModels(
        base, make_tiny_adapter(folder / "one", base), make_tiny_adapter(folder / "two", base, rank=16, seed=2)
    )


def settings_for(backend: str) -> Settings:
    """Settings that choose the backend, whatever is installed."""
    return load_settings().model_copy(update={"model_server_backend": backend})


def require_vllm(settings: Settings) -> None:
    """Skip the test where vLLM is not installed."""
    if not settings.vllm_python.is_file():
        pytest.skip(f"needs vLLM's environment: {settings.vllm_python} does not exist; `make setup` installs it")


@pytest.fixture(scope="session")
def embedded_endpoint(tiny_models, tmp_path_factory) -> Iterator[ServerEndpoint]:
    """The embedded server with the base and the first adapter."""
    log_path = tmp_path_factory.mktemp("embedded") / "server.log"
    with running_server(tiny_models.spec(), settings_for("embedded"), log_path) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def vllm_endpoint(tiny_models, tmp_path_factory) -> Iterator[ServerEndpoint]:
    """Real vLLM with the base and the first adapter."""
    settings = settings_for("vllm")
    require_vllm(settings)
    log_path = tmp_path_factory.mktemp("vllm") / "server.log"
    with running_server(tiny_models.spec(), settings, log_path) as endpoint:
        yield endpoint
