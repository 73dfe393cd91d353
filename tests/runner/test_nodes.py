"""Cards on several hosts at once, and what the parts of an attempt see of each other."""

import os
import subprocess
from datetime import timedelta

import pytest

from contracts.enums import LeaseKind
from contracts.errors import InvalidRequestError, JobLostError
from contracts.nodes import AnnouncedHost, NodePart, NodePlan, WantedNodes
from contracts.record import utc_now
from runner.nodes import Nodes
from runner.parts import SILENCE_SECONDS, LeadingPart, OtherParts, torchrun_options
from stages.nodes import announced_hosts, check_nodes, choose_hosts, hosts_dir
from storage.files import read_json, write_json_atomically, write_text_atomically
from storage.job_folder import JobFolder
from storage.processes import host_name, identity_of
from tests.runner.conftest import submission
from training.lost_processes import lost_process_error


def host(name, cards=(0, 1), card="H100", **given):
    return AnnouncedHost(host=name, address=f"{name}.site", cards=list(cards), card=card, updated_at=utc_now(), **given)


def announce(settings, *hosts):
    for one in hosts:
        write_json_atomically(hosts_dir(settings) / f"{one.host}.json", one.model_dump(mode="json"))


def owners(services):
    with services.unit_of_work() as uow:
        return sorted((lease.host, lease.gpu_index, lease.owner) for lease in uow.leases.all())


@pytest.fixture
def nodes(services):
    """This host and two others, of two cards each."""
    announce(services.settings, host(host_name()), host("b"), host("c"))
    made = Nodes(services.settings, host_name(), gpus=0)
    made._hosts = announced_hosts(services.settings)
    return made


def test_a_job_gets_its_cards_on_all_hosts_or_on_none(nodes, services):
    job = submission(num_nodes=3, num_gpus=2)
    with services.unit_of_work() as uow:
        uow.leases.acquire("other#1", 1, "c", 2)
    assert nodes.acquire(job, services.unit_of_work) is None
    assert owners(services) == [("c", 0, "other#1")]
    with services.unit_of_work() as uow:
        uow.leases.release("other#1")
    plan = nodes.acquire(job, services.unit_of_work)
    assert [part.host for part in plan.parts] == [host_name(), "b", "c"]
    assert len(owners(services)) == 6
    assert nodes.acquire(job, services.unit_of_work) == plan


def test_a_job_goes_where_cards_are_free_and_back_to_where_it_has_begun():
    hosts = [host("a"), host("b"), host("c")]
    assert [one.host for one in choose_hosts(2, 2, hosts, {"b": 0, "c": 2}, set(), "a")] == ["a", "c"]
    assert [one.host for one in choose_hosts(2, 2, hosts, {"b": 0, "c": 2}, {"b"}, "a")] == ["a", "b"]
    assert [one.host for one in choose_hosts(2, 2, [host("a"), host("b", card="A100")], {}, set(), "a")] == ["a"]


@pytest.mark.parametrize(
    ("num_nodes", "num_gpus", "hosts", "says"),
    [
        (3, 1, [host("a"), host("b")], "a: 2 x H100; b: 2 x H100"),
        (2, 2, [host("a"), host("b", cards=(0,))], "b: 1 x H100"),
        (2, 1, [host("a"), host("b", card="A100")], "of the same kind"),
        (2, 1, [], "none that announces itself"),
    ],
)
def test_hosts_that_cannot_train_together_are_one_error(services, num_nodes, num_gpus, hosts, says):
    # the parameters were made when the tests were read, which may be longer ago than a host may be silent
    announce(services.settings, *(one.model_copy(update={"updated_at": utc_now()}) for one in hosts))
    with pytest.raises(InvalidRequestError, match=says):
        check_nodes(num_nodes, num_gpus, services.settings)


def test_a_host_that_has_been_silent_is_not_counted(services):
    announce(
        services.settings, host("a"), host("b").model_copy(update={"updated_at": utc_now() - timedelta(seconds=60)})
    )
    assert [one.host for one in announced_hosts(services.settings)] == ["a"]
    check_nodes(1, 1, services.settings)
    with pytest.raises(InvalidRequestError):
        check_nodes(2, 1, services.settings)


def test_every_host_keeps_cards_for_the_same_job(services):
    def wanted(key, hosts, minutes):
        queued_at = utc_now() - timedelta(minutes=minutes)
        return WantedNodes(job_key=key, hosts=hosts, cards=2, priority="normal", project="tolls", queued_at=queued_at)

    here = host_name()
    announce(
        services.settings,
        host(here, wanted=wanted("train-1", [here, "b"], 1)),
        host("b", wanted=wanted("train-2", ["b", here], 2)),
    )
    nodes = Nodes(services.settings, here, gpus=0)
    nodes._hosts = announced_hosts(services.settings)
    first = nodes.first_wanted()
    assert first is not None
    assert first.job_key == "train-2"
    assert [job.key for job in nodes.wanted_here()] == ["train-2"]


@pytest.fixture
def part(services, monkeypatch):
    """This host's part of a job that another host leads: its folder, a look of the runner, and the launchers begun."""
    job = submission(num_nodes=2)
    folder = JobFolder(services.settings.jobs_dir / job.job_key)
    parts = [NodePart(host="b", address="b.site", cards=[0]), NodePart(host=host_name(), address="a.site", cards=[1])]
    write_json_atomically(folder.submission, job.model_dump(mode="json"))
    write_json_atomically(folder.attempt(1).nodes, NodePlan(parts=parts, port=29500).model_dump(mode="json"))
    with services.unit_of_work() as uow:
        uow.leases.restore("train-1#1", [0], "b", LeaseKind.TRAINING)
        uow.leases.restore("train-1#1", [1], host_name(), LeaseKind.TRAINING)
    begun: list[subprocess.Popen[bytes]] = []

    def begin(*_, rank):
        assert rank == 1
        begun.append(subprocess.Popen(["sleep", "60"]))
        return begun[-1]

    monkeypatch.setattr("runner.nodes.start_launcher", begin)
    nodes = Nodes(services.settings, host_name(), gpus=0)

    def look(by=nodes):
        with services.unit_of_work() as uow:
            by.look_for_parts(uow, set())

    yield folder.attempt(1).part(1), look, begun
    for process in begun:
        process.kill()
        process.wait()


def test_a_part_is_begun_once_and_its_cards_come_back_with_its_end(part, services):
    files, look, begun = part
    look()
    look()
    assert len(begun) == 1
    write_json_atomically(files.launcher, {**identity_of(begun[0].pid), "gpu_ids": [1]})
    after_a_restart = Nodes(services.settings, host_name(), gpus=0)
    look(after_a_restart)
    assert len(begun) == 1
    assert after_a_restart.living_parts({"train-1#1"}) == {"train-1#1": [1]}
    write_json_atomically(files.exit, {"exit_code": 0})
    look(after_a_restart)
    assert owners(services) == [("b", 0, "train-1#1")]


def test_a_part_whose_launcher_vanished_has_its_end_written(part, services):
    files, look, begun = part
    look()
    write_json_atomically(files.launcher, {**identity_of(begun[0].pid), "gpu_ids": [1]})
    begun[0].kill()
    begun[0].wait()
    look()
    assert (read_json(files.exit) or {})["exit_code"] is None
    look()
    assert owners(services) == [("b", 0, "train-1#1")]


def test_a_part_is_not_begun_on_a_card_that_a_living_process_has(part, services):
    _, look, begun = part
    other = submission(job_key="train-2")
    folder = JobFolder(services.settings.jobs_dir / other.job_key)
    write_json_atomically(folder.submission, other.model_dump(mode="json"))
    write_json_atomically(folder.attempt(1).launcher, {**identity_of(os.getpid()), "gpu_ids": [1]})
    look()
    assert begun == []


@pytest.fixture
def attempt(tmp_path):
    folder = JobFolder(tmp_path / "train-1").attempt(1)
    parts = [NodePart(host=name, address=f"{name}.site", cards=[0]) for name in ("a", "b")]
    write_json_atomically(folder.nodes, NodePlan(parts=parts, port=29500).model_dump(mode="json"))
    return folder


def test_a_part_that_failed_or_is_silent_is_lost_and_one_that_has_done_its_work_is_not(attempt):
    now = 0.0
    others = OtherParts(attempt, clock=lambda: now)
    assert others.lost() is None
    now = SILENCE_SECONDS - 1
    write_json_atomically(attempt.part(1).heartbeat, {"at": "1"})
    assert others.lost() is None
    now = 2 * SILENCE_SECONDS
    assert "The host b is silent" in str(others.lost())
    write_json_atomically(attempt.part(1).exit, {"exit_code": 0})
    assert others.lost() is None
    write_json_atomically(attempt.part(1).exit, {"exit_code": 137})
    assert "The part on b has ended. Got: exit code 137" in str(others.lost())


def test_a_part_ends_with_the_leading_process_and_with_its_silence(attempt):
    now = 0.0
    leading = LeadingPart(attempt, clock=lambda: now)
    assert leading.ended() is None
    now = SILENCE_SECONDS + 1
    assert "silent for 46 s" in str(leading.ended())
    write_json_atomically(attempt.heartbeat, {"at": "1"})
    assert leading.ended() is None
    write_text_atomically(attempt.over, "0")
    assert leading.ended() == "the leading host's process has ended"
    assert leading.succeeded()


def test_every_host_is_told_the_same_meeting_place_and_its_own_rank(attempt):
    job = submission(num_nodes=2, num_gpus=4)
    first, second = (torchrun_options(job, attempt, rank) for rank in (0, 1))
    for options in (first, second):
        assert options[options.index("--master-addr") + 1] == "a.site"
        assert options[options.index("--nproc-per-node") + 1] == "4"
    assert [options[options.index("--node-rank") + 1] for options in (first, second)] == ["0", "1"]


def test_an_exchange_that_broke_off_is_a_lost_process_and_an_error_of_our_own_is_not(monkeypatch):
    broken = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [10.0.0.2]:4242")
    assert lost_process_error(broken) is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert isinstance(lost_process_error(broken), JobLostError)
    assert lost_process_error(RuntimeError("shapes do not match")) is None
