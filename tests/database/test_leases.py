"""Cards under contention: processes that take, give back and die."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from database.unit_of_work import unit_of_work
from tests.conftest import REPOSITORY_ROOT

WORKERS, CARDS, ROUNDS = 3, 3, 10

WORKER = """
import fcntl, os, random, sys, time
from pathlib import Path
from database.unit_of_work import unit_of_work

url, folder, seed, cards, rounds = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])
chance = random.Random(seed)
owner = f"{os.getpid()}#1"
taken = 0
while taken < rounds:
    with unit_of_work(url) as uow:
        mine = uow.leases.acquire(owner, chance.randint(1, 2), "host", cards)
    if mine is None:
        time.sleep(0.005)
        continue
    taken += 1
    held = [os.open(folder / f"card-{card}", os.O_RDWR | os.O_CREAT) for card in mine]
    for descriptor in held:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it when its holder dies
        except BlockingIOError:
            (folder / f"two-holders-{owner}").touch()
    time.sleep(chance.random() * 0.01)
    if chance.random() < 0.15:
        os.kill(os.getpid(), 9)
    with unit_of_work(url) as uow:
        if chance.random() < 0.1:  # inside the transaction
            uow.leases.release(owner)
            os.kill(os.getpid(), 9)
        for descriptor in held:
            os.close(descriptor)
        uow.leases.release(owner)
"""


@pytest.mark.slow
def test_a_card_never_has_two_holders_however_they_die_and_the_dead_give_theirs_back(database_url, tmp_path: Path):
    def start(seed):
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, database_url, str(tmp_path), str(seed), str(CARDS), str(ROUNDS)],
            cwd=REPOSITORY_ROOT,
        )

    seed, deaths, finished = WORKERS, 0, 0
    workers = [start(number) for number in range(WORKERS)]
    deadline = time.monotonic() + 240
    while finished < WORKERS:
        assert time.monotonic() < deadline, "somebody never got its cards"
        ended = [worker for worker in workers if worker.poll() is not None]
        for worker in ended:
            workers.remove(worker)
            if worker.returncode == 0:
                finished += 1
            else:
                assert worker.returncode == -9
                deaths += 1
                if deaths <= 2 * WORKERS:
                    seed += 1
                    workers.append(start(seed))
                else:
                    finished += 1
            # the sweep: its holder is dead, as its host can see
            with unit_of_work(database_url) as uow:
                uow.leases.release(f"{worker.pid}#1")
        time.sleep(0.02)
    assert deaths > 0
    assert list(tmp_path.glob("two-holders-*")) == []
    with unit_of_work(database_url) as uow:
        assert uow.leases.all() == []
