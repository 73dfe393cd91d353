"""What encryption at rest costs: `python -m benchmarks.encryption [MB]` prints MB/s and milliseconds as JSON.

A file of random bytes is copied, encrypted and decrypted, each flushed to the disk; then the key in a small file's header is
written anew. Best of three: the disk and the other processes of a machine only make it slower.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from security.key_rotation import rotate_keys
from storage.encryption.container import EncryptedReader, EncryptedWriter
from storage.encryption.key_keepers import KeyFile, make_key_file
from storage.encryption.keyring import Keyring

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
                    "rotate_ms_per_file": round(1000 * seconds / SMALL_FILES, 2),
                }
            )
        )


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
