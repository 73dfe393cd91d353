"""A test of three arms behind the router: who is where, who moves when an arm is dropped, and what is kept of it."""

from contextlib import ExitStack

import httpx
import pytest

from ab_testing.assignment import user_key
from contracts.arms import DropCause, RequestedArm
from contracts.enums import Arm
from contracts.experiments import ABExperiment, StartABTestRequest
from contracts.record import utc_now
from contracts.traffic import TrafficPlan
from serving_api.routing import RunningExperiment, table_at
from serving_api.serving_state import read_state
from tests.serving_api.running import add_model, running_service, stored_answers, table_of, wait_until
from tests.serving_api.upstream import running_upstream

QUESTION = [{"role": "user", "content": "통행료는 얼마입니까?"}]
KEY = "a key of the test"
USERS = [f"user-{number}" for number in range(400)]


def three_arms(services, urls: list[str], **changes) -> ABExperiment:
    names = ("now", "large", "small")
    models = [
        add_model(services, "m", str(number), f"m-{name}", url, Arm.B)
        for number, (name, url) in enumerate(zip(names, urls, strict=True))
    ]
    arms = [RequestedArm(name=name, model_id=model.model_id) for name, model in zip(names, models, strict=True)]
    with services.unit_of_work() as uow:
        started: ABExperiment = uow.experiments.start(
            StartABTestRequest(experiment_name="spring", arms=arms, **changes)
        )
    return started


def dropped(services, experiment: ABExperiment, arm: str) -> RunningExperiment:
    """As the router has it afterwards."""
    with services.unit_of_work() as uow:
        uow.experiments.drop_arm(experiment.experiment_id, arm, utc_now(), DropCause.WORSE, "worse")
    return table_of(services).experiments[0]


def test_a_drop_moves_the_users_of_that_arm_alone_and_leaves_the_rest_of_the_table(services):
    experiment = three_arms(services, ["http://127.0.0.1:1/v1"] * 3)
    before = table_of(services)
    running = before.experiments[0]
    first = {user: running.assign(KEY, user) for user in USERS}
    after = dropped(services, experiment, "large")
    second = {user: after.assign(KEY, user) for user in USERS}
    assert list(after.arms) == ["now", "small"]
    assert {user for user in USERS if first[user] != second[user]} == {user for user in USERS if first[user] == "large"}
    assert set(second.values()) == {"now", "small"}
    assert table_of(services).version != before.version
    # without shares the present model gets √2 of 2 + √2 parts
    assert [round(arm.share, 3) for arm in experiment.arms] == [0.414, 0.293, 0.293]


def test_a_tester_of_a_dropped_arm_gets_the_present_model(services):
    traffic = TrafficPlan(testers={"k": "large", "l": "small"})
    experiment = three_arms(services, ["http://127.0.0.1:1/v1"] * 3, traffic=traffic)
    assert table_of(services).experiments[0].testers == {"k": "large", "l": "small"}
    assert dropped(services, experiment, "large").testers == {"k": "now", "l": "small"}


def test_where_a_model_of_an_open_arm_is_away_nobody_takes_part_and_a_dropped_one_is_not_missed(services):
    experiment = three_arms(services, ["http://127.0.0.1:1/v1"] * 3)
    with services.unit_of_work() as uow:
        uow.models.set_deployment(experiment.arm("large").model_id, None)
    assert table_of(services).experiments == ()
    with services.unit_of_work() as uow:
        uow.experiments.drop_arm(experiment.experiment_id, "large", utc_now(), DropCause.PERSON, "away")
    state = read_state(services, utc_now())
    assert list(table_at(state, state.pins, utc_now(), None).experiments[0].arms) == ["now", "small"]


@pytest.mark.slow
def test_users_keep_their_arm_until_it_is_dropped_and_are_pinned_to_another_for_good(services):
    with ExitStack() as stack:
        upstreams = [stack.enter_context(running_upstream(name)) for name in ("now", "large", "small")]
        experiment = three_arms(services, [upstream.url for upstream in upstreams])
        url, app = stack.enter_context(running_service(services))

        def asked(users: list[str]) -> dict[str, str]:
            found = {}
            for user in users:
                answer = httpx.post(
                    f"{url}/v1/chat/completions", json={"messages": QUESTION}, headers={"X-Tuneway-User": user}
                )
                found[user] = answer.headers["x-tuneway-arm"]
                assert answer.headers["x-tuneway-model"] == f"m-{found[user]}"
            return found

        def pins() -> dict[str, str]:
            with services.unit_of_work() as uow:
                found: dict[str, str] = uow.experiments.pinned(experiment.experiment_id)
            return found

        def routed() -> list[RunningExperiment]:
            return [] if app.routing.table is None else list(app.routing.table.experiments)

        wait_until(lambda: experiment in [one.experiment for one in routed()])
        users = USERS[:24]
        first = asked(users)
        assert set(first.values()) == {"now", "large", "small"}
        wait_until(lambda: len(pins()) == len(users))
        with services.unit_of_work() as uow:
            uow.experiments.drop_arm(experiment.experiment_id, "large", utc_now(), DropCause.GUARDRAIL, "it fails")
        wait_until(lambda: len(routed()[0].arms) == 2)
        second = asked(users)
        assert {user: arm for user, arm in second.items() if first[user] != "large"} == {
            user: arm for user, arm in first.items() if arm != "large"
        }
        assert "large" not in second.values()
        expected = {user_key(KEY, user): arm for user, arm in second.items()}
        wait_until(lambda: pins() == expected)
        assert asked(users) == second
        wait_until(lambda: len(stored_answers(services)) == 3 * len(users))
    with services.unit_of_work() as uow:
        counts = uow.experiments.tally(experiment.experiment_id).counts
        users_now = uow.experiments.tally(experiment.experiment_id).users
    assert counts["large"].users == list(first.values()).count("large")
    assert users_now.mixed_users == counts["large"].users
