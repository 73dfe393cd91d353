"""Under one key a call is carried out once: by threads, by processes, and after a kill."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from contracts.errors import ConflictError, InProgressError, InvalidRequestError, UnavailableError
from contracts.identity import AccountKind, Role
from contracts.record import Record
from stages.once import once
from tests.conftest import REPOSITORY_ROOT

pytestmark = pytest.mark.slow


class Made(Record):
    number: int


@pytest.fixture
def users(services):
    with services.unit_of_work() as uow:
        return [
            uow.users.add(name, kind=AccountKind.SERVICE, role=Role.ADMIN, projects=[], password_hash=None).user_id
            for name in ("ci", "nightly")
        ]


def never():
    raise AssertionError("carried out a second time")


def test_the_same_key_twice_is_one_call_with_one_answer(services, users):
    assert once(users[0], "k", "f", lambda: Made(number=7), Made, services).number == 7
    assert once(users[0], "k", "f", never, Made, services).number == 7
    # another account's key is another key
    assert once(users[1], "k", "f", lambda: Made(number=8), Made, services).number == 8


def test_another_body_under_the_same_key_is_refused(services, users):
    once(users[0], "k", "one", lambda: Made(number=7), Made, services)
    with pytest.raises(InvalidRequestError, match="another call"):
        once(users[0], "k", "other", never, Made, services)


def test_a_refused_call_leaves_its_key_free_and_one_that_may_succeed_keeps_it(services, users):
    def refuse(error):
        def act():
            raise error

        return act

    with pytest.raises(ConflictError):
        once(users[0], "k", "one", refuse(ConflictError("no")), Made, services)
    with pytest.raises(UnavailableError):
        once(users[0], "k", "other", refuse(UnavailableError("later")), Made, services)
    with pytest.raises(InvalidRequestError):
        once(users[0], "k", "one", never, Made, services)
    assert once(users[0], "k", "other", lambda: Made(number=1), Made, services).number == 1


def test_an_answer_that_is_not_final_is_asked_for_again(services, users):
    numbers = iter([1, 2, 3])

    def act():
        return Made(number=next(numbers))

    found = [
        once(users[0], "k", "f", act, Made, services, is_final=lambda made: made.number == 2).number for _ in range(3)
    ]
    assert found == [1, 2, 2]


def test_of_many_callers_at_once_one_works_and_nobody_waits_for_a_connection(services, users):
    """More keys at once than the ordinary pool has connections, each of them needed while another is held."""
    done: list[str] = []
    together = threading.Barrier(32)

    def call(number):
        key = f"k{number % 16}"

        def act():
            with services.unit_of_work() as uow:
                uow.session.execute(text("SELECT pg_sleep(0.2)"))
            done.append(key)
            return Made(number=number % 16)

        together.wait()
        try:
            return once(users[0], key, "f", act, Made, services).number
        except InProgressError:
            return None

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(call, range(32)))
    assert sorted(done) == sorted(f"k{number}" for number in range(16))
    assert {number: answer for number, answer in enumerate(answers) if answer not in {None, number % 16}} == {}
    assert len([answer for answer in answers if answer is not None]) >= 16


CALLER = """
import sys, time
from pathlib import Path
from contracts.errors import InProgressError
from contracts.record import Record
from stages.once import once
from stages.services import open_services

class Made(Record):
    number: int

user, effects, go, blocks = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4] == "blocks"
services = open_services()

def act():
    with effects.open("a") as stream:
        stream.write("done\\n")
    if blocks:
        time.sleep(600)
    return Made(number=1)

print("ready", flush=True)
while not go.exists():
    time.sleep(0.005)
try:
    print(once(user, "k", "f", act, Made, services).number)
except InProgressError as error:
    print(error.code)
"""


def start_caller(user, effects, go, kind):
    return subprocess.Popen(
        [sys.executable, "-c", CALLER, str(user), str(effects), str(go), kind],
        cwd=REPOSITORY_ROOT,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_it_is_exact_across_processes(services, users, tmp_path):
    effects, go = tmp_path / "effects", tmp_path / "go"
    callers = [start_caller(users[0], effects, go, "ends") for _ in range(3)]
    for caller in callers:
        assert caller.stdout.readline() == "ready\n"
    go.touch()
    answers = [caller.communicate(timeout=120)[0].strip() for caller in callers]
    assert effects.read_text() == "done\n"
    assert "1" in answers and set(answers) <= {"1", "in_progress"}


def test_a_process_killed_before_its_answer_leaves_the_call_to_be_repeated(services, users, tmp_path):
    effects, go = tmp_path / "effects", tmp_path / "go"
    go.touch()
    killed = start_caller(users[0], effects, go, "blocks")
    deadline = time.monotonic() + 120
    while not effects.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(InProgressError):
        once(users[0], "k", "f", never, Made, services)

    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    while True:
        try:
            again = once(users[0], "k", "f", lambda: Made(number=2), Made, services)
            break
        except InProgressError:
            assert time.monotonic() < deadline, "the dead process's lock is still there"
            time.sleep(0.05)
    assert again.number == 2
    assert once(users[0], "k", "f", never, Made, services).number == 2
