"""The three databases of a platform: made, and brought to the schema of the installed versions."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

from cli.programs import airflow_environment, common_environment
from cli.supervisor_config import log_file
from contracts.errors import UnavailableError
from database.connections import connect
from database.embedded import embedded_postgres
from settings import Settings
from storage.files import read_json, write_text_atomically

EMBEDDED_DATABASES = ("tuneway", "airflow", "mlflow")
POOLS_FILE = Path("operators") / "pools.json"


def create_databases(settings: Settings) -> None:
    """Make the databases in the embedded PostgreSQL; a site's own server has them made by its administrator."""
    server = embedded_postgres(settings)
    for name in EMBEDDED_DATABASES:
        server.create_database(name)
    with connect(settings.resolved_airflow_database_url) as connection:
        # a scheduler killed inside its critical section must not keep the lock for ever
        connection.execute("ALTER DATABASE airflow SET idle_in_transaction_session_timeout = '60s'")


def migrate_databases(settings: Settings) -> None:
    """Bring the three schemas up to date, side by side. Does next to nothing when they are."""
    jobs: list[Callable[[], None]] = [lambda: _migrate_own(settings)]
    if settings.mlflow_tracking_url is None:
        jobs.append(lambda: _migrate_mlflow(settings))
    if settings.airflow_url is None:
        jobs.append(lambda: _migrate_airflow(settings))
    with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()


def _migrate_own(settings: Settings) -> None:
    from database.migrate import upgrade

    upgrade(settings.resolved_database_url)


def _migrate_mlflow(settings: Settings) -> None:
    url = make_url(settings.resolved_mlflow_database_url)
    if _is_migrated(settings, "mlflow", url):
        return
    # libpq reads the password from the environment: on the command line every user of the machine could see it
    bare_url = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, url.query)
    environment = {"PGPASSWORD": url.password} if url.password else {}
    _run(settings, "migrate-mlflow", ["mlflow", "db", "upgrade", str(bare_url)], environment)
    _note_migrated(settings, "mlflow", url)


def _migrate_airflow(settings: Settings) -> None:
    url = make_url(settings.resolved_airflow_database_url)
    if not _is_migrated(settings, "apache-airflow-core", url):
        _run_airflow(settings, "migrate-airflow", ["db", "migrate"])
        _note_migrated(settings, "apache-airflow-core", url)
    _ensure_pools(settings)


def _ensure_pools(settings: Settings) -> None:
    """Import the pools of operators/pools.json, the gpu pool with a slot for each GPU that jobs may get."""
    pools = read_json(settings.repository_root / POOLS_FILE)
    if pools is None:
        return
    gpu = pools.get("gpu")
    assert isinstance(gpu, dict)
    gpu["slots"] = settings.gpu_pool_slots or settings.job_slots
    with connect(settings.resolved_airflow_database_url) as connection:
        rows = connection.execute("SELECT pool, slots, include_deferred FROM slot_pool").fetchall()
    present = {name: (slots, include_deferred) for name, slots, include_deferred in rows}
    wanted = {
        name: (pool["slots"], pool.get("include_deferred", False))
        for name, pool in pools.items()
        if isinstance(pool, dict)
    }
    if all(present.get(name) == pool for name, pool in wanted.items()):
        return
    rendered = settings.run_dir / "pools.json"
    rendered.write_text(json.dumps(pools, ensure_ascii=False), encoding="utf-8")
    _run_airflow(settings, "migrate-airflow", ["pools", "import", str(rendered)])


def _run_airflow(settings: Settings, log: str, arguments: list[str]) -> None:
    _run(settings, log, ["airflow", *arguments], airflow_environment(settings))


def _run(settings: Settings, log: str, command: list[str], environment: dict[str, str]) -> None:
    path = log_file(settings, log)
    program = str(Path(sys.executable).parent / command[0])
    with path.open("a", encoding="utf-8") as stream:
        completed = subprocess.run(
            [program, *command[1:]],
            env={**os.environ, **common_environment(settings), **environment},
            cwd=settings.run_dir,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if completed.returncode != 0:
        last_lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
        raise UnavailableError(
            f"The command `{' '.join(command[:3])}` failed",
            value="\n".join(last_lines),
            next_step=f"read {path}, then run `tuneway up` again",
        )


def _stamp_file(settings: Settings, package: str, url: URL) -> Path:
    address = hashlib.sha256(f"{url.host}:{url.port}/{url.database}".encode()).hexdigest()[:12]
    return settings.run_dir / "migrated" / f"{package}-{address}.json"


def _revisions(url: URL) -> list[str]:
    try:
        with connect(url.render_as_string(hide_password=False)) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version ORDER BY 1").fetchall()
    except psycopg.errors.UndefinedTable:
        return []
    return [str(row[0]) for row in rows]


def _is_migrated(settings: Settings, package: str, url: URL) -> bool:
    """The database is where this package version's migration left it: the migration itself takes seconds to say so."""
    stamp = read_json(_stamp_file(settings, package, url))
    if stamp is None or stamp.get("version") != version(package):
        return False
    return stamp.get("revisions") == _revisions(url) != []


def _note_migrated(settings: Settings, package: str, url: URL) -> None:
    path = _stamp_file(settings, package, url)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, json.dumps({"version": version(package), "revisions": _revisions(url)}), mode=0o600)
