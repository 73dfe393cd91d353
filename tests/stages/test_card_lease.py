"""A process that is no job has its cards for the length of a block, and nobody's after it was killed."""

import os
import signal
import subprocess
import sys

import pytest

from contracts.enums import LeaseKind
from contracts.errors import CapacityError
from runner.leases import sweep_leases
from stages.card_lease import leased_cards
from stages.launching import cards_in_use
from storage.processes import host_name
from tests.conftest import REPOSITORY_ROOT
from tests.runner.conftest import wait_until

HOLD = """
import time
from contracts.enums import LeaseKind
from stages.card_lease import leased_cards
from stages.services import open_services
with leased_cards("generate-demo", 1, LeaseKind.GENERATION, open_services()):
    time.sleep(600)
"""


def leases(services):
    with services.unit_of_work() as uow:
        return [(lease.kind, lease.gpu_index) for lease in uow.leases.all()]


def sweep(services):
    with services.unit_of_work() as uow:
        sweep_leases(uow, services.settings, host_name())


def test_the_card_is_leased_within_the_block_and_the_sweep_leaves_it(services):
    with leased_cards("generate-demo", 1, LeaseKind.GENERATION, services) as cards:
        assert cards == [0]
        assert leases(services) == [(LeaseKind.GENERATION, 0)]
        sweep(services)
        assert leases(services) == [(LeaseKind.GENERATION, 0)]
        assert cards_in_use(services.settings) == {0}
    assert leases(services) == []
    assert cards_in_use(services.settings) == set()


def test_an_error_within_the_block_gives_the_card_back(services):
    with pytest.raises(ZeroDivisionError), leased_cards("generate-demo", 1, LeaseKind.GENERATION, services):
        1 / 0  # noqa: B018
    assert leases(services) == []


def test_who_finds_no_card_is_told_who_has_them(services):
    with services.unit_of_work() as uow:
        uow.leases.acquire("train-7#1", 2, host_name(), 2)
    with (
        pytest.raises(CapacityError, match="held by train-7#1"),
        leased_cards("generate-demo", 1, LeaseKind.GENERATION, services, wait_seconds=0),
    ):
        pass
    assert leases(services) == [(LeaseKind.TRAINING, 0), (LeaseKind.TRAINING, 1)]


def test_cards_of_model_servers_are_not_given(services):
    kept = type(services)(services.settings.model_copy(update={"serving_gpus": [0]}))
    with leased_cards("generate-demo", 1, LeaseKind.GENERATION, kept) as cards:
        assert cards == [1]


def test_a_killed_holder_loses_its_card_with_the_next_sweep(services):
    holder = subprocess.Popen([sys.executable, "-c", HOLD], cwd=REPOSITORY_ROOT, env={**os.environ})
    try:
        wait_until(lambda: leases(services), "the holder has its card")
        sweep(services)
        assert leases(services) == [(LeaseKind.GENERATION, 0)]
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    folder = services.settings.run_dir / "card-holders"
    (name,) = {path.name.strip(".").partition(".json")[0] for path in folder.iterdir()}
    (folder / f".{name}.json.half.tmp").touch()  # as if the kill had come while it wrote
    sweep(services)
    assert leases(services) == []
    assert cards_in_use(services.settings) == set()
    assert list(folder.iterdir()) == []
