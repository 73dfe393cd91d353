"""The inbox: each file that is whole is taken once, whoever is killed when."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.errors import InvalidRequestError
from data_prep.imports.inbox import (
    TAKEN_FOLDER,
    InboxFile,
    dataset_name_of,
    settled_files,
    take,
    take_settled_files,
    taken_files,
)
from tests.conftest import REPOSITORY_ROOT

AT_ONCE = timedelta(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    return inbox


def seen(path: Path) -> InboxFile:
    status = path.stat()
    return InboxFile(path, status.st_size, status.st_mtime_ns)


def test_a_file_is_settled_when_nobody_has_written_to_it_for_a_while(folder):
    (folder / "rows.csv").write_text("Q,A\n")

    assert settled_files(folder, settled_after=timedelta(minutes=1)) == []
    assert [file.path.name for file in settled_files(folder, settled_after=AT_ONCE)] == ["rows.csv"]


def test_a_copy_that_keeps_its_old_time_is_not_settled_before_it_has_lain_a_while(folder):
    path = folder / "rows.csv"
    path.write_text("Q,A\n")
    os.utime(path, (1, 1))

    assert settled_files(folder, settled_after=timedelta(minutes=1)) == []


def test_hidden_temporary_empty_and_foreign_files_stay(folder):
    for name in (".rows.csv", "~$rows.xlsx", "_rows.csv", "rows.csv.part", "rows.csv.tmp", "rows.hwp", "README"):
        (folder / name).write_text("x")
    (folder / "empty.csv").touch()
    (folder / "folder.csv").mkdir()
    (folder / "link.csv").symlink_to(folder / "README")
    (folder / "rows.jsonl.gz").write_text("x")

    assert [file.path.name for file in settled_files(folder, settled_after=AT_ONCE)] == ["rows.jsonl.gz"]


def test_an_inbox_that_is_not_there_is_empty(folder):
    assert settled_files(folder / "nowhere") == []
    assert taken_files(folder / "nowhere") == []


def test_a_taken_file_is_gone_from_the_inbox_and_not_taken_again(folder):
    (folder / "rows.csv").write_text("Q,A\n")

    (path,) = take_settled_files(folder, settled_after=AT_ONCE)

    assert path.read_text() == "Q,A\n"
    assert path.parent.parent == folder / TAKEN_FOLDER
    assert take_settled_files(folder, settled_after=AT_ONCE) == []
    assert taken_files(folder) == [path]
    assert taken_files(folder, known=[path]) == []


def test_a_name_that_was_taken_before_gets_a_number(folder):
    names = []
    for text in ("first", "second"):
        (folder / "rows.jsonl.gz").write_text(text)
        names += [path.name for path in take_settled_files(folder, settled_after=AT_ONCE)]

    assert names == ["rows.jsonl.gz", "rows-2.jsonl.gz"]
    assert [path.read_text() for path in taken_files(folder)] == ["second", "first"]


def test_a_file_that_changed_after_it_was_seen_stays(folder):
    path = folder / "rows.csv"
    path.write_text("Q,A\n")
    file = seen(path)
    path.write_text("Q,A\n1,2\n")

    assert take(file) is None
    assert path.read_text() == "Q,A\n1,2\n"
    assert taken_files(folder) == []
    assert list((folder / TAKEN_FOLDER).glob("*/*")) == []


def test_of_several_that_try_one_gets_the_file(folder):
    for number in range(50):
        (folder / f"rows{number}.csv").write_text(str(number))
    files = [file for file in settled_files(folder, settled_after=AT_ONCE) for _ in range(4)]

    with ThreadPoolExecutor(8) as threads:
        taken = [path for path in threads.map(take, files) if path is not None]

    assert sorted(path.read_text() for path in taken) == sorted(map(str, range(50)))
    assert sorted(taken_files(folder)) == sorted(taken)


TAKER = """
import sys
from datetime import timedelta
from pathlib import Path
from data_prep.imports.inbox import settled_files, take
print("ready", flush=True)
for file in settled_files(Path(sys.argv[1]), settled_after=timedelta(0)):
    take(file)
"""


@pytest.mark.slow
def test_a_kill_at_any_instant_loses_no_file_and_doubles_none(folder):
    contents = {f"{number} rows" for number in range(400)}
    for text in contents:
        (folder / f"rows{text.split()[0]}.csv").write_text(text)

    for round_number in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", TAKER, str(folder)], cwd=REPOSITORY_ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.002 * round_number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        found = [path.read_text() for path in (*folder.glob("*.csv"), *taken_files(folder))]
        assert sorted(found) == sorted(contents)

    take_settled_files(folder, settled_after=AT_ONCE)
    assert sorted(path.read_text() for path in taken_files(folder)) == sorted(contents)


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("tolls.csv", "tolls"),
        ("tolls__2026-11.csv", "tolls"),
        ("Tolls-2026-11-24.jsonl.gz", "tolls"),
        ("road_tolls 20261124.xlsx", "road_tolls"),
        ("상담 tolls.csv", "tolls"),
    ],
)
def test_the_name_of_a_dropped_file_tells_its_dataset(name, dataset):
    assert dataset_name_of(Path(name)) == dataset


def test_a_name_that_tells_no_dataset_says_what_to_do():
    with pytest.raises(InvalidRequestError, match="rename it"):
        dataset_name_of(Path("상담기록.csv"))
