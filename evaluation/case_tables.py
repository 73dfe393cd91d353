"""Test cases as files for people: the template that explains everything, and the export of a suite."""

import csv
import io
import json
from collections.abc import Sequence

from contracts.evaluation import TestCase
from contracts.words import SCORER_EXPLANATIONS, SCORERS, Wording
from evaluation.case_columns import CASE_COLUMNS, CaseColumn
from evaluation.case_rows import EXAMPLE_PREFIX, row_of_case
from evaluation.scorers.registry import SCORERS as REGISTERED
from storage.workbook import Sheet, workbook_bytes

FORMATS = (".xlsx", ".csv", ".jsonl")
EXPLANATION_SHEETS = ("설명", "Explanations")
_CASES_SHEET = Wording("문항", "Cases")
_TEMPLATE_KEYS = (
    "id", "question", "accepted_answers", "category", "scorer", "choices", "options.tolerance", "options.unit",
    "options.pattern", "options.rubric", "pass_score", "source_document", "note",
)  # fmt: skip
_LISTS = frozenset({"accepted_answers", "choices"})
_NUMBERS = frozenset({"options.tolerance", "pass_score"})
_ALWAYS = ("id", "question", "accepted_answers", "category", "scorer")


def export_bytes(cases: Sequence[TestCase], suffix: str, language: str = "ko") -> bytes:
    """The cases as a file that an import reads back as the same cases; the suffix is one of FORMATS."""
    if suffix == ".jsonl":
        lines = [case.model_dump_json(exclude_defaults=True) + "\n" for case in cases]
        return "".join(lines).encode()
    rows = [row_of_case(case) for case in cases]
    keys = [column.key for column in CASE_COLUMNS if column.key in _ALWAYS or any(column.key in row for row in rows)]
    return _table(keys, rows, suffix, language, [])


def template_bytes(suffix: str, language: str = "ko") -> bytes:
    """A file to fill in: one example a scorer, whose rows an import leaves out, and in a workbook a sheet that explains."""
    if suffix == ".jsonl":
        lines = [json.dumps(_plain(row), ensure_ascii=False) + "\n" for row in _examples(language)]
        return "".join(lines).encode()
    return _table(_TEMPLATE_KEYS, _examples(language), suffix, language, [_explanations(language)])


def _table(
    keys: Sequence[str], rows: Sequence[dict[str, str]], suffix: str, language: str, further: Sequence[Sheet]
) -> bytes:
    by_key: dict[str, CaseColumn] = {column.key: column for column in CASE_COLUMNS}
    header = [by_key[key].header.of(language) for key in keys]
    cells = [header, *([row.get(key, "") for key in keys] for row in rows)]
    if suffix == ".csv":
        stream = io.StringIO(newline="")
        csv.writer(stream).writerows(cells)
        # Excel takes a file without the mark for one in the system's code page
        return stream.getvalue().encode("utf-8-sig")
    sheet = Sheet(
        _CASES_SHEET.of(language),
        cells,
        [by_key[key].width for key in keys],
        (list(keys).index("scorer"), tuple(scorer_name(name, language) for name in REGISTERED)),
    )
    return workbook_bytes([sheet, *further])


def scorer_name(name: str, language: str) -> str:
    """What people call the scorer."""
    return SCORERS[name].of(language) if name in SCORERS else name


def _explanations(language: str) -> Sheet:
    rows = [
        [Wording("열", "Column").of(language), Wording("뜻", "Meaning").of(language)],
        *([column.header.of(language), column.explanation.of(language)] for column in CASE_COLUMNS),
        ["", ""],
        [Wording("채점", "Scorer").of(language), Wording("뜻", "Meaning").of(language)],
        *(
            [scorer_name(name, language), SCORER_EXPLANATIONS[name].of(language)]
            for name in REGISTERED
            if name in SCORER_EXPLANATIONS
        ),
        ["", ""],
        [
            Wording("예시", "Examples").of(language),
            Wording(
                f"번호가 ‘{EXAMPLE_PREFIX}’로 시작하는 행은 가져오지 않습니다. 지우지 않아도 됩니다.",
                f"Rows whose id begins with {EXAMPLE_PREFIX} are left out of an import.",
            ).of(language),
        ],
    ]
    return Sheet(EXPLANATION_SHEETS[0 if language == "ko" else 1], rows, [22, 100])


def _examples(language: str) -> list[dict[str, str]]:
    """One case a scorer, as the row of a table."""
    given: list[dict[str, str]] = [
        {"question": "미납 통행료 분할 납부는 어느 부서가 맡나요?", "accepted_answers": "영업관리처|통행료 관리 부서", "scorer": "contains"},
        {"question": "유실물 인계 시 적어야 할 두 가지는 무엇인가요?", "accepted_answers": "습득 일시|습득 장소", "scorer": "contains_all"},
        {"question": "제14호 서식의 보존 기간은 얼마인가요?", "accepted_answers": "5년", "scorer": "exact"},
        {"question": "통행료 환불 신청 기한은 며칠인가요?", "accepted_answers": "30일", "scorer": "number", "options.tolerance": "0", "options.unit": "일"},
        {"question": "야간 할인을 받는 시간대는 언제인가요?", "accepted_answers": "21시~6시", "scorer": "multiple_choice", "choices": "9시~18시|21시~6시|12시~13시"},
        {"question": "근거 조항을 적어 주세요.", "scorer": "regex", "options.pattern": r"제\s*\d+\s*조"},
        {"question": "포트홀 신고를 받으면 무엇부터 하나요?", "accepted_answers": "현장 안전 조치 후 긴급 보수", "scorer": "token_f1", "pass_score": "0.6"},
        {"question": "교량 점검 주기를 설명해 주세요.", "accepted_answers": "정기 점검은 반기에 한 번, 정밀 점검은 2년에 한 번 합니다.", "scorer": "character_f1", "pass_score": "0.7"},
        {"question": "사고 처리 순서를 설명해 주세요.", "accepted_answers": "신고 접수, 현장 통제, 구난, 복구 순으로 처리합니다.", "scorer": "rouge_l", "pass_score": "0.6"},
        {"question": "민원인에게 지연 사유를 안내해 주세요.", "scorer": "rubric", "options.rubric": "사과, 사유, 다음 조치가 모두 있고 정중하다."},
    ]  # fmt: skip
    return [
        {
            "id": f"{EXAMPLE_PREFIX}{number}",
            "category": Wording("예시", "example").of(language),
            **row,
            "scorer": scorer_name(row["scorer"], language),
            "note": SCORER_EXPLANATIONS[row["scorer"]].of(language),
        }
        for number, row in enumerate(given, start=1)
        if row["scorer"] in REGISTERED
    ]


def _plain(row: dict[str, str]) -> dict[str, object]:
    """The row as JSON: lists and options as such."""
    result: dict[str, object] = {}
    options: dict[str, object] = {
        key.removeprefix("options."): float(text) if key in _NUMBERS else text
        for key, text in row.items()
        if key.startswith("options.")
    }
    for key, text in row.items():
        if not key.startswith("options."):
            result[key] = text.split("|") if key in _LISTS else float(text) if key in _NUMBERS else text
    return {**result, "options": options} if options else result
