"""The page of test cases over a real database."""

import pytest

from contracts.enums import SuiteStatus
from contracts.evaluation import TestCase
from tests.dashboard.conftest import open_page, text_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]

CASES = [
    TestCase(id="1", question="보존 기간은?", accepted_answers=["5년", "오 년"], category="tolls", scorer="exact"),
    TestCase(id="2", question="담당 <b>부서</b>는?", accepted_answers=["영업처"], category="tolls", note="확인함"),
    TestCase(id="3", question="기한은?", accepted_answers=["30일"], category="safety", scorer="number"),
]


@pytest.fixture
def suite(services):
    with services.unit_of_work() as uow:
        return uow.suites.add("rules", CASES, actor="김담당", description="규정 시험")


def cases_of(services, version: int) -> list[TestCase]:
    with services.unit_of_work() as uow:
        found: list[TestCase] = uow.suites.cases(uow.suites.find("rules", version).suite_id)
    return found


def warnings_of(app) -> str:
    return " ".join(element.value for element in app.warning)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("ko", ["시험 문항", "작성 중 규정 시험", "김담당", "5년 | 오 년 tolls 일치", "담당 <b>부서</b>는?", "3문항 가운데 3문항"]),
        ("en", ["Test cases", "draft 규정 시험", "5년 | 오 년 tolls exact", "3 of 3 cases", "Bring a file of cases in"]),
    ],
)  # fmt: skip
def test_a_suite_is_shown_with_its_cases_and_texts_are_never_markup(suite, language, expected):
    app = open_page("test-cases", language)
    text = text_of(app)
    assert [one for one in expected if one not in text] == []
    assert "<b>부서" not in "".join(element.value for element in app.html)


def test_cases_are_filtered_and_searched(suite):
    app = open_page("test-cases", "ko")
    app.selectbox(key="test-cases-category-rules").set_value("safety").run()
    assert "3문항 가운데 1문항" in text_of(app)
    app.selectbox(key="test-cases-category-rules").set_value("모든 분류").run()
    app.text_input(key="test-cases-search-rules").set_value("영업").run()
    text = text_of(app)
    assert "3문항 가운데 1문항" in text
    assert "보존 기간" not in text


def test_an_edit_is_stored_with_its_editor_and_a_wrong_one_is_not(services, suite):
    app = open_page("test-cases", "ko")
    answers = f"test-cases-accepted_answers-{suite.suite_id}-1"

    app.text_input(key=answers).set_value("…")
    app.button(key=f"test-cases-save-{suite.suite_id}-1").click().run()
    assert "정답: 정답에 글자도 숫자도 없습니다" in warnings_of(app).replace("\\", "")
    assert cases_of(services, 1)[0].accepted_answers == ["5년", "오 년"]

    app.text_input(key=answers).set_value("7년|칠 년")
    app.button(key=f"test-cases-save-{suite.suite_id}-1").click().run()
    assert cases_of(services, 1)[0].accepted_answers == ["7년", "칠 년"]
    assert "kim" in text_of(app)


def test_a_case_that_somebody_else_edited_meanwhile_is_not_overwritten(services, suite):
    app = open_page("test-cases", "ko")
    with services.unit_of_work() as uow:
        uow.suites.put_case(suite.suite_id, CASES[0].model_copy(update={"note": "먼저"}), actor="박검토", seen=None)
    app.text_input(key=f"test-cases-note-{suite.suite_id}-1").set_value("나중")
    app.button(key=f"test-cases-save-{suite.suite_id}-1").click().run()
    assert "박검토" in warnings_of(app)
    assert cases_of(services, 1)[0].note == "먼저"


def test_the_lock_asks_first_and_an_edit_of_a_locked_version_makes_the_next(services, suite):
    app = open_page("test-cases", "ko")
    app.button(key="test-cases-lock").click().run()
    assert "잠그시겠습니까?" in warnings_of(app)
    app.button(key="test-cases-lock-no").click().run()
    app.button(key="test-cases-lock").click().run()
    app.button(key="test-cases-lock-yes").click().run()
    with services.unit_of_work() as uow:
        locked = uow.suites.get(suite.suite_id)
    assert (locked.status, locked.locked_by) == (SuiteStatus.LOCKED, "kim")

    app.text_area(key=f"test-cases-question-{suite.suite_id}-1").set_value("보존 기간은 얼마인가요?")
    app.button(key=f"test-cases-save-{suite.suite_id}-1").click().run()
    assert cases_of(services, 1) == CASES
    assert cases_of(services, 2)[0].question == "보존 기간은 얼마인가요?"
    assert "v2 · 작성 중" in text_of(app)


def test_a_case_is_added_and_another_taken_out(services, suite):
    app = open_page("test-cases", "ko")
    app.toggle(key="test-cases-adding").set_value(True).run()
    app.selectbox(key=f"test-cases-scorer-{suite.suite_id}-new").set_value("number").run()
    for field, value in (("accepted_answers", "15,000원"), ("options.tolerance", "100"), ("category", "tolls")):
        app.text_input(key=f"test-cases-{field}-{suite.suite_id}-new").set_value(value)
    app.text_area(key=f"test-cases-question-{suite.suite_id}-new").set_value("통행료는?")
    app.button(key=f"test-cases-save-{suite.suite_id}-new").click().run()
    added = cases_of(services, 1)[-1]
    assert (added.question, added.scorer, added.options) == ("통행료는?", "number", {"tolerance": 100.0})

    app.checkbox(key=f"test-cases-sure-{suite.suite_id}-1").set_value(True).run()
    app.button(key="test-cases-remove").click().run()
    assert [case.id for case in cases_of(services, 1)] == ["2", "3", added.id]


def test_a_file_is_brought_in_after_its_wrong_rows_are_corrected(services):
    path = services.settings.data_dir / "inbox" / "cases.csv"
    path.parent.mkdir(parents=True)
    path.write_text("질문,정답\n보존 기간은?,5년\n담당은?,\n", encoding="utf-8")
    app = open_page("test-cases", "ko")
    assert "시험 세트가 아직 없습니다" in text_of(app)
    app.selectbox(key="test-cases-file").set_value(str(path)).run()
    app.text_input(key="test-cases-name-").set_value("rules").run()
    assert "3 정답: 정답이 비어 있습니다" in text_of(app)
    assert app.button(key="test-cases-import").disabled

    path.write_text("질문,정답\n보존 기간은?,5년\n담당은?,영업처\n", encoding="utf-8")
    app.run()
    app.button(key="test-cases-import").click().run()
    assert len(cases_of(services, 1)) == 2
    assert "rules v1: 2문항을 가져왔습니다" in text_of(app)
