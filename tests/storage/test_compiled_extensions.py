"""A compilation that was killed does not keep later jobs waiting."""

import subprocess
import sys
from pathlib import Path

from storage.compiled_extensions import extensions_folder, remove_abandoned_locks
from storage.processes import start_ticks
from tests.runner.conftest import wait_until

COMPILES = (
    "import os, sys, time; os.open(sys.argv[1], os.O_CREAT | os.O_EXCL);print('compiling', flush=True); time.sleep(600)"
)


def compile_in_a_process(lock: Path) -> subprocess.Popen[str]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, "-c", COMPILES, str(lock)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "compiling\n"
    return process


def test_a_lock_goes_when_its_process_was_killed_and_stays_while_it_compiles(tmp_path):
    lock = tmp_path / "deepspeed_shm_comm" / "lock"
    process = compile_in_a_process(lock)
    try:
        assert remove_abandoned_locks(tmp_path) == []
        assert lock.exists()
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: start_ticks(process.pid) is None, "the process is gone", 10)
    assert remove_abandoned_locks(tmp_path) == [lock]
    assert not lock.exists()


def test_extensions_of_another_torch_lie_apart(tmp_path):
    folder = extensions_folder(tmp_path)
    assert folder.is_dir()
    assert folder.parent == tmp_path / "torch_extensions"
    assert "torch-" in folder.name
