"""What the preparation of a dataset takes, and its near-duplicate step against plain datasketch.

    python -m benchmarks.preparation

The peer is what datasketch's documentation shows: one MinHash an entry, update() for each character 5-gram, and
MinHashLSH with nothing but the threshold given. Both are held against the exact answer: every pair of rows whose sets
of 5-grams have a Jaccard similarity of the threshold or more. Each measurement is a process of its own.
"""

import argparse
import math
import multiprocessing
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.measuring import REPOSITORY_ROOT, middle, own_folder, parser, peak_mib, report
from contracts.datasets import ImportedDataset, ImportRequest, PrepareRequest
from data_prep.duplicates.exact import find_exact_duplicates
from data_prep.duplicates.near import PERMUTATIONS, _verified_pairs, are_near_duplicates, jaccard, shingles
from data_prep.imports.importing import import_files, read_imported_rows
from data_prep.normalisation import normalise_row
from data_prep.preparing import prepare_rows
from data_prep.rows import Row

CHATBOT = REPOSITORY_ROOT.parent / "shared" / "data" / "chatbot" / "ChatbotData.csv"
DEMO_ROWS = REPOSITORY_ROOT / "demo" / "data" / "regulations.jsonl"
TINY_ROWS = 300

Pairs = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Work:
    """One measured piece of work."""

    seconds: float
    peak_mib: float
    rows: int
    pairs: Pairs
    """Near duplicates that were found: indexes of rows, the smaller first."""


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    default = CHATBOT if CHATBOT.is_file() else DEMO_ROWS
    arguments.add_argument("--input", type=Path, default=default, help=f"a file to import; {default.name} unless given")
    arguments.add_argument("--threshold", type=float, default=0.9)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    if options.tiny:
        options.rounds = 1
    with own_folder() as folder:
        imported = import_files(
            ImportRequest(
                dataset_name="benchmark",
                input_files=[str(options.input.resolve())],
                max_rows=TINY_ROWS if options.tiny else None,
            ),
            imports_dir=folder / "imports",
            relative_to=REPOSITORY_ROOT,
            allowed_roots=[options.input.resolve().parent],
            min_free_disk_gb=0.1,
        )
        _measure(options, imported)


def _measure(options: argparse.Namespace, imported: ImportedDataset) -> None:
    contestants = (prepare_all, find_here, find_plainly)
    works: dict[str, list[Work]] = defaultdict(list)
    for number in range(options.rounds):
        for contestant in contestants if number % 2 == 0 else reversed(contestants):
            works[contestant.__name__].append(_in_own_process(contestant, imported, options.threshold))
    rows = _distinct_rows(imported)
    similar = similar_pairs([_row_shingles(row) for row in rows], options.threshold)
    near = {pair for pair in similar if are_near_duplicates(rows[pair[0]], rows[pair[1]], options.threshold)}
    whole, here, plain = (works[contestant.__name__] for contestant in contestants)
    found = {name: set(works[name][0].pairs) for name in ("find_here", "find_plainly")}
    measured = {
        "preparation": {
            "rows": whole[0].rows,
            "rows_per_second": middle([work.rows / work.seconds for work in whole], 0),
            "seconds": middle([work.seconds for work in whole], 2),
            "peak_mib": middle([work.peak_mib for work in whole], 0),
        },
        "near_duplicates": {
            "rows": len(rows),
            "threshold": options.threshold,
            "pairs_above_threshold": len(similar),
            "of_these_near_duplicates": len(near),
            "here": _found(found["find_here"], here, similar, near),
            "plain_datasketch": _found(found["find_plainly"], plain, similar, near),
            "time_ratio": middle([p.seconds / h.seconds for h, p in zip(here, plain, strict=True)], 2),
        },
    }
    whole_line, near_line = measured["preparation"], measured["near_duplicates"]
    report(
        "preparation",
        options,
        {"input": options.input.name, **measured},
        [
            ("preparation", *whole_line.values()),
            *((name, *near_line[name].values()) for name in ("here", "plain_datasketch")),
        ],
    )


def _found(
    found: set[tuple[int, int]], works: list[Work], similar: set[tuple[int, int]], near: set[tuple[int, int]]
) -> dict[str, float]:
    return {
        "seconds": middle([work.seconds for work in works], 2),
        "peak_mib": middle([work.peak_mib for work in works], 0),
        "pairs": len(found),
        "true_pairs": len(found & similar),
        "wrong_pairs": len(found - similar),
        "near_duplicates": len(found & near),
    }


def _in_own_process(
    work: Callable[[ImportedDataset, float], Work], imported: ImportedDataset, threshold: float
) -> Work:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return replace(process.submit(work, imported, threshold).result(), peak_mib=process.submit(peak_mib).result())


def prepare_all(imported: ImportedDataset, threshold: float) -> Work:
    """Every step from imported rows to split ones, after a first time that has imported Presidio."""
    request = PrepareRequest(import_id=imported.import_id, dataset_name="benchmark", near_duplicate_threshold=threshold)
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        prepare_rows(read_imported_rows(imported), request, {}, imported.total_rows)
        seconds = time.perf_counter() - began
    return Work(seconds, 0, imported.total_rows, [])


def find_here(imported: ImportedDataset, threshold: float) -> Work:
    """The near-duplicate step of data_prep: its verified pairs, from which it makes clusters."""
    import datasketch  # noqa: F401
    import xxhash  # noqa: F401

    rows = _distinct_rows(imported)
    began = time.perf_counter()
    pairs = _verified_pairs(rows, threshold, None)
    return Work(time.perf_counter() - began, 0, len(rows), pairs)


def find_plainly(imported: ImportedDataset, threshold: float) -> Work:
    """The same with datasketch as its documentation shows it."""
    from datasketch import MinHash, MinHashLSH

    rows = _distinct_rows(imported)
    began = time.perf_counter()
    index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
    pairs = []
    for here, row in enumerate(rows):
        signature = MinHash(num_perm=PERMUTATIONS)
        for shingle in _row_shingles(row):
            signature.update(shingle.encode())
        pairs += [(other, here) for other in index.query(signature)]
        index.insert(here, signature)
    return Work(time.perf_counter() - began, 0, len(rows), pairs)


def similar_pairs(sets: Sequence[frozenset[str]], threshold: float) -> set[tuple[int, int]]:
    """Every pair whose Jaccard similarity is the threshold or more, exactly.

    Of two such sets, ordered by rarity, the first n - ceil(threshold · n) + 1 shingles have one in common (prefix
    filtering, Chaudhuri et al. 2006), so that only rows that meet in a rare shingle are compared.
    """
    frequency = Counter(shingle for one in sets for shingle in one)
    meeting: dict[str, list[int]] = defaultdict(list)
    found = set()
    for here, one in enumerate(sets):
        ordered = sorted(one, key=lambda shingle: (frequency[shingle], shingle))
        prefix = ordered[: len(ordered) - math.ceil(threshold * len(ordered)) + 1]
        candidates = {other for shingle in prefix for other in meeting[shingle]}
        found |= {(other, here) for other in candidates if jaccard(sets[other], one) >= threshold}
        for shingle in prefix:
            meeting[shingle].append(here)
    return found


def _distinct_rows(imported: ImportedDataset) -> list[Row]:
    """The rows as they come to the near-duplicate step: normalised, without exact duplicates."""
    rows = [normalise_row(row) for row in read_imported_rows(imported)]
    removed = find_exact_duplicates(rows, [1.0] * len(rows))
    return [row for index, row in enumerate(rows) if index not in removed]


def _row_shingles(row: Row) -> frozenset[str]:
    return shingles("\n".join(message.content for message in row.messages if message.role != "system"))


if __name__ == "__main__":
    main()
