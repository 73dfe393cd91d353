"""Contamination of a dataset version: found, kept, overridden with a reason."""

import json

import pytest
from sqlalchemy import select

from contracts.contamination import ContaminationRequest, ContaminationSettings
from contracts.enums import OverlapKind
from contracts.errors import InvalidDataError, NotFoundError
from contracts.evaluation import TestCase
from database.models import AuditLog, ContaminationReportRow
from stages.contamination import check_contamination
from tests.stages.finished_job import finished_job, write_suite

TALKS = [
    ("하이패스 카드는 어디서 발급합니까?", "영업소입니다."),
    ("안녕하세요. 미납 통행료 분할 납부는 어느 부서가 맡나요? 감사합니다.", "영업관리처입니다."),
]
CASES = [
    {"id": "a", "question": "하이패스 카드는 어디서 발급합니까", "accepted_answers": ["영업소"], "source_document": "카드.txt"},
    {"id": "b", "question": "미납 통행료 분할 납부는 어느 부서가 맡나요?", "accepted_answers": ["영업관리처"]},
    {"id": "c", "question": "제설 자재는 누가 구매합니까?", "accepted_answers": ["도로관리처"], "source_document": "x/제설.txt"},
]  # fmt: skip


@pytest.fixture
def dataset_id(services, tmp_path) -> int:
    for name in ("base", "adapter"):
        (tmp_path / name).mkdir()
    return finished_job(
        services, base_model=tmp_path / "base", output=tmp_path / "adapter", train_talks=TALKS
    ).dataset_id


def test_the_report_names_the_cases_and_the_rows_that_hold_them(services, dataset_id):
    report = check_contamination(
        ContaminationRequest(dataset_id=dataset_id, suite=write_suite(services, "exam", CASES)), services
    )

    assert (report.cases, report.rows, report.contaminated_cases) == (3, 3, ["a", "b"])
    assert report.by_kind == {OverlapKind.EXACT: 1, OverlapKind.CONTAINED: 1}
    assert report.overlaps[0].row_text == TALKS[0][0]
    assert report.blocks


def test_the_same_rows_cases_and_settings_are_looked_at_once(services, dataset_id):
    request = ContaminationRequest(dataset_id=dataset_id, suite=write_suite(services, "exam", CASES))

    first = check_contamination(request, services)
    again = check_contamination(request, services, on_progress=lambda *_: pytest.fail("looked again"))
    stricter = check_contamination(
        request.model_copy(update={"settings": ContaminationSettings(documents_held_out=True)}), services
    )

    assert again == first
    assert stricter.report_id != first.report_id
    with services.unit_of_work() as uow:
        assert len(uow.session.execute(select(ContaminationReportRow)).all()) == 2
        assert [report.report_id for report in uow.contamination.of_dataset(dataset_id)] == [
            stricter.report_id,
            first.report_id,
        ]


def test_an_override_needs_a_reason_and_is_audited(services, dataset_id):
    suite = write_suite(services, "exam", CASES)
    with pytest.raises(ValueError, match="override_reason"):
        ContaminationRequest(dataset_id=dataset_id, suite=suite, override_reason="그냥")

    report = check_contamination(
        ContaminationRequest(
            dataset_id=dataset_id, suite=suite, override_reason="규정 원문을 그대로 묻는 문항입니다.", actor="kim"
        ),
        services,
    )

    assert not report.blocks
    assert (report.override_by, report.is_contaminated) == ("kim", True)
    with services.unit_of_work() as uow:
        entry = uow.session.execute(select(AuditLog)).scalar_one()
    assert (entry.actor, entry.details["reason"]) == ("kim", "규정 원문을 그대로 묻는 문항입니다.")


def test_a_suite_without_a_trace_in_the_rows_is_clean_and_nothing_is_overridden(services, dataset_id):
    suite = write_suite(services, "exam", CASES[2:])

    report = check_contamination(
        ContaminationRequest(dataset_id=dataset_id, suite=suite, override_reason="이유가 필요 없습니다."), services
    )

    assert (report.is_contaminated, report.override_reason) == (False, None)


def test_a_managed_suite_is_found_by_its_name(services, dataset_id):
    with services.unit_of_work() as uow:
        uow.suites.add("road-exam", [TestCase.model_validate(case) for case in CASES], actor="kim")

    report = check_contamination(ContaminationRequest(dataset_id=dataset_id, suite="road-exam"), services)

    assert (report.suite_name, report.contaminated_cases) == ("road-exam", ["a", "b"])


def test_what_cannot_be_read_is_refused(services, dataset_id, tmp_path):
    with pytest.raises(NotFoundError):
        check_contamination(ContaminationRequest(dataset_id=999, suite=write_suite(services, "exam", CASES)), services)
    broken = services.settings.data_dir / "inbox" / "broken.jsonl"
    broken.write_text(json.dumps({"id": "a"}), encoding="utf-8")
    with pytest.raises(InvalidDataError, match="Line 1"):
        check_contamination(ContaminationRequest(dataset_id=dataset_id, suite=str(broken)), services)
