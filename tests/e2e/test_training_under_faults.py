"""Ten seeds of the campaign of tests/faults, on the platform that has run the demo."""

import pytest

from tests.e2e.conftest import DEMO_RUN
from tests.faults.campaign import Campaign, harmed
from tests.faults.site import Site

SEEDS, AT_ONCE = range(10), 5


@pytest.mark.deep
@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.timeout(3600)
def test_trainings_end_as_they_should_whatever_goes_wrong_and_nothing_is_lost(installation, demo, tmp_path, capsys):
    dataset = installation.summary(DEMO_RUN)["dataset_id"]
    campaign = Campaign.training(Site(installation, None, own_disk=False), tmp_path, dataset)
    with capsys.disabled():
        outcomes = list(campaign.run(SEEDS, AT_ONCE))
    assert len(outcomes) == len(SEEDS)
    assert harmed(outcomes) == {}
    assert {outcome.state for outcome in outcomes} == {"green"}
    assert campaign.traffic.answered and campaign.traffic.rated, "users were there all the while"
