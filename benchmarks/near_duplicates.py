"""Duplicates among a million Korean rows: time, memory, and how many of the planted ones are found.

    python -m benchmarks.near_duplicates [--rows 1000000] [--peer-rows 20000]

Rows have about 300 characters of random Korean words. One in five repeats an earlier row: exactly but for punctuation, or
with one to five syllables changed. What should be found is computed exactly, pair by planted pair. The peers get the
same rows, fewer of them: datasketch as its documentation shows it (`update` for each shingle, MinHashLSH with nothing
but the threshold), the same with `MinHash.bulk`, rensa, and datatrove's first two steps with its own buckets, on the same
character 5-grams (its word n-grams need a tokenizer of each language). A peer that is not installed is told as skipped.
Seconds are CPU time of one core.
"""

import os
import random
import struct
import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import accumulate, combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.measuring import own_folder, parser, report
from contracts.data_policy import DuplicatePolicy
from data_prep.duplicates.finding import Duplicates, Reason, find_duplicates
from data_prep.duplicates.fingerprints import Fingerprints, fingerprint_rows
from data_prep.duplicates.near import jaccard, shingles
from data_prep.rows import Message, Row

THRESHOLD = 0.8
CHUNK_ROWS = 10_000
CHARACTERS = 300
WORDS = 30_000
TINY_ROWS = 3_000
JUDGED_PAIRS = 20_000
"""Planted pairs whose exact similarity is computed, evenly spread."""
QUESTION = "다음 내용을 알려 주세요."

Planted = list[tuple[int, int]]


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--peer-rows", type=int, default=20_000)
    options = arguments.parse_args()
    if options.tiny:
        options.rows, options.peer_rows = TINY_ROWS, TINY_ROWS // 3
    with own_folder() as folder:
        measured = measure(folder, options.rows)
        measured["peers"] = measure_peers(folder, options.peer_rows)
    rows = [[name, value] for name, value in measured.items() if name != "peers"]
    for peer, values in measured["peers"].items():
        rows.append([peer, ", ".join(f"{name} {value}" for name, value in values.items())])
    report("near_duplicates", options, measured, rows)


class RowFile:
    """Rows in one file, read by their index."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends: list[int] = [0]
        self.planted: Planted = []

    def write(self, count: int, seed: int = 0) -> None:
        """Random rows, with the planted ones."""
        rng = random.Random(seed)  # noqa: S311 - a benchmark's data, not a secret
        words = [
            "".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(rng.choice((2, 2, 3, 3, 4))))
            for _ in range(WORDS)
        ]
        weights = list(accumulate(1 / (place + 10) for place in range(WORDS)))
        with self._path.open("wb") as file:
            for index in range(count):
                text = ""
                if index and rng.random() < 0.2:
                    original = rng.randrange(index)
                    file.flush()
                    text = self._changed(self.text(original), rng)
                    self.planted.append((original, index))
                else:
                    text = " ".join(rng.choices(words, cum_weights=weights, k=CHARACTERS // 3))[:CHARACTERS]
                self._ends.append(self._ends[-1] + file.write(text.encode()))

    def text(self, index: int) -> str:
        """The answer of one row."""
        with self._path.open("rb") as file:
            file.seek(self._ends[index])
            return file.read(self._ends[index + 1] - self._ends[index]).decode()

    def rows_at(self, indexes: Sequence[int]) -> list[Row]:
        """Rows by their index."""
        with self._path.open("rb") as file:
            read: list[Row] = []
            for index in indexes:
                begin, end = self._ends[index], self._ends[index + 1]
                text = os.pread(file.fileno(), end - begin, begin).decode()
                read.append(Row(f"a:{index}", (Message("user", QUESTION), Message("assistant", text))))
        return read

    @staticmethod
    def _changed(text: str, rng: random.Random) -> str:
        changed = list(text)
        changes = rng.choice((0, 1, 2, 3, 4, 5))
        for place in rng.sample(range(len(changed)), changes):
            changed[place] = chr(rng.randrange(0xAC00, 0xD7A4))
        return "".join(changed) if changes else text.replace(" ", "  ") + "."


class PeakMemory:
    """The most memory of its own (mapped files left out) that the process held meanwhile, in MiB."""

    def __enter__(self) -> "PeakMemory":
        self._start = self._anonymous()
        self._most = self._start
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.mib = round(self._most - self._start)

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self._most = max(self._most, self._anonymous())

    @staticmethod
    def _anonymous() -> float:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
        raise AssertionError("the kernel does not tell RssAnon")


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Our own pass over rows in chunks."""
    policy = DuplicatePolicy()
    rows = RowFile(folder / "rows")
    rows.write(count)
    signing = 0.0
    files = []
    for start in range(0, count, CHUNK_ROWS):
        chunk = rows.rows_at(range(start, min(start + CHUNK_ROWS, count)))
        began = time.process_time()
        files.append(folder / f"{start}.npy")
        fingerprint_rows(chunk, policy).save(files[-1])
        signing += time.process_time() - began
    with PeakMemory() as memory:
        began, wall = time.process_time(), time.perf_counter()
        chunks = [Fingerprints.load(file) for file in files]
        scores = np.ones(count, np.float32)
        found = find_duplicates(chunks, scores, rows.rows_at, policy, THRESHOLD)
        finding, wall = time.process_time() - began, time.perf_counter() - wall
    return {
        "rows": count,
        "fingerprints_cpu_s": round(signing, 2),
        "fingerprint_us_per_row": round(signing / count * 1e6, 1),
        "finding_cpu_s": round(finding, 2),
        "finding_wall_s": round(wall, 2),
        "whole_pass_cpu_s": round(signing + finding, 2),
        "peak_mib_beyond_mapped_files": memory.mib,
        **_judged(rows, found),
    }


def _judged(rows: RowFile, found: Duplicates) -> dict[str, Any]:
    """Which of the planted pairs were found, and how many rows were removed that have no such partner."""
    kept = found.kept_by.tolist()
    judged = rows.planted[:: len(rows.planted) // JUDGED_PAIRS + 1]
    due = [(first, second) for first, second in judged if _similarity(rows, first, second) >= THRESHOLD]
    missed = sum(kept[first] != kept[second] for first, second in due)
    # each removed row must be tied to an earlier one by a chain of planted pairs
    cluster = list(range(len(kept)))
    for first, second in rows.planted:
        cluster[second] = cluster[first]
    removed = [index for index, other in enumerate(kept) if other != index]
    wrong = sum(cluster[index] != cluster[kept[index]] for index in removed)
    return {
        "planted_pairs": len(rows.planted),
        "judged_pairs_due": len(due),
        "found_share": round(1 - missed / max(len(due), 1), 5),
        "removed_rows": len(removed),
        "of_them_exact": int((found.reason == Reason.EXACT).sum()),
        "wrong_share": round(wrong / max(len(removed), 1), 5),
    }


def _similarity(rows: RowFile, first: int, second: int) -> float:
    return jaccard(shingles(QUESTION + rows.text(first)), shingles(QUESTION + rows.text(second)))


def measure_peers(folder: Path, count: int) -> dict[str, dict[str, Any]]:
    """The same rows, fewer of them, with other libraries; our own pass first."""
    rows = RowFile(folder / "peer")
    rows.write(count, seed=1)
    read = rows.rows_at(range(count))
    sets = [shingles(QUESTION + row.answer) for row in read]
    due = {pair for pair in rows.planted if jaccard(sets[pair[0]], sets[pair[1]]) >= THRESHOLD}

    ours = DuplicatePolicy()
    fingerprint_rows(read[:1], ours)  # its tables are made once in a process
    began = time.process_time()
    found = find_duplicates([fingerprint_rows(read, ours)], np.ones(count), rows.rows_at, ours, THRESHOLD).kept_by
    seconds = time.process_time() - began
    share = sum(found[first] == found[second] for first, second in due) / max(len(due), 1)
    measured: dict[str, dict[str, Any]] = {
        "ours": {"cpu_s": round(seconds, 3), "found_share": round(share, 4), "times_ours": 1.0}
    }

    peers = {
        "datasketch update": _datasketch,
        "datasketch bulk": _datasketch_bulk,
        "rensa": _rensa,
        "datatrove": _datatrove,
    }
    for name, run in peers.items():
        try:
            began = time.process_time()
            pairs = run(read)
            peer = time.process_time() - began
        except ImportError as error:
            measured[name] = {"skipped": f"{error.name} is not installed here"}
            continue
        share = len(due & pairs) / max(len(due), 1)
        wrong = sum(jaccard(sets[first], sets[second]) < THRESHOLD for first, second in pairs)
        measured[name] = {
            "cpu_s": round(peer, 3),
            "pairs_below_threshold": wrong,
            "found_share": round(share, 4),
            "times_ours": round(peer / seconds, 1),
        }
    return measured


def _text_sets(rows: Sequence[Row]) -> list[list[str]]:
    return [list(shingles(QUESTION + row.answer)) for row in rows]


def _datasketch(rows: Sequence[Row]) -> set[tuple[int, int]]:
    from datasketch import MinHash

    def sign(sets: list[list[str]]) -> list[Any]:
        made = []
        for one in sets:
            signature = MinHash(num_perm=128)
            for shingle in one:
                signature.update(shingle.encode())
            made.append(signature)
        return made

    return _with_lsh(rows, sign)


def _datasketch_bulk(rows: Sequence[Row]) -> set[tuple[int, int]]:
    import xxhash
    from datasketch import MinHash

    return _with_lsh(
        rows,
        lambda sets: MinHash.bulk(
            [[shingle.encode() for shingle in one] for one in sets], num_perm=128, hashfunc=xxhash.xxh32_intdigest
        ),
    )


def _with_lsh(rows: Sequence[Row], sign: Callable[[list[list[str]]], list[Any]]) -> set[tuple[int, int]]:
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=128)
    pairs = set()
    for here, signature in enumerate(sign(_text_sets(rows))):
        pairs |= {(int(other), here) for other in index.query(signature)}
        index.insert(here, signature)
    return pairs


def _rensa(rows: Sequence[Row]) -> set[tuple[int, int]]:
    rensa = import_module("rensa")
    index = rensa.RMinHashLSH(threshold=THRESHOLD, num_perm=128, num_bands=16)
    pairs = set()
    for here, shingle_texts in enumerate(_text_sets(rows)):
        signature = rensa.RMinHash(num_perm=128, seed=42)
        signature.update(shingle_texts)
        pairs |= {(int(other), here) for other in index.query(signature)}
        index.insert(here, signature)
    return pairs


def _datatrove(rows: Sequence[Row]) -> set[tuple[int, int]]:
    # words to normalise and to cut are not needed: shingles are ours
    steps = import_module("datatrove.pipeline.dedup.minhash")
    document = import_module("datatrove.data").Document
    import_module("datatrove.utils.logging").logger.remove()

    class Signature(steps.MinhashDedupSignature):  # type: ignore[misc, name-defined]  # imported where it is installed
        def get_shingles(self, text: str) -> Any:
            hashed = [self._hash_func(shingle.encode()) for shingle in shingles(QUESTION + text)]
            return np.fromiter(hashed, dtype=np.uint64).reshape((-1, 1))

    with TemporaryDirectory() as folder:
        config = steps.MinhashConfig()
        documents = (document(text=row.answer, id=str(here)) for here, row in enumerate(rows))
        Signature(f"{folder}/signatures", config).run(documents)
        buckets = steps.MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/pairs", config=config)
        for rank in range(config.num_buckets):
            buckets.run(rank=rank, world_size=config.num_buckets)
        found = [
            (first, second)
            for path in Path(folder, "pairs").rglob("*.dups")
            for _, first, _, second in struct.iter_unpack("<4I", path.read_bytes())
        ]
    # it tells neighbours in the order of signatures: rows that these tie together are one cluster to it
    cluster = list(range(len(rows)))

    def root(row: int) -> int:
        while cluster[row] != row:
            row = cluster[row]
        return row

    for first, second in found:
        cluster[max(root(first), root(second))] = min(root(first), root(second))
    members: dict[int, list[int]] = {}
    for row in range(len(rows)):
        members.setdefault(root(row), []).append(row)
    return {pair for group in members.values() for pair in combinations(group, 2)}


if __name__ == "__main__":
    main()
