"""Rows: every place where a person could have written is found, and put back where it was."""

from contracts.record import JsonObject
from data_prep.rows import Message, Row, messages_as_json, messages_from_json, texts_of, with_texts

CALL: JsonObject = {"tool_calls": [{"id": "call_1", "function": {"name": "find", "arguments": '{"name": "홍길동"}'}}]}
ROW = Row(
    "a.jsonl:1",
    (
        Message("user", "홍길동 고객의 잔액은?"),
        Message("assistant", "", CALL),
        Message("tool", "12,000원", {"tool_call_id": "call_1"}),
        Message("assistant", "12,000원입니다."),
    ),
    {
        "category": "상담",
        "phone": 1012345678,
        "turns": 4,
        "lineage": {"document_sha256": "ab" * 32, "chunk_id": "0f" * 8, "document": "홍길동 민원.pdf", "start": 12},
    },
)


def test_the_arguments_of_a_tool_and_all_metadata_are_among_the_texts():
    places = dict(texts_of(ROW))

    assert places["messages[1].tool_calls[0].function.arguments"] == '{"name": "홍길동"}'
    assert places["metadata.phone"] == "1012345678"
    assert places["metadata.lineage.document"] == "홍길동 민원.pdf"


def test_hashes_and_small_numbers_are_nothing_that_a_person_wrote():
    places = dict(texts_of(ROW))

    assert not {"metadata.lineage.document_sha256", "metadata.lineage.chunk_id", "metadata.turns"} & set(places)


def test_the_same_texts_give_the_same_row():
    assert with_texts(ROW, [text for _, text in texts_of(ROW)]) == ROW


def test_other_texts_come_to_the_same_places():
    changed = with_texts(ROW, [f"<{text}>" for _, text in texts_of(ROW)])

    assert changed.question == "<홍길동 고객의 잔액은?>"
    assert changed.metadata["phone"] == "<1012345678>"
    lineage = changed.metadata["lineage"]
    assert isinstance(lineage, dict)
    assert lineage["document_sha256"] == "ab" * 32
    assert lineage["start"] == 12


def test_turns_survive_being_written_as_json():
    assert messages_from_json(messages_as_json(ROW.messages)) == ROW.messages
