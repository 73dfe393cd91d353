"""Own processes are told from all others, and ended whatever they do."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cli.processes import await_end, end_processes, is_alive, own_processes
from settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
IGNORES_SIGTERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
LEAVES_A_CHILD = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(child.pid, flush=True); time.sleep(600)"
)


@pytest.fixture
def started():
    processes = []

    def start(code, **variables):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_process_that_ended_and_that_nobody_reaps_is_not_waited_for(started):
    # as where the first process of a container is none that reaps
    code = "import subprocess, time; print(subprocess.Popen(['true']).pid, flush=True); time.sleep(600)"
    parent = started(code)
    assert parent.stdout is not None
    ended = psutil.Process(int(parent.stdout.readline()))
    began = time.monotonic()
    assert await_end([ended], 20) == []
    assert end_processes([ended]) == []
    assert time.monotonic() - began < 10
    assert ended.status() == psutil.STATUS_ZOMBIE


def marks(folder) -> dict[str, str]:
    return {"TUNEWAY_SUPERVISED": "1", "TUNEWAY_DATA_DIR": str(folder)}


def test_only_processes_with_both_marks_of_this_installation_are_ours(tmp_path, started):
    settings = Settings(data_dir=tmp_path / "mine")
    code = "import time; time.sleep(600)"
    mine = started(code, **marks(tmp_path / "mine"))
    started(code, **marks(tmp_path / "the-other-one"))
    started(code, TUNEWAY_DATA_DIR=str(tmp_path / "mine"))
    assert [process.pid for process in own_processes(settings)] == [mine.pid]


def test_a_process_that_ignores_sigterm_is_ended_too(tmp_path, started):
    settings = Settings(data_dir=tmp_path)
    stubborn = started(IGNORES_SIGTERM, **marks(tmp_path))
    assert stubborn.stdout.readline() == "up\n"
    assert end_processes(own_processes(settings), grace_seconds=0.3) == []
    assert _ended(stubborn.pid)


def test_the_children_of_a_killed_process_are_ended_before_its_program_starts_again(tmp_path, started):
    group_file = tmp_path / "groups" / "scheduler.json"
    first = subprocess.Popen(
        [sys.executable, "-m", "cli.run_alone", str(group_file), sys.executable, "-c", LEAVES_A_CHILD],
        env={**os.environ, **marks(tmp_path)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert first.stdout is not None
    left_over = int(first.stdout.readline())
    stranger = started("import time; time.sleep(600)")
    first.kill()
    first.wait()
    first.stdout.close()
    assert Path(f"/proc/{left_over}").exists()
    second = subprocess.run(
        [sys.executable, "-m", "cli.run_alone", str(group_file), "/bin/echo", "started again"],
        env={**os.environ, **marks(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        process_group=0,
    )
    assert second.stdout.splitlines()[-1] == "started again"
    assert f"process {left_over}" in second.stdout
    assert _ended(left_over)
    assert stranger.poll() is None
    assert json.loads(group_file.read_text(encoding="utf-8"))["group"] != first.pid


def _ended(pid) -> bool:
    import psutil

    for _ in range(100):
        try:
            if not is_alive(psutil.Process(pid)):
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
