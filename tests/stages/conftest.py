"""What the stages' tests share beside the fixtures of all tests."""

import warnings
from collections.abc import Iterator

import pytest

from tests.registry.mlflow_server import MlflowServer, running_mlflow


@pytest.fixture(scope="session")
def mlflow_server(postgres_server, tmp_path_factory) -> Iterator[MlflowServer]:
    """A running MLflow server on the real PostgreSQL; a test that kills it starts it again."""
    with running_mlflow(postgres_server, tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A random Qwen3 model."""
    from tests.tiny_model import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny-base")


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model, tmp_path_factory):
    """A random adapter that changes the tiny model's answers."""
    from tests.tiny_model import make_tiny_adapter

    with warnings.catch_warnings():
        # PEFT 0.21 asks transformers 5.23 for a name that the latter deprecated
        warnings.simplefilter("ignore", FutureWarning)
        return make_tiny_adapter(tmp_path_factory.mktemp("adapters") / "adapter", tiny_model)
