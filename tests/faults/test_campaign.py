"""Ten seeds of the campaign; `python -m tests.faults` runs as many as one likes (docs/reliability.md)."""

import random
from pathlib import Path

import pytest

from tests.faults.campaign import Campaign, harmed
from tests.faults.faults import FAULTS, choose
from tests.faults.site import Site, running_site

SEEDS, AT_ONCE = range(10), 5


@pytest.fixture
def everything_possible(tmp_path) -> Site:
    """A site, not started, on which no fault has an obstacle but those of the machine."""
    clock = tmp_path / "clock"
    clock.write_bytes(bytes(8))
    return Site(None, clock, own_disk=True)  # type: ignore[arg-type]


def test_a_seed_is_the_same_fault_at_the_same_moment_each_time(everything_possible):
    for seed in range(50):
        first, second = choose(seed, everything_possible), choose(seed, everything_possible)
        assert first[:3] == second[:3]
        assert first[3].random() == second[3].random()


def test_as_many_seeds_as_there_are_faults_have_each_one_once(everything_possible):
    possible = {fault.name for fault in FAULTS if fault.obstacle(everything_possible) is None}
    for begin in (0, len(possible)):
        seeds = range(begin, begin + len(possible))
        assert sorted(choose(seed, everything_possible)[0].name for seed in seeds) == sorted(possible)


def test_what_has_rotted_is_another_content_of_the_same_size(tmp_path):
    from tests.faults.faults import _rot

    path: Path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    before = _rot(path, random.Random(0))
    assert before == bytes(1000)
    assert path.stat().st_size == 1000
    assert path.read_bytes() != before


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.timeout(3600)
def test_whole_runs_end_as_they_should_whatever_goes_wrong_and_nothing_is_lost(demo_base_model, tmp_path, capsys):
    with running_site(demo_base_model) as site:
        campaign = Campaign.begin(site, tmp_path)
        with capsys.disabled():
            outcomes = list(campaign.run(SEEDS, AT_ONCE))
    assert len(outcomes) == len(SEEDS)
    assert harmed(outcomes) == {}
    assert campaign.traffic.answered and campaign.traffic.rated, "users were there all the while"
