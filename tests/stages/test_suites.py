"""Suites from files to versions and back, on a real database."""

import json

import pytest

from contracts.enums import CaseFault, SuiteStatus
from contracts.errors import InvalidDataError, InvalidRequestError, NotFoundError
from contracts.evaluation import EvaluateRequest, TestCase
from contracts.suite_versions import ImportSuiteRequest
from data_prep.contamination.test_suites import read_test_suites
from database.models import AuditLog
from evaluation.case_tables import export_bytes
from evaluation.scorers.score import UnusableCaseError
from stages import evaluate
from stages.suites import (
    archive_suite,
    compare_suites,
    find_version,
    import_suite,
    lock_suite,
    newest_version,
    put_case,
    remove_case,
    require_suite,
    resolve_suite,
    suite_path,
    tell_problem,
)
from tests.conftest import REPOSITORY_ROOT
from tests.security.model_folders import plain_folder
from tests.stages.finished_job import finished_job

TABLE = "번호,질문,정답,분류,채점\n1,보존 기간은?,5년|오 년,tolls,일치\n2,담당 부서는?,영업처,tolls,\n3,기한은?,30일,safety,수치\n"


@pytest.fixture
def inbox(services):
    folder = services.settings.data_dir / "inbox"
    folder.mkdir(parents=True)
    return folder


def brought(services, inbox, text=TABLE, name="rules", **options):
    path = inbox / "cases.csv"
    path.write_text(text, encoding="utf-8")
    return import_suite(ImportSuiteRequest(name=name, file=str(path), **options), services, actor="kim")


def actions(services) -> list[tuple[str, str, str]]:
    with services.unit_of_work() as uow:
        return [(row.actor, row.action, row.subject) for row in uow.session.query(AuditLog).order_by(AuditLog.id)]


def test_a_file_becomes_a_version_and_the_same_file_again_does_not(services, inbox):
    first = brought(services, inbox, description="규정 시험")
    again = brought(services, inbox)

    assert first.suite is not None
    assert (first.suite.title, first.suite.description, first.is_new) == ("rules v1", "규정 시험", True)
    assert (first.cases, first.added) == (3, 3)
    assert first.categories == {"safety": 1, "tolls": 2}
    assert first.scorers == {"contains": 1, "exact": 1, "number": 1}
    assert (again.suite, again.is_new) == (first.suite, False)
    assert actions(services) == [("kim", "suite.imported", "rules@1")]


def test_a_changed_file_is_the_next_version_with_what_changed(services, inbox):
    brought(services, inbox)
    second = brought(services, inbox, TABLE.replace("5년|오 년", "7년").replace("3,기한은?", "4,처리 기한은?"))

    assert second.suite is not None
    assert second.suite.version == 2
    assert (second.added, second.removed, second.changed) == (1, 1, 1)
    before, after = find_version("rules@1", services), find_version("rules@2", services)
    difference = compare_suites(before, after, services)
    assert [changed.case_id for changed in difference.changed] == ["1"]


def test_cases_are_added_to_those_that_are_there(services, inbox):
    brought(services, inbox)
    more = brought(services, inbox, "번호,질문,정답\n9,근거는?,제14조\n", add=True)
    assert (more.cases, more.added, more.removed) == (4, 1, 0)
    with pytest.raises(InvalidDataError, match="another case has its id"):
        brought(services, inbox, "번호,질문,정답\n9,새 질문은?,제14조\n", add=True)


def test_with_a_wrong_row_nothing_is_brought_in_and_the_first_twenty_are_named(services, inbox):
    wrong = "번호,질문,정답\n" + "".join(f"{n},질문 {n}?,{'' if n % 2 else '답'}\n" for n in range(60))
    with pytest.raises(InvalidDataError, match=r"30 rows of cases\.csv cannot become test cases") as caught:
        brought(services, inbox, wrong)
    assert "row 3: accepted_answers: it has no accepted answer" in str(caught.value)
    assert str(caught.value).count("row ") == 20
    assert "and 10 more" in str(caught.value)
    with pytest.raises(NotFoundError, match="no test suite of that name"):
        find_version("rules", services)


def test_a_dry_run_tells_all_wrong_rows_and_stores_nothing(services, inbox):
    told = brought(services, inbox, TABLE + "4,,답,,\n5,기간은?,많음,,수치\n", dry_run=True)
    assert told.suite is None
    assert (told.cases, told.added) == (3, 3)
    assert [(problem.row, problem.fault) for problem in told.problems] == [
        (5, CaseFault.NO_QUESTION), (6, CaseFault.NOT_A_NUMBER),
    ]  # fmt: skip
    assert tell_problem(told.problems[1], "ko") == "정답: 정답이 수 하나가 아닙니다 (많음)"
    assert actions(services) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [("질문,정답\n", "no test case"), ("질문\n\n", "no test case"), ("", "empty"), ("가,나\n1,2\n", "no test case")],
)
def test_a_file_without_cases_is_refused(services, inbox, text, what):
    with pytest.raises(InvalidDataError, match=what):
        brought(services, inbox, text, dry_run=True)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".jsonl"])
def test_the_demo_suite_comes_back_the_same_from_every_format(services, inbox, suffix):
    first = import_suite(
        ImportSuiteRequest(name="demo", file=str(REPOSITORY_ROOT / "demo" / "test_cases" / "regulations.jsonl")),
        services,
        actor="kim",
    )
    assert (first.cases, first.notes) == (200, [])
    cases = resolve_suite("demo", services).cases
    path = inbox / f"exported{suffix}"
    path.write_bytes(export_bytes(cases, suffix))
    again = import_suite(ImportSuiteRequest(name="demo", file=str(path)), services, actor="lee")
    assert not again.is_new


def test_a_managed_suite_is_found_by_name_or_version_and_lies_in_a_file_too(services, inbox):
    brought(services, inbox)
    brought(services, inbox, TABLE.replace("5년|오 년", "7년"))
    lock_suite(find_version("rules@1", services).suite_id, services, actor="park")

    named, newer = resolve_suite("rules", services), resolve_suite("rules@v2", services)

    assert (named.name, named.version, newer.version) == ("rules", 1, 2)
    assert named.sha256 != newer.sha256
    assert [case.id for case in named.cases] == ["1", "2", "3"]
    from_file = resolve_suite(named.path, services)
    assert from_file == named
    assert suite_path("rules", services) == named.path
    assert newest_version("rules", services).version == 2
    require_suite("rules@1", services)
    require_suite(named.path, services)
    for absent in ("rules@9", "rulse", "demo/test_cases/none.jsonl"):
        with pytest.raises((NotFoundError, InvalidRequestError)):
            require_suite(absent, services)


def test_a_managed_suite_is_evaluated_and_kept_out_of_training_by_its_name(services, inbox, tmp_path):
    brought(services, inbox)
    for name in ("base", "adapter"):
        plain_folder(tmp_path / name)
    job = finished_job(services, base_model=tmp_path / "base", output=tmp_path / "adapter")
    submission = evaluate.create_job(EvaluateRequest(job_id=job.job_id, test_suite="rules"), services)
    assert str(submission.request["test_suite"]).endswith("/rules@1.jsonl")
    (found,) = read_test_suites(
        [suite_path("rules", services)], relative_to=tmp_path, allowed_roots=services.settings.allowed_input_roots
    ).sha256
    assert found.endswith("/rules@1.jsonl")


def test_a_file_is_still_a_file(services, inbox):
    path = inbox / "own.jsonl"
    path.write_text(json.dumps({"id": "1", "question": "가?", "accepted_answers": ["나"]}), encoding="utf-8")
    assert resolve_suite(str(path), services).version is None
    assert suite_path("demo/test_cases/regulations.jsonl", services) == "demo/test_cases/regulations.jsonl"
    with pytest.raises(InvalidRequestError, match="outside the folders"):
        resolve_suite("regulations.jsonl", services)
    with pytest.raises(InvalidRequestError, match="no name of a test suite"):
        find_version("규정", services)


def case(number: int, **fields: object) -> TestCase:
    values = {"id": str(number), "question": f"질문 {number}?", "accepted_answers": ["답"], **fields}
    return TestCase.model_validate(values)


def test_edits_lock_and_archive_are_checked_and_audited(services, inbox):
    suite = brought(services, inbox).suite
    assert suite is not None
    put_case(suite.suite_id, case(4), services, actor="lee")
    with pytest.raises(UnusableCaseError, match="another case has its question"):
        put_case(suite.suite_id, case(5, question="질문4"), services, actor="lee")
    with pytest.raises(UnusableCaseError, match="not one number"):
        put_case(suite.suite_id, case(5, scorer="number"), services, actor="lee")
    locked = lock_suite(suite.suite_id, services, actor="park")
    lock_suite(suite.suite_id, services, actor="park")
    after = remove_case(suite.suite_id, "4", services, actor="lee")
    assert (locked.status, after.version, after.case_count) == (SuiteStatus.LOCKED, 2, 3)
    archive_suite(after.suite_id, services, actor="park")
    assert actions(services) == [
        ("kim", "suite.imported", "rules@1"),
        ("lee", "suite.case_edited", "rules@1"),
        ("park", "suite.locked", "rules@1"),
        ("lee", "suite.case_removed", "rules@2"),
        ("park", "suite.archived", "rules@2"),
    ]
