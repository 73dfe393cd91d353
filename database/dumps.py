"""Databases as streams: `pg_dump` and `pg_restore` of the wheel, which read and write every PostgreSQL from 9.2 to 18."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from sqlalchemy.engine import make_url

from contracts.errors import ConflictError, UnavailableError
from database.connections import connect
from database.embedded import binary_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.engine import URL

SHOWN_CHARACTERS = 500


@contextmanager
def dumped(url: str) -> Iterator[IO[bytes]]:
    """The database at this SQLAlchemy URL as a custom-format archive, of one consistent moment, uncompressed.

    Raises UnavailableError at the end of the block where pg_dump did not succeed: what was read is then worth nothing.
    """
    parts = make_url(url)
    command = [str(binary_folder() / "pg_dump"), "--format=custom", "--compress=none", "--no-owner", "--no-privileges"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=_environment(parts), stdout=subprocess.PIPE, stderr=said)
        assert process.stdout is not None
        try:
            yield process.stdout
            code = process.wait()
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
        _refuse(code, said, f"The database {parts.database} could not be dumped")


def restore(url: str, pieces: Iterable[bytes]) -> None:
    """Fill an empty database from an archive: wholly, or not at all. Raises UnavailableError, ConflictError."""
    parts = make_url(url)
    _require_empty(url)
    command = [
        str(binary_folder() / "pg_restore"), "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges",
        f"--dbname={parts.database}",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=_environment(parts), stdin=subprocess.PIPE, stdout=said, stderr=said)
        assert process.stdin is not None
        try:
            try:
                for piece in pieces:
                    process.stdin.write(piece)
                process.stdin.close()
            except BrokenPipeError:
                # it has said why on stderr
                pass
            code = process.wait()
        finally:
            process.kill()
            process.wait()
        _refuse(code, said, f"The database {parts.database} could not be restored")


def _require_empty(url: str) -> None:
    with connect(url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE relkind IN ('r', 'p') AND nspname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchone()
    assert found is not None
    if found[0]:
        raise ConflictError(
            "A backup is restored into an empty database only",
            value=f"{make_url(url).database}: {found[0]} tables",
            next_step="drop the database and create it anew, or name another one",
        )


def _environment(parts: URL) -> dict[str, str]:
    """For libpq: on a command line every user of the machine could read the password."""
    given = {
        "PGHOST": parts.host,
        "PGPORT": None if parts.port is None else str(parts.port),
        "PGUSER": parts.username,
        "PGPASSWORD": parts.password,
        "PGDATABASE": parts.database,
    }
    return {**os.environ, **{name: value for name, value in given.items() if value}}


def _refuse(code: int, said: IO[bytes], what: str) -> None:
    if code == 0:
        return
    said.seek(0)
    raise UnavailableError(
        what,
        value=said.read().decode(errors="replace").strip()[-SHOWN_CHARACTERS:] or f"exit code {code}",
        next_step="look whether PostgreSQL runs (`tuneway status`) and has room, then run the command again",
    )
