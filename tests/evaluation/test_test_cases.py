"""Test case files and test splits."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from contracts.errors import InvalidDataError, NotFoundError
from evaluation.test_cases import most_common_system_prompt, read_suite, read_test_split

GOOD = '{"id": "a-1", "question": "보존 기간은?", "accepted_answers": ["5년"], "category": "tolls"}'


def _file(tmp_path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "suite.jsonl"
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def test_a_suite_is_read_with_its_hash_and_name(tmp_path):
    suite = read_suite(_file(tmp_path, GOOD, "", GOOD.replace("a-1", "a-2").replace("보존", "처리")))
    assert [case.id for case in suite.cases] == ["a-1", "a-2"]
    assert (suite.name, len(suite.sha256)) == ("suite", 64)


def test_a_byte_order_mark_is_no_obstacle(tmp_path):
    assert len(read_suite(_file(tmp_path, GOOD, encoding="utf-8-sig")).cases) == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "a-2",', "Line 2 .* not JSON"),
        ('["a-2"]', "Line 2 .* not a JSON object"),
        ('{"id": "a-2", "question": "기한은?"}', "Line 2 .*accepted_answers"),
        ('{"id": "a-2", "question": "기한은?", "accepted_answers": []}', "Line 2 .*accepted_answers"),
        ('{"id": "a-2", "question": "", "accepted_answers": ["5년"]}', "Line 2 .*question"),
        ('{"id": "a-2", "question": "기한은?", "accepted_answers": ["..."]}', "Line 2 .*no letter and no digit"),
        ('{"id": "a-2", "question": "기한은?", "accepted_answers": ["5년"], "anwser": 1}', "Line 2 .*anwser"),
        (GOOD.replace("보존", "처리"), "Line 2 .*id stands in line 1"),
        (GOOD.replace("a-1", "a-2").replace("보존 기간은?", "보존  기간은"), "Line 2 .*question stands in line 1"),
    ],
)
def test_a_broken_line_is_named_in_one_error(tmp_path, line, says):
    with pytest.raises(InvalidDataError, match=says) as caught:
        read_suite(_file(tmp_path, GOOD, line))
    assert "correct line 2 of" in caught.value.next_step


def test_text_that_is_not_utf8_names_its_line(tmp_path):
    path = tmp_path / "suite.jsonl"
    path.write_bytes(GOOD.encode() + b"\n" + GOOD.replace("a-1", "a-2").encode("cp949"))
    with pytest.raises(InvalidDataError, match=r"Line 2 .*not UTF-8"):
        read_suite(path)


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(InvalidDataError, match="has no test cases"):
        read_suite(_file(tmp_path, "", "  "))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match="cannot be read"):
        read_suite(tmp_path / "none.jsonl")


def test_a_slice_is_the_same_each_time_and_says_what_it_left_out(tmp_path):
    lines = [GOOD.replace("a-1", f"a-{n}").replace("보존", f"{n}번 서식 보존") for n in range(20)]
    suite = read_suite(_file(tmp_path, *lines))
    first, second = suite.limited_to(5), suite.limited_to(5)
    assert first == second
    assert first.excluded == {"beyond_max_cases": 15}
    assert {case.id for case in first.cases} < {case.id for case in suite.limited_to(6).cases}
    assert suite.limited_to(20) is suite


def _split(tmp_path: Path, *rows: tuple[list[dict[str, str]], dict[str, Any]]) -> Path:
    path = tmp_path / "test.parquet"
    columns = {
        "messages": [json.dumps(messages, ensure_ascii=False) for messages, _ in rows],
        "metadata": [json.dumps(metadata, ensure_ascii=False) for _, metadata in rows],
    }
    parquet.write_table(pa.table(columns), path)
    return path


def _talk(question: str, answer: str, system: str | None = None) -> list[dict[str, str]]:
    turns = [{"role": "system", "content": system}] if system else []
    return [*turns, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def test_a_test_split_becomes_test_cases(tmp_path):
    path = _split(
        tmp_path,
        (_talk("보존 기간은?", "5년입니다."), {"category": "tolls"}),
        (_talk("담당 부서는?", "영업처에서 담당합니다."), {"category": "service", "accepted_answers": ["영업처"]}),
        (_talk("첫 질문", "첫 답") + _talk("이어서 묻습니다", "둘째 답"), {}),
    )
    suite = read_test_split(path)
    assert [(case.question, case.accepted_answers, case.category) for case in suite.cases] == [
        ("보존 기간은?", ["5년입니다."], "tolls"),
        ("담당 부서는?", ["영업처"], "service"),
        ("이어서 묻습니다", ["둘째 답"], "general"),
    ]


def test_rows_of_a_split_that_cannot_be_asked_are_counted_by_reason(tmp_path):
    path = _split(
        tmp_path,
        (_talk("보존 기간은?", "5년입니다."), {}),
        (_talk("보존 기간은?", "6년입니다."), {}),
        (_talk("이 서식은?", "…"), {}),
        ([{"role": "user", "content": "답이 없습니다"}], {}),
    )
    assert read_test_split(path).excluded == {"duplicate_question": 1, "no_answer": 2}


def test_a_split_without_a_usable_row_is_refused(tmp_path):
    with pytest.raises(InvalidDataError, match="no question with an answer"):
        read_test_split(_split(tmp_path, ([{"role": "user", "content": "답이 없습니다"}], {})))


def test_the_system_prompt_of_most_rows_is_found(tmp_path):
    some = _talk("질문", "답", system="규정 안내 담당자입니다.")
    none = _talk("질문", "답")
    assert most_common_system_prompt(_split(tmp_path, (some, {}), (some, {}), (none, {}))) == "규정 안내 담당자입니다."
    assert most_common_system_prompt(_split(tmp_path, (some, {}), (none, {}), (none, {}))) is None


def test_a_split_of_several_parts_reads_as_one(tmp_path):
    folder = tmp_path / "parts" / "test.parquet"
    folder.mkdir(parents=True)
    for number, question in enumerate(("첫째?", "둘째?", "셋째?")):
        part = _split(tmp_path, (_talk(question, f"{number}번", system="안내 담당자"), {}))
        part.rename(folder / f"{number:05d}.parquet")

    suite = read_test_split(folder)

    assert [(case.question, case.accepted_answers) for case in suite.cases] == [
        ("첫째?", ["0번"]), ("둘째?", ["1번"]), ("셋째?", ["2번"]),
    ]  # fmt: skip
    assert most_common_system_prompt(folder) == "안내 담당자"
    before = suite.sha256
    (folder / "00002.parquet").unlink()
    assert read_test_split(folder).sha256 != before
