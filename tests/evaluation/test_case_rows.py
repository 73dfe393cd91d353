"""Rows of a table become test cases, every wrong one is told, and what is written out reads back the same."""

import io
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from contracts.enums import CaseFault
from contracts.evaluation import TestCase
from contracts.record import JsonObject
from data_prep.imports.input_files import open_input_files
from data_prep.imports.reading import ParsedRow, open_rows
from evaluation.case_columns import CASE_COLUMNS, column_key
from evaluation.case_rows import case_of_row, read_cases, row_of_case
from evaluation.case_tables import FORMATS, export_bytes, template_bytes
from evaluation.scorers.registry import SCORERS as REGISTERED


def one(**cells: Any) -> TestCase:
    found = read_cases([(2, {"질문": "보존 기간은?", **cells})])
    assert found.problems == []
    return found.cases[0]


def fault(**cells: Any) -> tuple[str, CaseFault, str]:
    found = read_cases([(2, {"질문": "보존 기간은?", **cells})])
    assert found.cases == []
    (problem,) = found.problems
    assert problem.row == 2
    return problem.column, problem.fault, problem.value


def test_korean_and_english_headers_name_the_same_columns():
    assert {column_key(name) for name in ("질문", "문제", "Question", " prompt ")} == {"question"}
    assert {column_key(name) for name in ("정답", "모범 답안", "answers", "Accepted Answers*")} == {"accepted_answers"}
    assert column_key("허용오차") == column_key("tolerance") == "options.tolerance"
    assert column_key("담당자") is None
    for column in CASE_COLUMNS:
        assert {column_key(column.header.korean), column_key(column.header.english)} == {column.key}


def test_a_row_becomes_a_case():
    case = one(번호="a-1", 정답="5년|오 년", 분류="tolls", 채점="일치", 출처="규정.hwp", 비고="확인함")
    assert case == TestCase(
        id="a-1", question="보존 기간은?", accepted_answers=["5년", "오 년"], category="tolls", scorer="exact",
        source_document="규정.hwp", note="확인함",
    )  # fmt: skip


def test_a_separator_inside_an_answer_is_written_with_a_backslash():
    assert one(정답=r"가\|나|다\\").accepted_answers == ["가|나", "다\\"]
    assert one(정답=" 5년 || 5년|6년 ").accepted_answers == ["5년", "6년"]


def test_numbers_of_excel_are_read_as_people_see_them():
    case = one(번호=7.0, 정답=15000.0, 채점="수치", 허용오차="1,000", 상대오차="1%")
    assert (case.id, case.accepted_answers) == ("7", ["15000"])
    assert case.options == {"tolerance": 1000.0, "relative_tolerance": 0.01}


@pytest.mark.parametrize(
    ("cells", "scorer"),
    [
        ({"정답": "5년"}, "contains"),
        ({"정답": "5년", "보기": "5년|7년"}, "multiple_choice"),
        ({"정규식": "제.조"}, "regex"),
        ({"정답": "5년", "채점": "Token F1"}, "token_f1"),
        ({"정답": "5년", "채점": "ROUGE-L"}, "rouge_l"),
        ({"정답": "5년", "채점": "글자 F1"}, "character_f1"),
        ({"정답": "5년", "채점": "모두 포함"}, "contains_all"),
    ],
)
def test_the_scorer_is_named_in_either_language_or_follows_from_the_row(cells, scorer):
    assert one(**cells).scorer == scorer


def test_an_id_is_made_from_the_question_whatever_its_spelling():
    first, second = (
        read_cases([(2, {"질문": text, "정답": "5년"})]).cases[0] for text in ("보존 기간은?", "보존기간은")
    )
    assert first.id == second.id
    assert first.id.startswith("q-")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"질문": " ", "정답": "5년"}, ("question", CaseFault.NO_QUESTION, "")),
        ({}, ("accepted_answers", CaseFault.NO_ACCEPTED_ANSWER, "")),
        ({"정답": "…"}, ("accepted_answers", CaseFault.NO_LETTERS, "'…'")),
        ({"정답": "5년", "채점": "포한"}, ("scorer", CaseFault.UNKNOWN_SCORER, "포한 → 포함?")),
        ({"정답": "많음", "채점": "수치"}, ("accepted_answers", CaseFault.NOT_A_NUMBER, "많음")),
        ({"정답": "5", "채점": "수치", "단위": "뭉치"}, ("options.unit", CaseFault.UNKNOWN_UNIT, "뭉치")),
        ({"정답": "5", "채점": "수치", "허용오차": "조금"}, ("options.tolerance", CaseFault.WRONG_OPTION, "조금")),
        ({"정답": "5년", "허용오차": "1"}, ("options", CaseFault.UNKNOWN_OPTION, "tolerance")),
        ({"정규식": "("}, ("options.pattern", CaseFault.WRONG_PATTERN, "( (missing ): ()")),
        ({"정답": "9년", "보기": "5년|7년"}, ("accepted_answers", CaseFault.NOT_A_CHOICE, "9년")),
        ({"정답": "5년", "보기": "5년"}, ("choices", CaseFault.WRONG_CHOICES, "1")),
        ({"정답": "5년", "합격 점수": "1.5"}, ("pass_score", CaseFault.WRONG_THRESHOLD, "1.5")),
        ({"정답": "5년", "합격 점수": "높음"}, ("pass_score", CaseFault.WRONG_THRESHOLD, "높음")),
        ({"정답": "5년", "그 밖의 설정": "{"}, ("options", CaseFault.WRONG_OPTION, "{")),
    ],
    ids=lambda value: "" if isinstance(value, dict) else str(value[1]),
)
def test_a_wrong_row_is_told_with_its_column_and_value(cells, expected):
    assert fault(**cells) == expected


def test_no_wrong_row_hides_another_and_twins_are_refused():
    rows: list[tuple[int, JsonObject | None]] = [
        (2, {"번호": "a", "질문": "가?", "정답": "1"}),
        (3, {"번호": "a", "질문": "나?", "정답": "1"}),
        (4, {"번호": "b", "질문": "가", "정답": "1"}),
        (5, None),
        (6, {"번호": "", "질문": "", "정답": ""}),
        (7, {"번호": "예시-1", "질문": "예?", "정답": "예"}),
        (8, {"번호": "c", "질문": "다?", "정답": "1", "담당자": "김"}),
    ]
    found = read_cases(rows)
    assert [case.id for case in found.cases] == ["a", "c"]
    assert [(problem.row, problem.fault) for problem in found.problems] == [
        (3, CaseFault.DUPLICATE_ID), (4, CaseFault.DUPLICATE_QUESTION), (5, CaseFault.UNREADABLE),
    ]  # fmt: skip
    assert found.problems[0].value == "a (2)"
    assert found.notes == [
        "columns that nobody reads: 담당자",
        "rows of the template's examples that were left out: 1",
    ]


def test_what_is_there_already_does_not_come_again():
    present = [TestCase(id="a", question="가?", accepted_answers=["1"])]
    found = read_cases([(2, {"번호": "b", "질문": "가", "정답": "1"})], present)
    assert [problem.fault for problem in found.problems] == [CaseFault.DUPLICATE_QUESTION]


OF_SAFETY_SUITES = {"safety", "kobbq"}
"""Scorers whose cases come with their suites, and are not written by hand."""
CASES = [
    TestCase(id="1", question="여러\n줄, \"따옴표\" =1+1", accepted_answers=["가|나", "다\\라"], category="tolls"),
    TestCase(id="2", question="수?", accepted_answers=["15,000원"], scorer="number", options={"tolerance": 100.0}),
    TestCase(id="3", question="_x0041_ & <b>", accepted_answers=["나"], choices=["가", "나"], scorer="multiple_choice"),
    TestCase(id="4", question="조항?", scorer="regex", options={"pattern": "제|조", "whole": True}),
    TestCase(
        id="5", question="설명?", accepted_answers=["보수"], scorer="token_f1", pass_score=0.6, source_document="a.hwp",
        system_prompt="짧게 답합니다.", attribute="보수", note="메모",
    ),
]  # fmt: skip


def rows_of(content: bytes, suffix: str, folder: Path) -> list[tuple[int, JsonObject | None]]:
    """The rows as the import reads them."""
    path = folder / f"cases{suffix}"
    path.write_bytes(content)
    (file,) = open_input_files([str(path)], relative_to=folder, allowed_roots=[folder])
    return [(row.line, row.value if isinstance(row, ParsedRow) else None) for row in open_rows(file).rows]


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_written_out_reads_back_the_same(suffix, language, tmp_path):
    found = read_cases(rows_of(export_bytes(CASES, suffix, language), suffix, tmp_path))
    assert found.problems == []
    assert found.cases == CASES


def test_a_case_is_the_row_it_came_from():
    for case in CASES:
        assert case_of_row(row_of_case(case)) == case


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_the_template_has_an_example_of_each_scorer_that_an_import_would_take(suffix, language, tmp_path):
    rows = rows_of(template_bytes(suffix, language), suffix, tmp_path)
    assert read_cases(rows).cases == []
    own = [(number, {**(cells or {}), "번호": f"my-{number}", "id": f"my-{number}"}) for number, cells in rows]
    found = read_cases(own)
    assert found.problems == []
    assert {case.scorer for case in found.cases} == set(REGISTERED) - OF_SAFETY_SUITES


def test_the_templates_workbook_offers_the_scorers_and_explains_every_column():
    workbook = openpyxl.load_workbook(io.BytesIO(template_bytes(".xlsx")))
    cases, explanations = workbook.worksheets
    assert (cases.title, explanations.title, cases.freeze_panes) == ("문항", "설명", "A2")
    (validation,) = cases.data_validations.dataValidation
    assert validation.formula1.strip('"').split(",")[:2] == ["포함", "모두 포함"]
    assert str(validation.sqref) == "E2:E10000"
    explained = {row[0] for row in explanations.iter_rows(values_only=True)}
    assert {column.header.korean for column in CASE_COLUMNS} < explained
