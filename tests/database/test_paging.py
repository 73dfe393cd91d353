"""Lists in parts: nothing twice, nothing left out, whatever is added meanwhile."""

import base64
import json

import pytest
from sqlalchemy import text

from contracts.access import EVERYTHING, Visibility
from contracts.errors import InvalidRequestError
from contracts.identity import AccountKind, Role
from contracts.lists import ListRequest

pytestmark = pytest.mark.slow


def add(services, *names):
    with services.unit_of_work() as uow:
        return [
            uow.datasets.add(
                name=name, content_hash=f"{number}{name}".ljust(64, "0"), file_path="/d", total_samples=number % 3,
                train_samples=1, val_samples=0, test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
            ).dataset_id
            for number, name in enumerate(names)
        ]  # fmt: skip


def read(services, visible=EVERYTHING, **listing):
    with services.unit_of_work() as uow:
        return uow.datasets.page(ListRequest(**listing), visible)


def read_all(services, meanwhile=lambda: None, **listing):
    """Every part; `meanwhile` is called between two of them."""
    cursor, names = None, []
    while True:
        part = read(services, cursor=cursor, **listing)
        names += [version.name for version in part.items]
        if (cursor := part.next_cursor) is None:
            return names
        meanwhile()


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name", "total_samples", "-total_samples"])
def test_the_parts_make_the_list(services, sort):
    names = ["e", "d", "c", "b", "a"]
    add(services, *names)  # one transaction: all have the same time
    whole = [version.name for version in read(services, sort=sort, limit=100).items]
    assert sorted(whole) == sorted(names)
    assert read_all(services, sort=sort, limit=2) == whole
    assert [version.name for version in read(services, sort=sort, skip=1, limit=2).items] == whole[1:3]


def test_rows_that_are_added_meanwhile_move_nothing(services):
    add(services, "a", "b", "c", "d", "e")
    added = iter(["f", "g", "h"])
    assert read_all(services, lambda: add(services, next(added)), limit=2) == ["e", "d", "c", "b", "a"]
    assert read(services, limit=1).total == 7


def test_the_total_counts_what_may_be_seen(services):
    ids = add(services, "a", "b", "c")
    with services.unit_of_work() as uow:
        owner = uow.users.add("owner", kind=AccountKind.PERSON, role=Role.VIEWER, projects=[], password_hash=None)
        uow.session.execute(
            text("UPDATE training_datasets SET created_by = :owner WHERE id = :id"),
            {"owner": owner.user_id, "id": ids[1]},
        )
    page = read(services, Visibility(owners=["owner"]), limit=1)
    assert (page.total, [version.name for version in page.items], page.next_cursor) == (1, ["b"], None)
    assert read(services, Visibility(), limit=1).total == 0


def test_an_order_that_there_is_not_is_named_with_those_that_there_are(services):
    with pytest.raises(InvalidRequestError, match="cannot be sorted") as refused:
        read(services, sort="file_path; DROP TABLE users")
    assert "created_at, name" in refused.value.allowed


def sealed(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "", "a", "%%%", "é", "A" * 2000, sealed([]), sealed({"a": 1}), sealed(["-created_at", 1, 1]),
        sealed(["-created_at", "2026-01-01T00:00:00", 1]), sealed(["-created_at", "2026-01-01T00:00:00+00:00", "1"]),
        sealed(["-created_at", "2026-01-01T00:00:00+00:00", 2**31]), sealed(["-created_at", None, None]),
        sealed(["-created_at", "2026-01-01T00:00:00+00:00", True]), "W" * 900,
    ],
)  # fmt: skip
def test_a_cursor_that_no_answer_gave_is_refused(services, cursor):
    add(services, "a")
    with pytest.raises(InvalidRequestError, match="no cursor"):
        read(services, cursor=cursor)


def test_a_cursor_of_another_order_is_refused_and_so_is_one_with_skip(services):
    add(services, "a", "b")
    cursor = read(services, limit=1).next_cursor
    with pytest.raises(InvalidRequestError, match="another order"):
        read(services, cursor=cursor, sort="name")
    with pytest.raises(InvalidRequestError, match="one of the two") as refused:
        read(services, cursor=cursor, skip=1)
    assert refused.value.next_step == "leave skip out"
    assert [version.name for version in read(services, cursor=cursor).items] == ["a"]


def test_runs_come_with_their_stages_in_two_queries(services):
    from contracts.enums import StageName

    with services.unit_of_work() as uow:
        for number in range(3):
            uow.pipeline_runs.start(f"r{number}", "pipeline", {})
            uow.pipeline_runs.stage_started(f"r{number}", StageName.TRAIN)
    with services.unit_of_work() as uow:
        page = uow.pipeline_runs.page(ListRequest(sort="started_at", limit=2), dag_id="pipeline")
        assert [(run.run_id, run.stages[0].stage) for run in page.items] == [("r0", "train"), ("r1", "train")]
        assert uow.pipeline_runs.page(ListRequest(sort="started_at"), dag_id="other").total == 0
