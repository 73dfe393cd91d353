"""An import holds a part of the file only, and is whole or absent whatever is killed when."""

import json
import signal
import subprocess
import sys
import time

import pytest

from contracts.datasets import ImportedDataset
from data_prep.imports.importing import read_imported_rows
from tests.conftest import REPOSITORY_ROOT

IMPORTER = """
import resource, sys
from pathlib import Path
from contracts.datasets import ImportRequest
from data_prep.imports.importing import import_files
folder = Path(sys.argv[1])
print("ready", flush=True)
imported = import_files(
    ImportRequest(dataset_name="demo", input_files=[sys.argv[2]]),
    imports_dir=folder / "imports", relative_to=folder, allowed_roots=[folder], min_free_disk_gb=0.1,
)
print(imported.total_rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, flush=True)
"""


def _write(path, rows: int) -> None:
    answer = "고속도로 통행료 환급은 영업소를 방문하시거나 홈페이지에서 신청하실 수 있습니다. " * 8
    values = ({"question": f"{number}번 영업소의 휴무일은?", "answer": f"{number} {answer}"} for number in range(rows))
    with path.open("w", encoding="utf-8") as stream:
        if path.suffix == ".csv":
            stream.write("question,answer\n")
            stream.writelines(f'{value["question"]},"{value["answer"]}"\n' for value in values)
        elif path.suffix == ".json":
            stream.write("[")
            stream.writelines(
                f"{',' if number else ''}{json.dumps(value, ensure_ascii=False)}" for number, value in enumerate(values)
            )
            stream.write("]")
        else:
            stream.writelines(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def _import(folder, name: str) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTER, str(folder), name],
        cwd=REPOSITORY_ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    rows, peak = done.stdout.splitlines()[1].split()
    return int(rows), int(peak)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["jsonl", "csv", "json"])
def test_memory_does_not_grow_with_the_file(tmp_path, ending):
    peaks = []
    for rows in (20_000, 80_000):
        path = tmp_path / f"rows{rows}.{ending}"
        _write(path, rows)
        imported, peak = _import(tmp_path, path.name)
        assert imported == rows
        peaks.append(peak)

    # 80,000 rows are 64 MB in UTF-8 and more in memory
    assert peaks[1] - peaks[0] < 40, peaks


@pytest.mark.slow
def test_a_killed_import_leaves_nothing_that_counts_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "rows.jsonl"
    _write(path, 20_000)
    for pause in (0.0, 0.05, 0.2, 0.4):
        process = subprocess.Popen(
            [sys.executable, "-c", IMPORTER, str(tmp_path), path.name],
            cwd=REPOSITORY_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        whole = list((tmp_path / "imports").glob("demo-*"))
        assert all((folder / "manifest.json").is_file() for folder in whole)

    assert _import(tmp_path, path.name)[0] == 20_000
    (folder,) = (tmp_path / "imports").glob("demo-*")
    imported = ImportedDataset.model_validate_json((folder / "manifest.json").read_text())
    assert sum(1 for _ in read_imported_rows(imported)) == 20_000
