"""Several hosts over one data folder: who is silent is given up, and does no harm when it wakes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from contracts.enums import JobState
from contracts.errors import ConflictError, JobLostError
from runner.hosts import LONGEST_GAP, OtherHosts
from runner.leases import SILENCE
from runner.service import RunnerService
from stages.launching import GPU_IDS_VARIABLE, lease_owner
from storage.files import read_json, write_json_atomically, write_json_once
from storage.job_folder import JobFolder
from storage.job_state import job_view, require_present_attempt
from storage.processes import ATTEMPT_VARIABLE, attempt_mark, identity_of
from tests.conftest import REPOSITORY_ROOT
from tests.runner.conftest import submission, wait_until


class Clock:
    """Time passes where the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def service_of(host, services, monkeypatch):
    for module in ("runner.service", "stages.launching"):
        monkeypatch.setattr(f"{module}.host_name", lambda: host)
    return RunnerService(services)


@pytest.fixture
def hosts(services, monkeypatch):
    """The runners of two hosts, without passes: the test makes them."""
    services.settings.jobs_dir.mkdir(parents=True)

    class Hosts:
        def submit(self, host, **changes):
            return self.runner(host).submit(submission(**changes))

        def runner(self, host):
            if host not in self.__dict__:
                self.__dict__[host] = service_of(host, services, monkeypatch)
            monkeypatch.setattr("stages.launching.host_name", lambda: host)
            return self.__dict__[host]

    return Hosts()


@pytest.fixture
def folder(services):
    return JobFolder(services.settings.jobs_dir / "train-1")


def begin(folder, attempt=1):
    """The launcher has begun; this test's own process stands for it."""
    write_json_atomically(folder.attempt(attempt).launcher, {**identity_of(os.getpid()), "gpu_ids": [0]})
    write_json_atomically(folder.attempt(attempt).heartbeat, {"at": 1})


def listen(others, clock, seconds, step=5.0):
    """Look every five seconds for so long; the jobs given up."""
    given_up = []
    for _ in range(int(seconds / step)):
        clock.now += step
        given_up += [folder.root.name for folder in others.give_up_silent()]
    return given_up


def test_a_job_says_where_it_is_and_only_its_host_follows_it(hosts, folder, services):
    hosts.submit("gpu-1")
    assert hosts.runner("gpu-2").view("train-1").host == "gpu-1"
    hosts.runner("gpu-2").start()
    hosts.runner("gpu-2").close()
    assert "train-1" not in hosts.runner("gpu-2")._followed
    assert job_view(folder).state is JobState.QUEUED


def test_a_silent_host_is_given_up_after_45_seconds_and_the_next_attempt_is_another_hosts(hosts, folder, services):
    hosts.submit("gpu-1")
    begin(folder)
    clock = Clock()
    others = OtherHosts(services.settings, "gpu-2", clock)
    others.give_up_silent()
    assert listen(others, clock, SILENCE.total_seconds() - 5) == []
    assert listen(others, clock, 5) == ["train-1"]
    view = job_view(folder)
    assert (view.state, view.host) == (JobState.LOST, "gpu-1")
    assert view.error is not None
    assert view.error["retryable"]
    assert hosts.submit("gpu-2", attempt=2).host == "gpu-2"


@pytest.mark.parametrize("sign", ["runner", "launcher"])
def test_either_sign_of_life_keeps_a_job_where_it_is(hosts, folder, services, sign):
    hosts.submit("gpu-1")
    begin(folder)
    clock = Clock()
    alive, others = OtherHosts(services.settings, "gpu-1"), OtherHosts(services.settings, "gpu-2", clock)
    for beat in range(20):
        if sign == "runner":
            alive.show_life()
        else:
            write_json_atomically(folder.attempt(1).heartbeat, {"at": beat})
        assert listen(others, clock, 5) == []
    assert listen(others, clock, SILENCE.total_seconds() + 5) == ["train-1"]


def test_who_slept_itself_listens_anew_before_it_judges(hosts, folder, services):
    hosts.submit("gpu-1")
    clock = Clock()
    others = OtherHosts(services.settings, "gpu-2", clock)
    others.give_up_silent()
    clock.now += SILENCE.total_seconds() + LONGEST_GAP.total_seconds()
    assert others.give_up_silent() == []
    assert listen(others, clock, SILENCE.total_seconds()) == ["train-1"]


@pytest.mark.parametrize(("left", "state"), [("result", JobState.SUCCEEDED), ("stop", JobState.STOPPED)])
def test_what_a_silent_host_has_finished_or_was_asked_counts(hosts, folder, services, left, state):
    hosts.submit("gpu-1")
    begin(folder)
    write_json_atomically(folder.result if left == "result" else folder.attempt(1).stop, {})
    clock = Clock()
    others = OtherHosts(services.settings, "gpu-2", clock)
    others.give_up_silent()
    listen(others, clock, SILENCE.total_seconds())
    assert job_view(folder).state is state


def test_a_host_that_wakes_lets_go_of_what_was_taken_from_it(hosts, folder, services):
    hosts.submit("gpu-1")
    write_json_once(folder.attempt(1).exit, {"state": "lost", "exit_code": None, "declared_by": "gpu-2"})
    hosts.submit("gpu-2", attempt=2)
    before = {path: path.read_bytes() for path in folder.root.rglob("*.json")}
    hosts.runner("gpu-1").make_pass()
    assert "train-1" not in hosts.runner("gpu-1")._followed
    assert {path: path.read_bytes() for path in folder.root.rglob("*.json")} == before


def test_the_first_end_of_an_attempt_stays(folder):
    assert write_json_once(folder.attempt(1).exit, {"state": "lost"})
    assert not write_json_once(folder.attempt(1).exit, {"state": "succeeded"})
    assert read_json(folder.attempt(1).exit) == {"state": "lost"}


def test_two_hosts_never_take_the_same_attempt(hosts, folder):
    write_json_atomically(folder.attempt(1).queued, {"at": "2026-11-29T12:00:00+00:00", "host": "gpu-1"})
    with pytest.raises(ConflictError, match="Another host is taking this attempt"):
        hosts.submit("gpu-2")
    an_hour_ago = time.time() - 3600
    os.utime(folder.attempt(1).queued, (an_hour_ago, an_hour_ago))
    assert hosts.submit("gpu-2").host == "gpu-2"


def test_a_waiting_job_is_stopped_by_any_runner_and_ended_by_its_own(hosts, folder):
    hosts.submit("gpu-1")
    assert hosts.runner("gpu-2").stop("train-1", 1).state is JobState.QUEUED
    hosts.runner("gpu-1").make_pass()
    assert job_view(folder).state is JobState.STOPPED


def test_a_job_given_up_has_its_cards_freed_and_its_end_recorded_by_who_gave_it_up(hosts, folder, services):
    hosts.submit("gpu-1")
    with services.unit_of_work() as uow:
        uow.leases.acquire(lease_owner(submission()), 1, "gpu-1", 2)
    begin(folder)
    runner = hosts.runner("gpu-2")
    clock = runner._others._clock = Clock()
    runner._others.give_up_silent()
    for _ in range(9):
        clock.now += 5
        runner._listened_at = -100.0
        runner.make_pass()
    runner.make_pass()
    assert folder.attempt(1).settled.exists()
    with services.unit_of_work() as uow:
        assert uow.leases.of_host("gpu-1") == []


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_of_an_attempt_that_was_given_up_makes_nothing_known(hosts, folder, monkeypatch, rank):
    hosts.submit("gpu-1")
    monkeypatch.setenv(ATTEMPT_VARIABLE, attempt_mark(folder.root, 1, rank))
    require_present_attempt()
    write_json_once(folder.attempt(1).exit, {"state": "lost"})
    with pytest.raises(JobLostError, match="given up while this host was silent"):
        require_present_attempt()


@pytest.mark.slow
def test_a_launcher_that_slept_through_its_end_kills_its_job_without_a_last_word(hosts, folder, services):
    hosts.submit("gpu-1", kind="evaluate", job_key="train-1")
    mark = attempt_mark(folder.root, 1)
    launcher = subprocess.Popen(
        [sys.executable, "-c", SLEEPING_JOB, str(folder.root), "1"],
        cwd=REPOSITORY_ROOT,
        env={**os.environ, ATTEMPT_VARIABLE: mark, GPU_IDS_VARIABLE: "[0]"},
        start_new_session=True,
    )
    try:
        wait_until(lambda: (folder.root / "told").exists(), "the job works")
        child = int((folder.root / "told").read_text())
        os.kill(launcher.pid, signal.SIGSTOP)
        os.kill(child, signal.SIGSTOP)
        write_json_once(folder.attempt(1).exit, {"state": "lost", "declared_by": "gpu-2"})
        os.kill(child, signal.SIGCONT)
        os.kill(launcher.pid, signal.SIGCONT)
        assert launcher.wait(20) == 0
        assert not (folder.root / "asked-to-end").exists()
        assert read_json(folder.attempt(1).exit) == {"state": "lost", "declared_by": "gpu-2"}
    finally:
        launcher.kill()


SLEEPING_JOB = """
import sys
import runner.launcher as launcher
# a job that would answer SIGTERM by a last write, as training does by a checkpoint
work = '''
import os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: (folder / "asked-to-end").write_text("yes"))
(folder / ".told").write_text(str(os.getpid()))
(folder / ".told").rename(folder / "told")
time.sleep(600)
'''
launcher.command_of = lambda submission, folder, attempt: [sys.executable, "-c", work, str(folder.root)]
raise SystemExit(launcher.main(sys.argv[1:]))
"""
