"""The clock of a campaign: it moves what processes read, and nobody waits longer or shorter for it."""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.site import make_clock

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler (Debian: gcc, libc6-dev)")

WAITS = """
import ctypes, json, time

class Moment(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]

library = ctypes.CDLL(None)
until = Moment(0, 0)
mutex, condition, semaphore = (ctypes.create_string_buffer(64) for _ in range(3))
library.pthread_mutex_lock(mutex)

def in_half_a_second():
    now = time.time() + 0.5
    until.seconds, until.nanoseconds = int(now), int(now % 1 * 1e9)
    return ctypes.byref(until)

begun = time.monotonic()
library.pthread_cond_timedwait(condition, mutex, in_half_a_second())
by_condition = time.monotonic() - begun
library.sem_timedwait(semaphore, in_half_a_second())
print(json.dumps([time.time(), by_condition, time.monotonic() - begun - by_condition]))
"""


def moved(folder: Path, seconds: int) -> list[float]:
    """What a process reads as the time, and how long it waits for a condition and a semaphore, in seconds."""
    clock = make_clock(folder)
    assert clock is not None
    clock.write_bytes(struct.pack("<q", seconds))
    variables = os.environ | {"LD_PRELOAD": str(clock.with_suffix(".so")), "TUNEWAY_TEST_CLOCK": str(clock)}
    ended = subprocess.run(
        [sys.executable, "-c", WAITS], env=variables, check=True, capture_output=True, text=True, timeout=60
    )
    return [float(value) for value in ended.stdout.strip("[]\n").split(",")]


@pytest.mark.parametrize("seconds", [0, -600, 3600])
def test_a_process_reads_the_moved_time_and_waits_as_long_as_it_meant_to(tmp_path, seconds):
    before = subprocess.run(["date", "+%s"], check=True, capture_output=True, text=True)
    read, by_condition, by_semaphore = moved(tmp_path, seconds)
    assert 0 <= read - seconds - int(before.stdout) < 30
    assert 0.4 < by_condition < 20
    assert 0.4 < by_semaphore < 20
