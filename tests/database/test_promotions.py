"""One version in production a name, whoever promotes when; the one before it is never lost."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.enums import ModelStatus
from contracts.errors import ConflictError
from contracts.promotions import Promotion
from database.unit_of_work import UnitOfWork, unit_of_work
from tests.database.test_repositories import add_model


def promote(uow: UnitOfWork, model_id: int, replaces: int | None, reason: str = "better") -> tuple[Promotion, bool]:
    return uow.promotions.promote(
        model_id, replaces=replaces, actor="kim", reason=reason, evaluation_id=None, is_override=False
    )


def roll_back(uow: UnitOfWork, name: str, leaves: int | None) -> tuple[Promotion, bool]:
    return uow.promotions.roll_back(name, leaves=leaves, actor="kim", reason="worse")


def models(url: str, count: int, name: str = "assistant") -> list[int]:
    with unit_of_work(url) as uow:
        return [add_model(uow, f"{uuid.uuid4().hex}{number:032x}", name).model_id for number in range(count)]


def production(url: str, name: str = "assistant") -> list[int]:
    with unit_of_work(url) as uow:
        versions = uow.models.of_name(name)
    return [version.model_id for version in versions if version.status is ModelStatus.PRODUCTION]


def test_a_promotion_archives_the_version_before_and_says_who_and_why(database_url):
    first, second = models(database_url, 2)
    with unit_of_work(database_url) as uow:
        promote(uow, first, None)
        promotion, happened = promote(uow, second, first, reason="more cases right")
        assert happened
        assert (promotion.model_id, promotion.previous_model_id) == (second, first)
        assert (promotion.actor, promotion.reason) == ("kim", "more cases right")
        assert uow.models.get(first).status is ModelStatus.ARCHIVED
        assert uow.promotions.previous("assistant") == first
    assert production(database_url) == [second]


def test_the_same_promotion_again_is_the_one_that_was(database_url):
    (first,) = models(database_url, 1)
    with unit_of_work(database_url) as uow:
        promotion, _ = promote(uow, first, None)
        assert promote(uow, first, None, reason="again") == (promotion, False)
        assert len(uow.promotions.history("assistant")) == 1


def test_a_promotion_decided_against_another_version_than_the_present_one_is_refused(database_url):
    first, second, third = models(database_url, 3)
    with unit_of_work(database_url) as uow:
        promote(uow, first, None)
        promote(uow, second, first)
    with unit_of_work(database_url) as uow, pytest.raises(ConflictError, match="in the meantime") as refused:
        promote(uow, third, first)
    assert f"model {second}" in str(refused.value)
    assert production(database_url) == [second]


def test_of_promotions_at_the_same_time_one_wins_and_each_other_gets_one_clear_error(database_url):
    present, *candidates = models(database_url, 7)
    with unit_of_work(database_url) as uow:
        promote(uow, present, None)
    barrier = threading.Barrier(len(candidates))

    def run(model_id: int) -> int | str:
        barrier.wait()
        try:
            with unit_of_work(database_url) as uow:
                return promote(uow, model_id, present)[0].model_id
        except ConflictError as error:
            return error.what

    with ThreadPoolExecutor(len(candidates)) as pool:
        outcomes = list(pool.map(run, candidates))
    winners = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert production(database_url) == winners
    assert [outcome for outcome in outcomes if outcome not in winners] == [
        "Another version went into production in the meantime"
    ] * 5


def test_a_rollback_brings_back_the_version_before_and_another_one_the_one_before_that(database_url):
    first, second, third = models(database_url, 3)
    with unit_of_work(database_url) as uow:
        for model_id, replaces in ((first, None), (second, first), (third, second)):
            promote(uow, model_id, replaces)
        assert roll_back(uow, "assistant", third)[0].model_id == second
        assert uow.models.get(third).status is ModelStatus.ARCHIVED
        assert roll_back(uow, "assistant", second)[0].model_id == first
    with unit_of_work(database_url) as uow, pytest.raises(ConflictError, match="no version to go back to"):
        roll_back(uow, "assistant", first)
    assert production(database_url) == [first]


def test_the_same_rollback_again_changes_nothing(database_url):
    first, second, third = models(database_url, 3)
    with unit_of_work(database_url) as uow:
        for model_id, replaces in ((first, None), (second, first), (third, second)):
            promote(uow, model_id, replaces)
        rollback, _ = roll_back(uow, "assistant", third)
        assert roll_back(uow, "assistant", third) == (rollback, False)
    with unit_of_work(database_url) as uow, pytest.raises(ConflictError, match="not in production"):
        roll_back(uow, "assistant", first)
    assert production(database_url) == [second]


def test_a_version_that_was_in_production_before_there_were_promotions_can_be_brought_back(database_url):
    old, new = models(database_url, 2)
    with unit_of_work(database_url) as uow:
        uow.models.set_status(old, ModelStatus.PRODUCTION)
        promote(uow, new, old)
        assert roll_back(uow, "assistant", new)[0].model_id == old
    assert production(database_url) == [old]


def test_the_version_in_production_is_not_put_away(database_url):
    first, second = models(database_url, 2)
    with unit_of_work(database_url) as uow:
        promote(uow, first, None)
        assert uow.promotions.set_aside(second, ModelStatus.ARCHIVED)
        assert not uow.promotions.set_aside(second, ModelStatus.ARCHIVED)
    with unit_of_work(database_url) as uow, pytest.raises(ConflictError, match="is in production"):
        uow.promotions.set_aside(first, ModelStatus.ARCHIVED)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.integers(0, 3), st.just("back")), max_size=12))
def test_any_sequence_leaves_one_in_production_and_undoes_like_a_stack(database_url, steps):
    name = f"assistant-{uuid.uuid4().hex}"
    ids = models(database_url, 4, name)
    expected: list[int] = []
    for step in steps:
        with unit_of_work(database_url) as uow:
            present = expected[-1] if expected else None
            if step != "back":
                promote(uow, ids[step], present)
                if present != ids[step]:
                    expected.append(ids[step])
            elif len(expected) > 1:
                roll_back(uow, name, present)
                expected.pop()
    assert production(database_url, name) == expected[-1:]
    with unit_of_work(database_url) as uow:
        assert uow.promotions.previous(name) == (expected[-2] if len(expected) > 1 else None)
