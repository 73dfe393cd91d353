"""One MLflow server for these tests; starting one takes about ten seconds."""

from collections.abc import Iterator

import pytest

from tests.registry.mlflow_server import MlflowServer, running_mlflow


@pytest.fixture(scope="session")
def mlflow_server(postgres_server, tmp_path_factory) -> Iterator[MlflowServer]:
    """A running server; a test that kills it starts it again."""
    with running_mlflow(postgres_server, tmp_path_factory.mktemp("mlflow")) as server:
        yield server
