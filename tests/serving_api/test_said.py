"""What an answer says is found in every form that model servers give it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_api import said
from serving_api.said import Said, said_in


def test_the_text_of_a_stream_is_put_together_up_to_where_it_broke_off():
    events = [
        'data: {"choices":[{"delta":{"role":"assistant","content":null}}]}',
        'data: {"choices":[{"delta":{"content":"통행"}}]}',
        "",
        'data: {"choices":[{"delta":{"content":"료"}}]}',
        'data: {"choices":[],"usage":{"total_tokens":3}}',
        "data: [DONE]",
    ]
    body = "\n".join(events).encode()
    whole = said_in(body, is_stream=True)
    assert (whole.text, whole.completion_tokens) == ("통행료", None)
    assert said_in(body[:-60], is_stream=True).text == "통행료"
    begun = 'data: {"choices":[{"delta":{"content":"통행"}}]}\n\ndata: {"cho'.encode()
    assert said_in(begun, is_stream=True).text == "통행"


def test_tokens_are_those_that_the_server_told_else_the_pieces_with_text():
    piece = 'data: {"choices":[{"delta":{"content":"통행"}}]}\n\n'.encode()
    told = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9}}\n\ndata: [DONE]\n\n'
    counted = said_in(piece + piece, is_stream=True)
    assert (counted.prompt_tokens, counted.completion_tokens) == (None, 2)
    usage = said_in(piece + piece + told, is_stream=True)
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 9)
    body = '{"choices":[{"text":"통행료"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}'.encode()
    whole = said_in(body, is_stream=False)
    assert (whole.text, whole.prompt_tokens, whole.completion_tokens) == ("통행료", 3, 4)


def test_an_answer_without_text_is_an_empty_text():
    assert said_in(b'{"choices":[{"message":{"content":null}}]}', is_stream=False).text == ""
    assert said_in(b"<html>", is_stream=False).text == ""
    assert said_in(b'{"data":[{"embedding":[0.1]}]}', is_stream=False).text == ""


def loosely(body: bytes, *, is_stream: bool) -> Said:
    """As `said_in`, every piece read the long way."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(said, "_read", said._read_loosely)
        return said_in(body, is_stream=is_stream)


TEXTS = st.none() | st.text(max_size=4) | st.integers(0, 9) | st.just([{"type": "text", "text": "통행료"}])
PARTS = st.none() | st.fixed_dictionaries({"content": TEXTS}, optional={"role": st.just("assistant"), "refusal": TEXTS})
CHOICES = st.one_of(
    *(st.fixed_dictionaries({name: PARTS}, optional={"index": st.integers(0, 3)}) for name in ("delta", "message")),
    st.fixed_dictionaries({"text": TEXTS}),
    st.just({}),
    st.integers(0, 3),
)
NUMBERS = st.none() | st.integers(-1, 2**70) | st.booleans() | st.just("7")
USAGES = st.none() | st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens"]), NUMBERS)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.none() | st.lists(CHOICES, max_size=2),
        "usage": USAGES,
        "data": st.lists(st.floats(allow_nan=False)),
    },
)


@given(ANSWERS)
def test_what_is_skipped_unread_changes_nothing(answer):
    body = json.dumps(answer, ensure_ascii=False).encode()
    assert said_in(body, is_stream=False) == loosely(body, is_stream=False)


@given(st.lists(ANSWERS, max_size=4), st.integers(0, 400))
def test_a_stream_cut_anywhere_is_read_the_same(answers, kept):
    body = b"".join(b"data: %b\n\n" % json.dumps(answer, ensure_ascii=False).encode() for answer in answers)[:kept]
    assert said_in(body, is_stream=True) == loosely(body, is_stream=True)
