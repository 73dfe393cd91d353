"""One MLflow server for these tests; starting one takes about ten seconds."""

import uuid
from collections.abc import Iterator

import pytest

from tests.registry.mlflow_server import MlflowServer


@pytest.fixture(scope="session")
def mlflow_server(postgres_server, tmp_path_factory) -> Iterator[MlflowServer]:
    """A running server; a test that kills it starts it again."""
    name = f"mlflow_{uuid.uuid4().hex[:8]}"
    postgres_server.create_database(name)
    server = MlflowServer(postgres_server.url(name, "psycopg2"), tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.kill()
