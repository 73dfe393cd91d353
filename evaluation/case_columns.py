"""The columns of a table of test cases: their headers in both languages, other names they are known by, what stands in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.words import Wording


@dataclass(frozen=True, slots=True)
class CaseColumn:
    """One column."""

    key: str
    """Field of the test case; `options.` before the name of an option."""
    header: Wording
    explanation: Wording
    aliases: tuple[str, ...] = ()
    width: int = 18
    """Of the column in a workbook, in characters."""


CASE_COLUMNS: tuple[CaseColumn, ...] = (
    CaseColumn(
        "id",
        Wording("번호", "id"),
        Wording(
            "문항의 이름. 비워 두면 질문에서 만듭니다. 다시 가져올 때 같은 문항인지는 번호로 압니다.",
            "Name of the case; made from the question where it is empty. An import knows a case again by it.",
        ),
        ("case_id", "caseid", "문항번호", "문항 번호", "아이디", "no"),
        12,
    ),
    CaseColumn(
        "question",
        Wording("질문", "question"),
        Wording("모델에 묻는 글. 꼭 있어야 합니다.", "What the model is asked. Required."),
        ("문제", "문항", "prompt", "q"),
        48,
    ),
    CaseColumn(
        "accepted_answers",
        Wording("정답", "accepted_answers"),
        Wording(
            r"맞는 답. 여럿이면 |로 나눕니다: 30일|한 달. 답에 |가 있으면 \|로 씁니다.",
            r"What counts as right; several are parted by |: 30 days|one month. A | inside an answer is written \|.",
        ),
        ("답", "답안", "모범답안", "모범 답안", "answer", "answers", "gold", "accepted answers", "a"),
        30,
    ),
    CaseColumn(
        "category",
        Wording("분류", "category"),
        Wording("결과를 나누어 보는 갈래. 비우면 general입니다.", "Results are told by it; empty means general."),
        ("범주", "유형", "카테고리", "영역"),
    ),
    CaseColumn(
        "scorer",
        Wording("채점", "scorer"),
        Wording(
            "채점 방식. 비우면 보기가 있을 때 객관식, 정규식이 있을 때 정규식, 평가 기준이 있을 때 평가 기준, 아니면 포함입니다.",
            "How answers are scored. Empty: multiple choice with choices, pattern with a pattern, rubric with a rubric, else contains.",
        ),
        ("채점방식", "채점 방식", "채점 방법", "scoring", "metric"),
    ),
    CaseColumn(
        "choices",
        Wording("보기", "choices"),
        Wording("객관식의 보기. |로 나눕니다.", "Choices of a multiple choice question, parted by |."),
        ("선택지", "선지"),
        30,
    ),
    CaseColumn(
        "options.tolerance",
        Wording("허용오차", "tolerance"),
        Wording(
            "수치 채점: 이만큼 달라도 맞습니다. 정답의 단위로 씁니다.",
            "number: may differ by this, in the answer's unit.",
        ),
        ("허용 오차", "절대오차"),
        10,
    ),
    CaseColumn(
        "options.relative_tolerance",
        Wording("상대오차", "relative_tolerance"),
        Wording(
            "수치 채점: 정답의 이 비율만큼 달라도 맞습니다(0.01은 1 %).",
            "number: may differ by this share (0.01 is 1 %).",
        ),
        ("상대 오차", "relative tolerance"),
        10,
    ),
    CaseColumn(
        "options.unit",
        Wording("단위", "unit"),
        Wording(
            "수치 채점: 정답에 단위를 쓰지 않았을 때의 단위.", "number: the unit where the answer has none written."
        ),
        (),
        8,
    ),
    CaseColumn(
        "options.which",
        Wording("수 고르기", "which"),
        Wording(
            "수치 채점: 답변에 수가 여럿일 때 any(아무거나), first, last, only(하나뿐일 때만).",
            "number: of several numbers any, first, last, or only where there is one.",
        ),
        ("수고르기",),
        10,
    ),
    CaseColumn(
        "options.pattern",
        Wording("정규식", "pattern"),
        Wording("정규식 채점: 답변에서 찾을 RE2 정규식.", "regex: the RE2 expression to find."),
        ("패턴", "regex"),
        24,
    ),
    CaseColumn(
        "options.rubric",
        Wording("평가 기준", "rubric"),
        Wording("평가 기준 채점: 심사 모델이 볼 기준.", "rubric: what the judge model goes by."),
        ("평가기준", "채점기준", "채점 기준", "루브릭"),
        36,
    ),
    CaseColumn(
        "pass_score",
        Wording("합격 점수", "pass_score"),
        Wording(
            "0에서 1. 점수가 이 이상이면 맞은 문항입니다. 비우면 1입니다.",
            "0 to 1: right from this score on. Empty means 1.",
        ),
        ("합격점수", "통과점수", "통과 점수", "pass score"),
        10,
    ),
    CaseColumn(
        "system_prompt",
        Wording("시스템 지시문", "system_prompt"),
        Wording("이 문항에만 쓰는 시스템 지시문.", "A system prompt for this case alone."),
        ("시스템지시문", "시스템 프롬프트", "지시문", "system", "system prompt"),
        24,
    ),
    CaseColumn(
        "source_document",
        Wording("출처", "source_document"),
        Wording(
            "문항을 만든 문서. 같은 문서에서 나온 문항은 서로 독립이 아니므로 신뢰구간이 넓어집니다.",
            "Document the case was written from: cases of one document are not independent, which widens intervals.",
        ),
        ("출처문서", "근거 문서", "근거문서", "근거", "source", "document", "source document"),
        24,
    ),
    CaseColumn(
        "attribute",
        Wording("항목", "attribute"),
        Wording("묻는 사실의 이름. 비워도 됩니다.", "Name of the fact that is asked for; may be empty."),
        ("속성",),
        12,
    ),
    CaseColumn(
        "note",
        Wording("비고", "note"),
        Wording("사람이 보는 메모. 채점에 쓰지 않습니다.", "A note to people; it changes no score."),
        ("메모", "설명", "remark", "comment", "notes"),
        30,
    ),
    CaseColumn(
        "options",
        Wording("그 밖의 설정", "options"),
        Wording('그 밖의 채점 설정, JSON: {"whole": true}', 'Further options as JSON: {"whole": true}'),
        ("설정", "옵션"),
        16,
    ),
)


def column_key(header: str) -> str | None:
    """The key of the column with this header; None for a header that nobody knows."""
    return _KEYS.get(_plain(header))


def headers(keys: Sequence[str], language: str) -> list[str]:
    """Headers of these columns, in their order."""
    by_key = {column.key: column.header.of(language) for column in CASE_COLUMNS}
    return [by_key[key] for key in keys]


def _plain(header: str) -> str:
    return re.sub(r"[\s_*()]+", "", header).casefold()


_KEYS = {
    _plain(name): column.key
    for column in CASE_COLUMNS
    for name in (column.key, column.key.removeprefix("options."), *column.header, *column.aliases)
}
