"""The arms of A/B tests in PostgreSQL: planned once, dropped once, and who moves then."""

from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from contracts.arms import DropCause, RequestedArm
from contracts.experiments import ABExperiment, StartABTestRequest
from contracts.record import utc_now
from database import migrate
from database.unit_of_work import UnitOfWork, unit_of_work


def three_arms(uow: UnitOfWork) -> ABExperiment:
    models = [uow.models.ensure_base(f"base-{arm}", f"/models/{arm}", 0.1, arm * 64) for arm in "abc"]
    arms = [
        RequestedArm(name=name, model_id=model.model_id, share=share)
        for name, model, share in zip(("present", "large", "small"), models, (2, 1, 1), strict=True)
    ]
    return uow.experiments.start(StartABTestRequest(experiment_name="spring", arms=arms))


def test_an_experiment_comes_back_with_its_arms_the_control_first(database_url):
    with unit_of_work(database_url) as uow:
        started = three_arms(uow)
        assert [(arm.name, arm.share) for arm in started.arms] == [("present", 0.5), ("large", 0.25), ("small", 0.25)]
        assert (started.model_a_id, started.model_b_id) == (started.arms[0].model_id, started.arms[1].model_id)
        assert uow.experiments.running() == [started]
        assert list(uow.experiments.tally(started.experiment_id).counts) == ["present", "large", "small"]


def test_an_arm_is_dropped_once_and_what_was_planned_stays(database_url):
    now = utc_now()
    with unit_of_work(database_url) as uow:
        started = three_arms(uow).experiment_id
        assert uow.experiments.drop_arm(started, "large", now, DropCause.GUARDRAIL, "it fails")
        assert not uow.experiments.drop_arm(started, "large", now, DropCause.WORSE, "again")
        found = uow.experiments.get(started)
        assert [arm.name for arm in found.open_arms] == ["present", "small"]
        assert (found.arm("large").drop_cause, found.arm("large").dropped_at) == (DropCause.GUARDRAIL, now)
    for change in ("dropped_at = NULL", "share = 0.9", "model_id = 1"):
        with pytest.raises(IntegrityError, match="arm large of A/B test"), unit_of_work(database_url) as uow:
            uow.session.execute(text(f"UPDATE ab_experiment_arms SET {change} WHERE name = 'large'"))


def test_only_users_of_a_dropped_arm_are_pinned_anew(database_url):
    def pin(uow: UnitOfWork, *pins: tuple[str, str]) -> dict[str, str]:
        uow.experiments.pin_users([{"experiment_id": started, "user_key": user, "variant": arm} for user, arm in pins])
        return uow.experiments.pinned(started)

    with unit_of_work(database_url) as uow:
        started = three_arms(uow).experiment_id
        assert pin(uow, ("kim", "large"), ("lee", "present")) == {"kim": "large", "lee": "present"}
        assert pin(uow, ("kim", "small"), ("lee", "small")) == {"kim": "large", "lee": "present"}
        uow.experiments.drop_arm(started, "large", utc_now(), DropCause.WORSE, "worse")
        # the last one of a batch holds: a pin to the dropped arm may have been on its way
        moved = pin(uow, ("kim", "small"), ("lee", "small"), ("park", "large"), ("park", "present"))
        assert moved == {"kim": "small", "lee": "present", "park": "present"}


def test_new_users_are_counted_between_two_drops_by_their_first_arm(database_url):
    began = utc_now()
    with unit_of_work(database_url) as uow:
        started = three_arms(uow)
        stories = [("kim", "large", 0), ("kim", "small", 90), ("lee", "present", 10), ("park", "small", 70)]
        uow.experiments.log_answers(
            [
                [
                    {
                        "experiment_id": started.experiment_id,
                        "variant": arm,
                        "assigned_variant": arm,
                        "model_id": started.arm(arm).model_id,
                        "user_key": user,
                        "request_id": f"request-{number}",
                        "response_time_ms": 10,
                        "asked_at": (began + timedelta(seconds=seconds)).timestamp(),
                    }
                    for number, (user, arm, seconds) in enumerate(stories)
                ]
            ]
        )
        found = uow.experiments.arrivals(started.experiment_id, [began + timedelta(seconds=60)])
    assert found == [{"present": 1, "large": 1, "small": 0}, {"present": 0, "large": 0, "small": 1}]


def test_tests_of_two_get_their_arms_by_the_migration_and_others_hold_it_back(database_url):
    with unit_of_work(database_url) as uow:
        models = [uow.models.ensure_base(f"base-{arm}", f"/models/{arm}", 0.1, arm * 64).model_id for arm in "ab"]
    migrate.downgrade(database_url, "0018")
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        connection.execute(
            "INSERT INTO ab_experiments (experiment_name, model_a_id, model_b_id, traffic_split) "
            "VALUES ('winter', %s, %s, '{\"a\": 0.8, \"b\": 0.2}')",
            models,
        )
    migrate.upgrade(database_url)
    with unit_of_work(database_url) as uow:
        (found,) = uow.experiments.running()
        assert found.is_pair
        assert [(arm.model_id, arm.share) for arm in found.arms] == [(models[0], 0.8), (models[1], 0.2)]
    migrate.downgrade(database_url, "0018")
    migrate.upgrade(database_url)
    with unit_of_work(database_url) as uow:
        uow.session.execute(text("UPDATE ab_experiments SET status = 'stopped'"))
        three_arms(uow)
    with pytest.raises(Exception, match="has no place for: spring"):
        migrate.downgrade(database_url, "0018")
