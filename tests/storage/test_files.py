"""Files that are whole or absent."""

import signal
import subprocess
import sys

import pytest

from storage.files import (
    folder_written_whole,
    read_json,
    sha256_of_folder,
    write_json_atomically,
    write_text_atomically,
)
from tests.conftest import REPOSITORY_ROOT

KILLED_WRITER = """
import os, sys
from pathlib import Path
from storage.files import folder_written_whole
with folder_written_whole(Path(sys.argv[1])) as folder:
    (folder / "part.txt").write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_a_file_is_replaced_as_a_whole_and_leaves_no_temporary_one(tmp_path):
    path = tmp_path / "state.json"
    assert read_json(path) is None
    write_json_atomically(path, {"이름": "값"})
    write_json_atomically(path, {"n": 2})
    assert read_json(path) == {"n": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_an_error_leaves_no_folder(tmp_path):
    with pytest.raises(RuntimeError), folder_written_whole(tmp_path / "version") as folder:
        (folder / "part.txt").write_text("half")
        raise RuntimeError("stop")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_writer_killed_in_the_middle_does_not_block_the_next(tmp_path):
    target = tmp_path / "version"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY_ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not target.exists()

    with folder_written_whole(target) as folder:
        (folder / "part.txt").write_text("whole")
    assert (target / "part.txt").read_text() == "whole"


def test_the_slower_of_two_writers_keeps_the_faster_ones_folder(tmp_path):
    target = tmp_path / "version"
    with folder_written_whole(target) as slow:
        (slow / "a").write_text("same content")
        with folder_written_whole(target) as fast:
            (fast / "a").write_text("same content")
    assert [path.name for path in tmp_path.iterdir()] == ["version"]
    assert (target / "a").read_text() == "same content"


def test_the_hash_of_a_folder_sees_names_and_bytes(tmp_path):
    def made(name: str, file: str, text: str) -> str:
        write_text_atomically(tmp_path / name / file, text)
        return sha256_of_folder(tmp_path / name)

    first = made("one", "a", "x")
    assert made("two", "a", "x") == first
    assert made("three", "b", "x") != first
    assert made("four", "a", "y") != first
