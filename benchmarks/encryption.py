"""What encryption at rest costs: `python -m benchmarks.encryption [MB]` prints MB/s and milliseconds as JSON.

A file of random bytes is copied, encrypted and decrypted, each flushed to the disk; then the key in a small file's header is
written anew; then a checkpoint of that size is saved as the trainer does, in plain and sealed, and opened for going on.
Best of three: the disk and the other processes of a machine only make it slower.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from security.key_rotation import rotate_keys
from settings.encryption import dataset_scope, use_encryption
from settings.model import Settings
from storage.encryption.container import EncryptedReader, EncryptedWriter
from storage.encryption.key_keepers import KeyFile, make_key_file
from storage.encryption.keyring import Keyring
from storage.job_folder import JobFolder
from storage.private_folders import make_private_folder, remove_private_folders
from training.checkpoints import STAGING, CheckpointManifest, commit_checkpoint, newest_whole_checkpoint
from training.opened_checkpoints import RESUMED, SAVED, open_checkpoint

PIECE_BYTES = 2**20
SMALL_FILES = 200


def main(megabytes: int = 200) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make_key_file(folder / "key")
        keyring = Keyring(folder / "keyring", KeyFile(folder / "key"))
        plain, sealed = folder / "plain", folder / "sealed"
        with plain.open("wb") as stream:
            for _ in range(megabytes):
                stream.write(os.urandom(10**6))

        def copy() -> None:
            with plain.open("rb") as source, (folder / "copy").open("wb") as target:
                _pump(source, target)
                target.flush()
                os.fsync(target.fileno())

        def encrypt() -> None:
            with plain.open("rb") as source, EncryptedWriter(sealed, keyring, "dataset/a") as target:
                _pump(source, cast("BinaryIO", target))

        def decrypt() -> None:
            with EncryptedReader(sealed, keyring) as source, Path(os.devnull).open("wb") as target:
                _pump(cast("BinaryIO", source), target)

        rates = {work.__name__: round(megabytes / _best(work)) for work in (copy, encrypt, decrypt)}
        checkpoints = _checkpoint_seconds(folder / "installation", plain)
        data = folder / "data"
        for number in range(SMALL_FILES):
            with EncryptedWriter(data / str(number), keyring, "dataset/b") as stream_:
                stream_.write(b"small")
        seconds = _best(lambda: rotate_keys(keyring, data, new_key=False, file_keys=True), repeats=1)
        print(
            json.dumps(
                {
                    "megabytes": megabytes,
                    "megabytes_per_second": rates,
                    "bytes_added": sealed.stat().st_size - plain.stat().st_size,
                    "checkpoint_seconds": checkpoints,
                    "rotate_ms_per_file": round(1000 * seconds / SMALL_FILES, 2),
                }
            )
        )


def _checkpoint_seconds(root: Path, content: Path) -> dict[str, float]:
    """Saving one, in plain by way of the disk and sealed by way of a private folder; and what going on reads."""
    use_encryption(Settings(data_dir=root))
    job, size = JobFolder(root / "jobs" / "train-1"), content.stat().st_size
    manifest = CheckpointManifest(step=1, epoch=1.0, metrics={}, train_seconds=1.0, files={})
    target = job.checkpoints / "checkpoint-1"

    def save(staging: Path, scope: str | None) -> None:
        staged = staging / target.name
        staged.mkdir(parents=True)
        shutil.copyfile(content, staged / "optimizer.pt")
        commit_checkpoint(staged, target, manifest, scope)

    def save_plain() -> None:
        save(job.checkpoints / STAGING, None)

    def save_sealed() -> None:
        save(make_private_folder(job.root, SAVED, size), dataset_scope("a"))

    def check() -> None:
        newest_whole_checkpoint(job.checkpoints)

    def check_and_open() -> None:
        check()
        open_checkpoint(target, job, RESUMED)

    try:
        found = {"save_plain": _best(save_plain), "check_plain": _best(check)}
        found |= {"save_sealed": _best(save_sealed), "check_and_open_sealed": _best(check_and_open)}
    finally:
        remove_private_folders(job.root)
    return {name: round(seconds, 2) for name, seconds in found.items()}


def _pump(source: BinaryIO, target: BinaryIO) -> None:
    while piece := source.read(PIECE_BYTES):
        target.write(piece)


def _best(work: Callable[[], object], repeats: int = 3) -> float:
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
