"""Fixtures that every package's tests share."""

import os
import subprocess
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG

from tests.ports import free_port, free_port_base

if TYPE_CHECKING:
    from database.embedded import EmbeddedPostgres

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY_ROOT))

# Nothing here may look at the platform that a developer has running, nor reach outside.
for name in [name for name in os.environ if name.startswith("TUNEWAY_")]:
    del os.environ[name]
os.environ["TUNEWAY_DATA_DIR"] = tempfile.mkdtemp(prefix="tuneway-tests-")
# What vLLM finds out once about a model class serves every test, as it serves every start of an installation.
os.environ["TUNEWAY_VLLM_CACHE_DIR"] = str(REPOSITORY_ROOT / "var" / "cache" / "vllm")
# Nor may a test that names no ports meet the platform, or another process's tests.
os.environ["TUNEWAY_PORT_BASE"] = str(free_port_base())
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests that import airflow get a metadata database of their own.
os.environ.setdefault("AIRFLOW_HOME", str(Path(os.environ["TUNEWAY_DATA_DIR"]) / "airflow-home"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ.setdefault("AIRFLOW__CORE__DAGS_FOLDER", str(REPOSITORY_ROOT / "dags"))
os.environ.setdefault("AIRFLOW__CORE__PLUGINS_FOLDER", str(REPOSITORY_ROOT / "plugins"))

# A request of a test that says nothing of time waits for a busy machine, not the five seconds that are httpx's own.
for part in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, part, 60.0)

# The same examples on every machine, and no example fails for being slow on a busy one. To look for new ones:
# pytest --hypothesis-profile=search
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("search", derandomize=False, deadline=None)
hypothesis.settings.load_profile("repeatable")

# A database is made by copying files, which is seven times cheaper than by way of the log where nothing needs to survive.
LASTS_NO_LONGER_THAN_THE_TESTS = [
    part
    for setting in (
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "wal_level=minimal",
        "max_wal_senders=0",
        "max_wal_size=4GB",
        "checkpoint_timeout=1h",
        "autovacuum=off",
    )
    for part in ("-c", setting)
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files with most slow tests begin: side by side, none of them is left for the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real Korean data; tests that need it are skipped where it is absent."""
    folder = REPOSITORY_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real Korean data in ../shared/data beside the checkout")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator["EmbeddedPostgres"]:
    """A real PostgreSQL from the wheel for the whole session."""
    from database.embedded import EmbeddedPostgres

    folder = Path(tempfile.mkdtemp(prefix="tuneway-postgres-"))
    # the server may run as another account: it must be able to reach its folder
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder / "data", "127.0.0.1", free_port(), uuid.uuid4().hex)
    server.initialise()
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(
            [*server.command(), *LASTS_NO_LONGER_THAN_THE_TESTS], stdout=log, stderr=log, start_new_session=True
        )
    try:
        server.wait_until_ready()
        yield server
    finally:
        process.send_signal(2)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        subprocess.run(["rm", "-rf", "--", str(folder)], check=False)


@pytest.fixture(scope="session")
def _template_database(postgres_server) -> str:
    """A database built by the migrations, copied for each test."""
    from database.migrate import upgrade
    from database.unit_of_work import engine_for

    postgres_server.create_database("tuneway_template")
    url = postgres_server.url("tuneway_template")
    upgrade(url)
    engine_for(url).dispose()
    return "tuneway_template"


@pytest.fixture
def database_url(postgres_server, _template_database) -> Iterator[str]:
    """SQLAlchemy URL of a fresh, migrated database."""
    import psycopg
    from psycopg import sql

    from database.unit_of_work import engine_for

    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server.connection_string("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(_template_database)
            )
        )
        url = postgres_server.url(name)
        yield url
        engine_for(url).dispose()
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def services(database_url, tmp_path, monkeypatch):
    """Services of an installation of its own: fresh database, empty data folder; also for child processes."""
    from settings import load_settings
    from stages.services import open_services

    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TUNEWAY_DATABASE_URL", database_url)
    monkeypatch.setenv("TUNEWAY_MIN_FREE_DISK_GB", "0.1")
    return open_services(load_settings())


@pytest.fixture(scope="session")
def demo_base_model() -> Path:
    """The demo's base model; made once a checkout (some CPU-minutes) and kept in var/, as `make demo` keeps it."""
    folder = REPOSITORY_ROOT / "var" / "models" / "base" / "demo-base"
    subprocess.run(
        [sys.executable, "-m", "demo.pretrain", "--output", str(folder)], cwd=REPOSITORY_ROOT, check=True, timeout=3600
    )
    return folder
