"""Who may be in a dataset's folder at the same time: any number of writers, or one collector of garbage."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.errors import ConflictError

WRITERS_LOCK, REFERENCES_LOCK = ".writers.lock", ".references.lock"


@contextmanager
def writing(name_dir: Path) -> Iterator[None]:
    """While the block runs, no garbage is collected: parts that nothing refers to yet are safe.

    The kernel lets go of the lock when the process ends, however it ends.
    """
    with _locked(name_dir / WRITERS_LOCK, fcntl.LOCK_SH):
        yield


@contextmanager
def collecting(name_dir: Path) -> Iterator[None]:
    """While the block runs, nobody writes. Raises ConflictError when somebody does at the moment."""
    try:
        with _locked(name_dir / WRITERS_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError as error:
        raise ConflictError(
            "A version of this dataset is being written",
            value=name_dir.name,
            next_step="collect garbage again when the preparation has ended",
        ) from error


@contextmanager
def changing_references(name_dir: Path) -> Iterator[None]:
    """While the block runs, nobody else moves a branch or a tag."""
    with _locked(name_dir / REFERENCES_LOCK, fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(path: Path, operation: int) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)
