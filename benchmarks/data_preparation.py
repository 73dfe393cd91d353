"""What preparing many rows takes: personal data with names, duplicates, quality, split and statistics, from end to end.

    python -m benchmarks.data_preparation               1,000,000 rows
    tuneway bench data --json                           the same

The rows are made with planted copies and planted personal data (benchmarks/korean_samples.py); what was found is held
against the record of what was planted. Memory is that of the process and its workers, sampled. CPU time is
theirs too, and says more than the clock where others use the machine.
"""

import argparse
import json
import resource
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from benchmarks.korean_samples import Planted, write_samples
from benchmarks.measuring import REPOSITORY_ROOT, own_folder, parser, pss_mib, report
from contracts.data_policy import DataPolicy
from contracts.datasets import ImportRequest, PrepareRequest
from contracts.enums import PersonalDataKind, Split
from data_prep.imports.importing import import_files
from data_prep.preparation.preparing import Preparation, prepare_version
from data_prep.versions.manifest import request_key
from data_prep.versions.reading import read_version_rows
from data_prep.workers import default_workers

ROWS, TINY_ROWS = 1_000_000, 400
THRESHOLD = 0.8
SAMPLED_EVERY_SECONDS = 0.5


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rows", type=int, default=ROWS)
    arguments.add_argument("--workers", type=int, default=default_workers())
    options = arguments.parse_args()
    if options.tiny:
        options.rows = TINY_ROWS
    with own_folder() as folder:
        measured = _measure(options, folder)
    rows = [(name, value) for name, value in measured["steps"].items()]
    report("data_preparation", options, measured, [("whole", measured["seconds"], measured["peak_mib"]), *rows])


def _measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    source = folder / "samples.parquet"
    planted = write_samples(source, options.rows)
    began = time.perf_counter()
    imported = import_files(
        ImportRequest(dataset_name="benchmark", input_files=[str(source)]),
        imports_dir=folder / "imports",
        relative_to=REPOSITORY_ROOT,
        allowed_roots=[folder],
        min_free_disk_gb=0.1,
    )
    import_seconds = time.perf_counter() - began
    request = PrepareRequest(
        import_id=imported.import_id,
        dataset_name="benchmark",
        near_duplicate_threshold=THRESHOLD,
        min_quality_score=0.3,
    )
    policy = DataPolicy()
    preparation = Preparation(
        imported=imported,
        request=request,
        policy=policy,
        request_key=request_key(request, imported, {}, policy),
        workers=options.workers,
    )
    memory = _Memory()
    clock = _Clock(memory)
    with memory:
        began, used = time.perf_counter(), _cpu_seconds()
        version, manifest = prepare_version(preparation, folder / "versions" / "benchmark", clock)
        seconds, cpu_seconds = time.perf_counter() - began, _cpu_seconds() - used
    return {
        "rows": options.rows,
        "workers": options.workers,
        "import_seconds": round(import_seconds, 1),
        "seconds": round(seconds, 1),
        "rows_per_second": round(options.rows / seconds),
        "cpu_seconds": round(cpu_seconds, 1),
        "cpu_ms_per_row": round(1000 * cpu_seconds / options.rows, 3),
        "peak_mib": round(memory.peak),
        "steps": clock.steps(),
        "peak_mib_of_steps": clock.peaks(),
        "removed": manifest.removed,
        "masked": manifest.masked,
        **_compare(planted, version),
    }


def _cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class _Clock:
    """Seconds and memory of each kind of work, by what progress is told."""

    def __init__(self, memory: "_Memory") -> None:
        self._memory = memory
        self._last = time.perf_counter()
        self._seconds: dict[str, float] = defaultdict(float)
        self._peaks: dict[str, float] = defaultdict(float)

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.perf_counter()
        self._seconds[what] += now - self._last
        self._last = now
        self._peaks[what] = max(self._peaks[what], self._memory.present)

    def steps(self) -> dict[str, float]:
        """Rounded."""
        return {what: round(seconds, 1) for what, seconds in self._seconds.items()}

    def peaks(self) -> dict[str, int]:
        """Of what was in use while progress was told."""
        return {what: round(peak) for what, peak in self._peaks.items()}


class _Memory:
    """The most memory that this process and those below it have held at once."""

    def __init__(self) -> None:
        self.peak = self.present = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        import os

        while not self._ended.wait(SAMPLED_EVERY_SECONDS):
            try:
                self.present = pss_mib(os.getpid())
            except OSError:
                continue  # a worker has ended meanwhile
            self.peak = max(self.peak, self.present)


def _compare(planted: list[Planted], version: Path) -> dict[str, Any]:
    """What was planted against what was removed and masked."""
    removed: dict[int, str] = {}
    with (version / "removed.jsonl").open(encoding="utf-8") as stream:
        for line in map(json.loads, stream):
            removed[_row_number(line["row"])] = line["reason"]
    copies = [one for one in planted if one.copy_of is not None]
    groups: dict[int, set[int]] = defaultdict(set)
    for one in copies:
        assert one.copy_of is not None
        groups[one.copy_of] |= {one.copy_of, one.row}
    duplicates = {row for row, reason in removed.items() if reason in {"exact_duplicate", "near_duplicate"}}
    # of a planted group all but one must go; which one stays is the rule's business
    wanted = sum(len(group) - 1 for group in groups.values())
    found = sum(min(len(group & duplicates), len(group) - 1) for group in groups.values())
    wrong = len(duplicates - set().union(*groups.values())) if groups else len(duplicates)
    return {
        "planted_copies": wanted,
        "found_copies": round(found / max(wanted, 1), 4),
        "wrong_copies": round(wrong / max(len(duplicates), 1), 4),
        "personal_data": _personal_data(planted, version),
    }


def _personal_data(planted: list[Planted], version: Path) -> dict[str, float]:
    """Share of the planted values of each kind that are in no row of the version."""
    values = {row.row: row.personal for row in planted if row.personal}
    wanted, left = Counter[str](), Counter[str]()
    for split in Split:
        for prepared in read_version_rows(version, split):
            text = "\n".join(message.content for message in prepared.row.messages)
            for kind, value in values.get(_row_number(prepared.row.row_id), ()):
                wanted[kind] += 1
                left[kind] += value in text
    return {PersonalDataKind[kind].code: round(1 - left[kind] / count, 4) for kind, count in sorted(wanted.items())}


def _row_number(row_id: str) -> int:
    return int(row_id.rpartition(":")[2]) - 1


if __name__ == "__main__":
    main()
