"""The shapes in which people have conversations, and what becomes of each."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from contracts.datasets import ColumnMapping
from contracts.record import JsonObject
from data_prep.imports.keys import key_of_questions
from data_prep.imports.shapes import CONTINUE_TEMPLATE, canonical_row
from data_prep.normalisation import comparable
from data_prep.rows import Message, Rejection

CHAT = [("system", "친절하게."), ("user", "가?"), ("assistant", "나."), ("user", "다?"), ("assistant", "라.")]


def spoken(value, mapping=None) -> list[tuple[str, str]]:
    row = canonical_row(value, mapping or ColumnMapping(), "x:1")
    assert not isinstance(row, Rejection), row.reason
    return [(message.role, message.content) for message in row.messages]


def refused(value, mapping=None) -> str:
    row = canonical_row(value, mapping or ColumnMapping(), "x:1")
    assert isinstance(row, Rejection)
    return row.reason


OPENAI = [{"role": role, "content": content} for role, content in CHAT]
SHAREGPT = [{"from": {"user": "human", "assistant": "gpt"}.get(role, role), "value": content} for role, content in CHAT]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": OPENAI},
        {"messages": json.dumps(OPENAI)},
        {"messages": [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in OPENAI]},
        {"messages": [{**turn, "name": None} for turn in OPENAI]},
        {"conversations": SHAREGPT},
        {"conversations": SHAREGPT[1:], "system": "친절하게."},
        {"conversation": OPENAI},
        {"prompt": OPENAI[:-1], "completion": OPENAI[-1:]},
        {"prompt": OPENAI[:-1], "completion": "라."},
        {"instruction": "다?", "input": "", "output": "라.", "system": "친절하게.", "history": [["가?", "나."]]},
        {
            "text": "<|im_start|>system\n친절하게.<|im_end|>\n<|im_start|>user\n가?<|im_end|>\n<|im_start|>assistant\n나."
            "<|im_end|>\n<|im_start|>user\n다?<|im_end|>\n<|im_start|>assistant\n라.<|im_end|>"
        },
        {"text": "<s>[INST] <<SYS>>친절하게.<</SYS>> 가? [/INST] 나. </s><s>[INST] 다? [/INST] 라. </s>"},
        {"text": "### System:\n친절하게.\n### User: 가?\n### Assistant: 나.\n### User: 다?\n### Assistant: 라."},
    ],
    ids=range(13),
)
def test_every_way_to_write_a_conversation_gives_the_same_turns(row):
    assert spoken(row) == CHAT


def test_alpaca_rendered_into_one_text_is_taken_apart():
    text = "Below is an instruction.\n\n### Instruction:\n요약하세요.\n\n### Input:\n긴 글\n\n### Response:\n짧은 글"

    assert spoken({"text": text}) == [
        ("system", "Below is an instruction."),
        ("user", "요약하세요.\n\n긴 글"),
        ("assistant", "짧은 글"),
    ]


def test_tool_turns_keep_their_calls_and_answers():
    call: JsonObject = {"id": "c1", "type": "function", "function": {"name": "toll", "arguments": '{"exit": "서울"}'}}
    value: JsonObject = {
        "messages": [
            {"role": "user", "content": "통행료는?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "name": "toll", "content": {"won": 4800}},
            {"role": "assistant", "content": "4,800원입니다."},
        ],
        "tools": [{"type": "function", "function": {"name": "toll"}}],
    }

    row = canonical_row(value, ColumnMapping(), "x:1")

    assert not isinstance(row, Rejection)
    assert row.messages == (
        Message("user", "통행료는?"),
        Message("assistant", "", {"tool_calls": [call]}),
        Message("tool", '{"won":4800}', {"tool_call_id": "c1", "name": "toll"}),
        Message("assistant", "4,800원입니다."),
    )
    assert row.metadata["tools"] == value["tools"]


def test_sharegpt_calls_of_functions_become_tool_calls():
    turns: list[JsonValue] = [
        {"from": "human", "value": "통행료는?"},
        {"from": "function_call", "value": '{"name": "toll", "arguments": {"exit": "서울"}}'},
        {"from": "observation", "value": '{"won": 4800}'},
        {"from": "gpt", "value": "4,800원입니다."},
    ]

    row = canonical_row({"conversations": turns}, ColumnMapping(), "x:1")

    assert not isinstance(row, Rejection)
    assert [message.role for message in row.messages] == ["user", "assistant", "tool", "assistant"]
    assert row.messages[1].extra == {
        "tool_calls": [{"type": "function", "function": {"name": "toll", "arguments": {"exit": "서울"}}}]
    }


@pytest.mark.parametrize(
    ("roles", "reason"),
    [
        ("ua", None),
        ("suaua", None),
        ("uata", None),
        ("uattaua", None),
        ("u", "the last turn is not the assistant's"),
        ("uau", "the last turn is not the assistant's"),
        ("a", "take turns"),
        ("uua", "take turns"),
        ("uaa", "take turns"),
        ("uasua", "a system message stands after the first turn"),
        ("uta", "a tool answers without having been asked"),
        ("s", "the last turn"),
    ],
)
def test_turns_come_in_an_order_that_a_chat_can_have(roles, reason):
    names = {"u": "user", "a": "assistant", "s": "system", "t": "tool"}
    value = {"messages": [{"role": names[role], "content": "가"} for role in roles]}

    if reason is None:
        assert "".join(role[0] for role, _ in spoken(value)) == roles
    else:
        assert reason in refused(value)


def test_a_reason_never_quotes_the_row():
    secret = "900101-1234567"
    rows: list[JsonObject] = [
        {"messages": [{"role": secret, "content": "가"}]},
        {"messages": [{"role": "user", "content": secret}]},
        {"messages": secret},
        {secret: "가", "b": "나"},
        {"question": secret, "answer": ""},
        {"question": [secret], "answer": "나"},
    ]

    assert all(secret not in refused(row) for row in rows)


@pytest.mark.parametrize(
    "turns", [[], "x", "[", 5, None, {}, [5], [{}], [{"role": 5, "content": "가"}], [["가", "나"]]]
)
def test_what_is_no_list_of_turns_is_refused(turns):
    assert refused({"messages": turns})


def test_plain_text_asks_to_go_on_with_its_first_sentence():
    text = "고속도로는 빠르게 달리는 도로입니다. 통행료를 냅니다. 하이패스를 쓰면 편합니다."

    assert spoken({"text": text}) == [
        ("user", CONTINUE_TEMPLATE.replace("{beginning}", "고속도로는 빠르게 달리는 도로입니다.")),
        ("assistant", "통행료를 냅니다. 하이패스를 쓰면 편합니다."),
    ]


def test_plain_text_too_short_to_go_on_with_says_what_to_do():
    assert "question_template" in refused({"text": "짧은 글."})


def test_plain_text_with_a_template_is_the_answer():
    mapping = ColumnMapping(text="body", question_template="{title}에 대해 알려 주세요.")

    assert spoken({"title": "통행료", "body": "짧은 글."}, mapping) == [
        ("user", "통행료에 대해 알려 주세요."),
        ("assistant", "짧은 글."),
    ]


def test_a_mapping_names_context_system_and_identity():
    mapping = ColumnMapping(question="q2", answer="a2", context="passage", system="persona", id="no")
    value: JsonObject = {"q2": "누구?", "a2": "나.", "passage": "긴 지문", "persona": "간결하게.", "no": 7}

    row = canonical_row(value, mapping, "x:1")

    assert not isinstance(row, Rejection)
    assert [(m.role, m.content) for m in row.messages] == [
        ("system", "간결하게."),
        ("user", "누구?\n\n긴 지문"),
        ("assistant", "나."),
    ]
    assert row.metadata == {"id": 7}


def _key(value) -> str:
    row = canonical_row(value, ColumnMapping(), "x:1")
    assert not isinstance(row, Rejection)
    return row.key


def test_a_row_with_an_identity_keeps_its_key_when_its_text_changes():
    assert _key({"id": 7, "question": "가?", "answer": "나."}) == _key({"id": "7", "question": "다?", "answer": "라."})
    assert _key({"metadata": {"id": 7}, "question": "가?", "answer": "나."}) == _key(
        {"row_id": 7, "Q": "마", "A": "바"}
    )


def test_a_row_without_identity_is_known_by_its_questions_whatever_their_spaces():
    here = _key({"question": "담당 하나요?", "answer": "나."})

    assert here == _key({"question": "담당하나요", "answer": "다."})
    assert here != _key({"question": "담당하나", "answer": "나."})
    assert here != _key({"id": "담당하나요", "question": "담당하나요", "answer": "나."})
    assert len(here) == 16


@given(st.lists(st.text()))
def test_keys_compare_texts_as_duplicates_do(texts):
    assert key_of_questions(texts) == key_of_questions([comparable(text) or text for text in texts])
