"""What a backup costs: bytes a second of the first, of one in which little changed, of the check and of the way back.

    python -m benchmarks.backup               1 GB of weights, which do not compress

The peer is what a site would write itself: `tar` piped through `openssl enc` (AES-256) to the same disk, which saves everything
each time and proves nothing when it is read. All are flushed to the disk.
"""

from __future__ import annotations

import os
import subprocess
import time
from typing import IO, TYPE_CHECKING

from benchmarks.measuring import own_folder, parser, report
from contracts.backups import BackupContents
from stages.backups.checking import check_repository
from stages.backups.repository import BackupRepository
from storage.encryption.key_keepers import make_key_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MEGABYTE = 1_000_000
FILE_MEGABYTES = 100
TINY_MEGABYTES = 20
INSERTED = b"a row more\n"


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--megabytes", type=int, default=1000)
    options = arguments.parse_args()
    if options.tiny:
        options.megabytes = TINY_MEGABYTES
    with own_folder() as folder:
        lines = _measure(folder, options.megabytes)
    report("backup", options, {"measured": lines}, [tuple(line.values()) for line in lines])


def _measure(folder: Path, megabytes: int) -> list[dict[str, object]]:
    source = folder / "source"
    source.mkdir()
    for start in range(0, megabytes, FILE_MEGABYTES):
        (source / f"weights-{start}").write_bytes(os.urandom(min(FILE_MEGABYTES, megabytes - start) * MEGABYTE))
    make_key_file(folder / "key")
    repository = BackupRepository.create_or_open(folder / "repository", folder / "key", BackupContents.DATA)
    names: list[str] = []

    def save() -> None:
        names[:] = [name for _, chunks in repository.store(_opened(source)) for name in chunks]

    def peer() -> None:
        made = folder / "peer.tar.enc"
        command = f"tar -C {source} -cf - . | openssl enc -aes-256-ctr -pbkdf2 -pass pass:x -out {made} && sync {made}"
        subprocess.run(["sh", "-c", command], check=True)

    def bring_back() -> None:
        with (folder / "back").open("wb") as stream:
            for name in names:
                stream.write(repository.read(name))
            stream.flush()
            os.fsync(stream.fileno())

    save()
    for path in (folder / "repository" / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    repository = BackupRepository.open(folder / "repository", folder / "key")
    found = [_timed("tar and openssl", peer, megabytes), _timed("first", save, megabytes)]
    first = sorted(source.iterdir())[0]
    first.write_bytes(INSERTED + first.read_bytes())
    before = repository.written
    found.append(_timed("every file read, a row added", save, megabytes))
    found[-1]["written_mb"] = round((repository.written - before) / MEGABYTE, 1)
    found.append(_timed("check", lambda: check_repository(repository, on_progress=_silent), megabytes))
    found.append(_timed("restore", bring_back, megabytes))
    return found


def _opened(folder: Path) -> Iterator[IO[bytes]]:
    for path in sorted(folder.iterdir()):
        with path.open("rb", buffering=0) as stream:
            yield stream


def _timed(what: str, work: Callable[[], object], megabytes: int) -> dict[str, object]:
    cpu, began = sum(os.times()[:4]), time.monotonic()
    work()
    seconds = time.monotonic() - began
    return {
        "what": what,
        "seconds": round(seconds, 2),
        "mb_per_second": round(megabytes / seconds),
        "cpu_seconds": round(sum(os.times()[:4]) - cpu, 2),
    }


def _silent(*_: object) -> None:
    """No progress is shown."""


if __name__ == "__main__":
    main()
