"""What the suite repository promises, on a real PostgreSQL."""

import pytest

from contracts.enums import SuiteStatus
from contracts.errors import ConflictError, InvalidDataError, NotFoundError
from contracts.evaluation import TestCase
from contracts.suite_versions import content_hash_of
from database.unit_of_work import unit_of_work
from evaluation.suite_difference import suite_difference


def case(number: int, answer: str = "5년", category: str = "tolls", **fields: object) -> TestCase:
    values = {
        "id": f"c-{number}",
        "question": f"{number}번 서식의 보존 기간은 얼마인가요?",
        "accepted_answers": [answer],
        "category": category,
        **fields,
    }
    return TestCase.model_validate(values)


@pytest.fixture
def suite(database_url):
    with unit_of_work(database_url) as uow:
        return uow.suites.add("rules", [case(1), case(2), case(3, category="safety")], actor="kim", description="규정")


def test_a_new_suite_is_a_draft_with_its_counts(suite):
    assert (suite.title, suite.status, suite.case_count) == ("rules v1", SuiteStatus.DRAFT, 3)
    assert suite.categories == {"safety": 1, "tolls": 2}
    assert suite.content_hash == content_hash_of([case(1), case(2), case(3, category="safety")])
    assert (suite.created_by, suite.locked_by) == ("kim", None)


def test_the_same_cases_again_are_the_same_version(database_url, suite):
    with unit_of_work(database_url) as uow:
        assert uow.suites.add("rules", uow.suites.cases(suite.suite_id), actor="lee") == suite
        assert uow.suites.add("rules", [case(1)], actor="lee").version == 2


def test_a_note_changes_no_hash_and_an_answer_does():
    assert content_hash_of([case(1, note="확인함")]) == content_hash_of([case(1)])
    assert content_hash_of([case(1, "6년")]) != content_hash_of([case(1)])
    assert content_hash_of([case(1), case(2)]) != content_hash_of([case(2), case(1)])
    assert content_hash_of([], {"task": "kobest"}) != content_hash_of([])


def test_an_edit_of_a_draft_is_told_with_its_editor(database_url, suite):
    with unit_of_work(database_url) as uow:
        edited = uow.suites.put_case(suite.suite_id, case(2, "7년"), actor="lee", seen=None)
        assert (edited.version, edited.case_count) == (1, 3)
        assert edited.content_hash != suite.content_hash
        stored = uow.suites.case(suite.suite_id, "c-2")
    assert (stored.case.accepted_answers, stored.edited_by, stored.position) == (["7년"], "lee", 1)
    assert stored.edited_at is not None


def test_an_edit_of_what_somebody_else_edited_meanwhile_is_refused(database_url, suite):
    with unit_of_work(database_url) as uow:
        uow.suites.put_case(suite.suite_id, case(2, "7년"), actor="lee", seen=None)
    with pytest.raises(ConflictError, match="c-2 by lee"), unit_of_work(database_url) as uow:
        uow.suites.put_case(suite.suite_id, case(2, "8년"), actor="kim", seen=None)


def test_a_locked_version_stays_and_an_edit_of_it_makes_the_next(database_url, suite):
    with unit_of_work(database_url) as uow:
        locked = uow.suites.lock(suite.suite_id, actor="park")
        assert (locked.status, locked.locked_by) == (SuiteStatus.LOCKED, "park")
        next_version = uow.suites.put_case(suite.suite_id, case(4), actor="lee", seen=None)
        assert (next_version.version, next_version.status, next_version.case_count) == (2, SuiteStatus.DRAFT, 4)
        assert next_version.description == "규정"
        assert uow.suites.get(suite.suite_id) == locked
        assert len(uow.suites.cases(suite.suite_id)) == 3
        shorter = uow.suites.remove_case(next_version.suite_id, "c-1", actor="lee")
        assert (shorter.version, shorter.case_count) == (2, 3)
    with pytest.raises(ConflictError, match="a draft after this locked version"), unit_of_work(database_url) as uow:
        uow.suites.put_case(suite.suite_id, case(5), actor="lee", seen=None)


def test_locking_twice_keeps_the_first_lock(database_url, suite):
    with unit_of_work(database_url) as uow:
        first = uow.suites.lock(suite.suite_id, actor="park")
        assert uow.suites.lock(suite.suite_id, actor="choi") == first


def test_a_suite_without_cases_cannot_be_locked(database_url):
    with pytest.raises(InvalidDataError, match="without cases"), unit_of_work(database_url) as uow:
        uow.suites.lock(uow.suites.add("empty", [], actor="kim").suite_id, actor="kim")


def test_a_name_means_its_newest_locked_version_else_its_newest_draft(database_url, suite):
    with unit_of_work(database_url) as uow:
        second = uow.suites.add("rules", [case(1)], actor="kim")
        assert uow.suites.find("rules") == second
        uow.suites.lock(suite.suite_id, actor="park")
        assert uow.suites.find("rules").version == 1
        assert uow.suites.find("rules", 2) == second


def test_an_archived_version_is_out_of_use(database_url, suite):
    with unit_of_work(database_url) as uow:
        assert uow.suites.archive(suite.suite_id).status is SuiteStatus.ARCHIVED
        assert uow.suites.list_suites() == []
        assert [listing.name for listing in uow.suites.list_suites(with_archived=True)] == ["rules"]
        with pytest.raises(NotFoundError, match="archived"):
            uow.suites.find("rules")
        with pytest.raises(ConflictError, match="cannot be edited"):
            uow.suites.put_case(suite.suite_id, case(1), actor="kim", seen=None)
        assert uow.suites.find("rules", 1).version == 1
        assert uow.suites.add("rules", [case(1)], actor="kim").version == 2


def test_an_unknown_name_or_version_is_told_with_what_there_is(database_url, suite):
    with unit_of_work(database_url) as uow:
        with pytest.raises(NotFoundError, match="did you mean rules"):
            uow.suites.find("ruels")
        with pytest.raises(NotFoundError, match="Allowed: 1"):
            uow.suites.find("rules", 9)


def test_cases_come_by_page_category_and_search(database_url):
    cases = [case(number, f"{number}_년%", "tolls" if number % 2 else "safety") for number in range(120)]
    with unit_of_work(database_url) as uow:
        suite = uow.suites.add("many", cases, actor="kim")
        page, count = uow.suites.page(suite.suite_id, offset=50, limit=20)
        assert ([stored.case.id for stored in page], count) == ([f"c-{n}" for n in range(50, 70)], 120)
        page, count = uow.suites.page(suite.suite_id, category="safety", limit=3)
        assert ([stored.case.id for stored in page], count) == (["c-0", "c-2", "c-4"], 60)
        page, count = uow.suites.page(suite.suite_id, search=" 77_년% ")
        assert ([stored.case.id for stored in page], count) == (["c-77"], 1)
        assert uow.suites.page(suite.suite_id, search="C-119")[1] == 1
        assert uow.suites.page(suite.suite_id, search="%")[1] == 120
        assert uow.suites.page(suite.suite_id, search="c-1_")[1] == 0


def test_two_versions_are_compared_case_by_case(database_url, suite):
    with unit_of_work(database_url) as uow:
        after = uow.suites.add("rules", [case(2), case(1, "7년"), case(9)], actor="kim")
        difference = suite_difference(suite, after, uow.suites.cases(suite.suite_id), uow.suites.cases(after.suite_id))
    assert [added.id for added in difference.added] == ["c-9"]
    assert [removed.id for removed in difference.removed] == ["c-3"]
    assert [(changed.case_id, changed.fields) for changed in difference.changed] == [("c-1", ["accepted_answers"])]
    assert difference.same == 1
