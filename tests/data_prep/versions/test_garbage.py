"""Garbage is what nothing refers to; a referenced part is never touched, whoever writes or is killed meanwhile."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from contracts.enums import Split
from contracts.errors import ConflictError, InvalidDataError
from data_prep.versions.garbage import collect_garbage
from data_prep.versions.manifest import load_manifest
from data_prep.versions.objects import ObjectStore
from data_prep.versions.reading import read_version_rows
from data_prep.versions.references import commit_folder, commits, create_branch, create_tag, delete_branch, head
from data_prep.versions.verifying import verify
from data_prep.versions.writing import VersionWriter
from tests.conftest import REPOSITORY_ROOT
from tests.data_prep.versions.builders import commit, row, rows

NO_TIME = timedelta(0)


@pytest.fixture
def name_dir(tmp_path):
    return tmp_path / "demo"


def deleted_branch(name_dir):
    base = commit(name_dir, rows(range(20)))
    create_branch(name_dir, "trial", base.commit)
    lost = commit(name_dir, [row("only here")], "trial")
    delete_branch(name_dir, "trial")
    return base, lost


def test_a_commit_without_a_branch_goes_with_its_own_parts_only(name_dir):
    base, lost = deleted_branch(name_dir)

    told = collect_garbage(name_dir, kept_for=NO_TIME)

    assert told.commits == [lost.commit]
    assert told.parts == 2
    assert set(commits(name_dir)) == {base.commit}
    assert verify(name_dir).damaged == []
    assert ObjectStore(name_dir).digests() == {part.sha256 for parts in base.parts.values() for part in parts}


def test_a_dry_run_tells_the_same_and_removes_nothing(name_dir):
    _, lost = deleted_branch(name_dir)

    told = collect_garbage(name_dir, kept_for=NO_TIME, dry_run=True)

    assert lost.commit in commits(name_dir)
    assert collect_garbage(name_dir, kept_for=NO_TIME).model_dump(exclude={"dry_run"}) == told.model_dump(
        exclude={"dry_run"}
    )


def test_a_tag_keeps_a_commit_and_everything_before_it(name_dir):
    base = commit(name_dir, rows(range(20)))
    create_branch(name_dir, "trial", base.commit)
    middle = commit(name_dir, [row("one")], "trial")
    end = commit(name_dir, [row("two")], "trial")
    create_tag(name_dir, "keep", end.commit)
    delete_branch(name_dir, "trial")

    assert collect_garbage(name_dir, kept_for=NO_TIME).commits == []
    assert set(commits(name_dir)) == {base.commit, middle.commit, end.commit}


def test_a_version_that_somebody_else_needs_is_kept(name_dir):
    _, lost = deleted_branch(name_dir)

    told = collect_garbage(name_dir, kept_for=NO_TIME, needed_folders=[commit_folder(name_dir, lost.commit)])

    assert told.commits == []


def test_a_commit_that_has_lost_its_branch_lately_is_kept_for_a_while(name_dir):
    deleted_branch(name_dir)

    assert collect_garbage(name_dir).commits == []


def test_what_a_killed_writer_left_is_removed_at_once(name_dir):
    made = commit(name_dir, rows(range(20)))
    left = name_dir / ".0123.tmp"
    left.mkdir()
    (left / "removed.jsonl").write_text("{}")
    (name_dir / "objects" / ".abc.tmp").write_bytes(b"half a part")

    told = collect_garbage(name_dir)

    assert (told.unfinished, told.freed_bytes) == (2, 13)
    assert not left.exists()
    assert verify(name_dir).damaged == []
    assert head(name_dir) == made.commit


def test_no_garbage_is_collected_while_a_version_is_written(name_dir):
    commit(name_dir, rows(range(20)))

    with VersionWriter(name_dir) as writer:
        writer.add([row("half")])
        with pytest.raises(ConflictError, match="being written"):
            collect_garbage(name_dir, kept_for=NO_TIME)


def test_nothing_is_removed_from_a_store_that_lacks_a_part(name_dir):
    base, lost = deleted_branch(name_dir)
    ObjectStore(name_dir).path(base.parts["train"][0].sha256).unlink()

    with pytest.raises(InvalidDataError, match="nothing was removed"):
        collect_garbage(name_dir, kept_for=NO_TIME)
    assert lost.commit in commits(name_dir)


WRITER = """
import sys
from pathlib import Path
from tests.data_prep.versions.builders import commit, row
name_dir = Path(sys.argv[1])
print("ready", flush=True)
for number in range(int(sys.argv[2]), 10_000):
    commit(name_dir, [row(str(i)) for i in range(3_000 + number * 10)], request_key=str(number))
    print(number, flush=True)
"""


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=REPOSITORY_ROOT,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_after(process, seconds):
    """Returns the numbers of the commits that the process reported."""
    assert process.stdout.readline() == "ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    reported = process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    return [int(line) for line in reported if line.isdecimal()]


@pytest.mark.slow
def test_a_writer_killed_at_any_instant_loses_nothing_that_was_committed(name_dir):
    number, finished = 0, 0
    for kill in range(60):
        if kill >= 6 and finished >= 3:
            break
        # later and later, until also a busy machine has finished some
        reported = kill_after(start(WRITER, name_dir, number), 0.15 + 0.07 * kill)
        number += len(reported) + 1
        finished += len(reported)

        assert verify(name_dir).damaged == []
        if finished:
            newest = load_manifest(commit_folder(name_dir, head(name_dir) or ""))
            assert sum(1 for _ in read_version_rows(commit_folder(name_dir, newest.commit), Split.TRAIN)) == (
                newest.total_samples
            )
        if kill % 3 == 2:
            collect_garbage(name_dir, kept_for=NO_TIME)
            assert list(name_dir.glob(".*.tmp")) == []
            assert verify(name_dir).damaged == []
    assert finished >= 3
    # a commit whose branch was not reached before the kill may have gone with the garbage; no reported one has
    assert len(commits(name_dir)) >= finished


COLLECTOR = """
import sys
from datetime import timedelta
from pathlib import Path
from contracts.errors import ConflictError
from data_prep.versions.garbage import collect_garbage
print("ready", flush=True)
collected = 0
while True:
    try:
        collect_garbage(Path(sys.argv[1]), kept_for=timedelta(0))
        collected += 1
        print(collected, flush=True)
    except ConflictError:
        pass
"""


@pytest.mark.slow
def test_collecting_beside_two_writers_that_are_killed_touches_nothing_that_is_referenced(name_dir):
    commit(name_dir, [row("first")])
    collections = 0
    for round_number in range(4):
        collector = start(COLLECTOR, name_dir)
        writers = [start(WRITER, name_dir, 1_000 * (2 * round_number + offset)) for offset in (1, 2)]
        for writer in writers:
            kill_after(writer, 0.6 + 0.2 * round_number)
        collections += len(kill_after(collector, 0.2))

        assert verify(name_dir).damaged == []
        assert load_manifest(commit_folder(name_dir, head(name_dir) or "")).total_samples >= 1
    assert collections >= 1
    collect_garbage(name_dir, kept_for=NO_TIME)
    assert verify(name_dir).damaged == []
