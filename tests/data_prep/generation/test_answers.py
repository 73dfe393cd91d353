"""JSON as models really write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.generation.answers import samples_in

ONE = {"question": "가?", "answer": "나."}
WHOLE = '{"samples": [{"question": "가?", "answer": "나."}]}'


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        f"```json\n{WHOLE}\n```",
        f"네, 알겠습니다. 결과는 다음과 같습니다.\n{WHOLE}\n도움이 되었기를 바랍니다.",
        f"<think>먼저 {{본문}}을 읽는다. [1]</think>\n{WHOLE}",
        '[{"question": "가?", "answer": "나."}]',
        '{"question": "가?", "answer": "나."}',
        '{"samples": [{"question": "가?", "answer": "나."}, {"question": "다?", "ans',
        '{"samples": [{"question": "가?", "answer": "나."}, ]',
    ],
    ids=[
        "as asked",
        "fenced",
        "with words around",
        "after thoughts",
        "a bare list",
        "a bare sample",
        "cut off",
        "bad comma",
    ],
)
def test_the_samples_of_an_answer_are_found(text):
    assert samples_in(text) == [ONE]


def test_none_wanted_is_no_failure():
    assert samples_in('{"samples": []}') == []


@pytest.mark.parametrize(
    "text",
    ["", "죄송합니다. 답변드릴 수 없습니다.", '{"samples": [{"question": "가', '{"error": "busy"}', "null", "[1, 2]", "{" * 3000],
    ids=["nothing", "a refusal", "half a sample", "other JSON", "null", "numbers", "deep"],
)  # fmt: skip
def test_what_is_not_the_json_that_was_asked_for_is_unreadable(text):
    assert samples_in(text) is None


@given(st.text(alphabet='{}[]",:\\ 가a1\n', max_size=120))
def test_no_text_breaks_the_reader(text):
    found = samples_in(text)
    assert found is None or all(isinstance(sample, dict) for sample in found)


@given(st.integers(min_value=0, max_value=len(WHOLE)))
def test_an_answer_cut_anywhere_gives_whole_samples_or_none(length):
    assert samples_in(WHOLE[:length]) in (None, [ONE])
