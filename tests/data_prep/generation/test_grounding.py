"""What counts as said by a passage."""

import json

import pytest

from data_prep.generation.grounding import grounding, numbers_in, source_of, unsupported_numbers
from tests.conftest import REPOSITORY_ROOT

SOURCE = source_of(
    [
        "지사는 서류를 훑어본 뒤 요금제도처로 이송한다. 신청서가 지사에 접수된 날부터 45일 이내에 결과를 확정한다. "
        "대조해야 할 통행이 만 건을 넘으면 자료를 나누어 받고, 21시부터 심야로 본다. 보증금은 2천만 원, 한도는 1억 5,000만 원이며 "
        "두 차례까지 연기할 수 있다. 이자는 연 3.5퍼센트, 기록은 세 가지로 나누어 삼 년간 보존한다."
    ]
)


def test_words_of_the_passage_with_other_endings_are_said_by_it():
    assert grounding("결과 확정 기한은?", "지사에 접수한 날부터 45일 이내에 결과를 확정합니다.", SOURCE) > 0.9


def test_an_answer_about_something_else_is_not():
    assert grounding("휴게소 유실물은 어디에 맡기나요?", "경찰서에 인계하여 보관합니다.", SOURCE) < 0.3


def test_a_number_that_the_passage_has_not_is_found():
    assert unsupported_numbers("45일 이내에 확정하며 수수료는 3,000원입니다.", SOURCE) == ["3000"]


@pytest.mark.parametrize(
    "said",
    ["20,000,000원", "2,000만 원", "２천만 원", "1억 5천만 원", "150,000,000원", "10,000건", "2차례", "3가지", "3년간", "3.5%", "밤 9시", "45일"],
)  # fmt: skip
def test_the_same_value_in_another_notation_is_no_other_number(said):
    assert unsupported_numbers(said, SOURCE) == []


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("2천만 원", ["20000000"]),
        ("1억 5,000만 원과 300원", ["150000000", "300"]),
        ("2024. 3. 1.부터 30~50%", ["2024", "3", "1", "30", "50"]),
        ("1. 신청서\n2. 사진\n① 원본", []),
        ("없습니다", []),
        ("제12조제3항", ["12", "3"]),
    ],
)
def test_numbers_are_read_as_values(text, values):
    assert numbers_in(text) == values


def test_answers_in_other_words_than_their_document_pass_and_those_of_another_do_not():
    """The figures in the module's docstring, on the demo's rows."""
    folder = REPOSITORY_ROOT / "demo" / "documents"
    sources = {
        path.relative_to(folder).as_posix(): source_of([path.read_text(encoding="utf-8")])
        for path in folder.rglob("*.*")
    }
    names = sorted(sources)
    own = other = refused_numbers = rows = 0
    for number, line in enumerate((REPOSITORY_ROOT / "demo/data/regulations.jsonl").read_text("utf-8").splitlines()):
        try:
            row = json.loads(line)
            name = row["metadata"]["source"]
            question, answer = (str(message["content"]) for message in row["messages"][:2])
        except (ValueError, LookupError, TypeError):
            continue  # the demo's broken rows
        if name not in sources or len(answer) < 6:
            continue
        wrong = sources[names[(names.index(name) + 1 + number % (len(names) - 1)) % len(names)]]
        rows += 1
        refused_numbers += bool(unsupported_numbers(answer, sources[name]))
        own += grounding(question, answer, sources[name]) >= 0.5
        other += grounding(question, answer, wrong) >= 0.5 and not unsupported_numbers(answer, wrong)
    assert rows > 1500
    assert own / rows > 0.85
    assert other / rows < 0.08
    assert refused_numbers / rows < 0.005
