"""Import of any bytes gives rows or a clear error, and never anything half done."""

import contextlib
import gzip
import io
import json
import random
import string

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.datasets import ColumnMapping
from contracts.errors import TunewayError
from data_prep.imports.importing import read_imported_rows
from data_prep.imports.input_files import COMPRESSIONS, FORMATS
from data_prep.imports.proposing import propose_mapping
from data_prep.imports.shapes import RowReader, messages_bytes, metadata_bytes
from data_prep.rows import Rejection
from tests.data_prep.imports.test_formats import as_bytes

ENDINGS = [f"{ending}{packed}" for ending in FORMATS for packed in ("", *COMPRESSIONS)]
SEEDS = {
    ".csv": 'question,answer,id\n가?,"나\n""다""",1\n라?,마.,2\n'.encode(),
    ".tsv": "Q\tA\n가?\t나.\n".encode("cp949"),
    ".txt": "첫 문장입니다. 둘째 문장입니다.\n\n둘째 문단의 문장입니다. 끝입니다.\n".encode(),
    ".json": json.dumps(
        [{"messages": [{"role": "user", "content": "가?"}, {"role": "assistant", "content": "나."}]}] * 3
    ).encode(),
    ".jsonl": "\n".join(['{"question": "가?", "answer": "나.", "metadata": {"category": "t"}}'] * 3).encode(
        "utf-8-sig"
    ),
    ".ndjson": '{"prompt": "가?", "completion": "나."}\n'.encode("utf-16"),
    ".parquet": as_bytes("parquet"),
    ".pq": as_bytes("parquet"),
    ".xlsx": as_bytes("xlsx"),
}
FUZZ = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def survive(inbox, name: str, content: bytes) -> None:
    """Import these bytes: what comes out is whole."""
    (inbox.folder / name).write_bytes(content)
    for mapping in (ColumnMapping(), ColumnMapping(text="text", question_template="{text}")):
        try:
            imported = inbox.bring_in(name, columns=mapping)
        except TunewayError:
            pass
        else:
            rows = list(read_imported_rows(imported))
            assert len(rows) == imported.total_rows > 0
            assert len(inbox.quarantine(imported)) == imported.broken_rows
            assert all(len(row.key) == 16 and row.messages[-1].role == "assistant" for row in rows)
    with contextlib.suppress(TunewayError):
        propose_mapping(inbox.open(name)).model_dump_json()
    assert not inbox.imports.exists() or not list(inbox.imports.glob(".*")), "nothing half written"


def pack(name: str, content: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.compress(content, 1)
    return zstandard.compress(content) if name.endswith(".zst") else content


@pytest.mark.slow
@FUZZ
@given(ending=st.sampled_from(ENDINGS), content=st.binary(max_size=300), packed=st.booleans())
def test_any_bytes_under_any_name(inbox, ending, content, packed):
    survive(inbox, f"rows{ending}", pack(ending, content) if packed else content)


LETTERS = st.sampled_from(
    [
        '"',
        "'",
        ",",
        "\t",
        "\n",
        "\r",
        "{",
        "}",
        "[",
        "]",
        ":",
        "\\",
        "\\u",
        "\\ud83d",
        "가",
        "a",
        "1",
        "",
        "null",
        "question",
        "answer",
        " ",
        "\0",
        "\ud800",
        "\u2028",
        "\x0b",
        "text",
        "Q",
        "A",
        "e9999",
        "-",
        "NaN",
    ]
)


@pytest.mark.slow
@FUZZ
@given(
    ending=st.sampled_from([".json", ".jsonl", ".csv", ".tsv", ".txt"]),
    parts=st.lists(LETTERS, max_size=60),
    start=st.sampled_from(["", "question,answer\n", "[", "{", '[{"question": "', '{"data": [', "Q\tA\n"]),
    encoding=st.sampled_from(["utf-8", "cp949", "utf-16", "utf-8-sig"]),
)
def test_any_signs_that_mean_something_to_a_format(inbox, ending, parts, start, encoding):
    survive(
        inbox,
        f"rows{ending}",
        (start + "".join(parts)).encode(encoding, "surrogatepass" if encoding != "cp949" else "replace"),
    )


@pytest.mark.slow
@pytest.mark.parametrize("ending", SEEDS)
def test_a_file_with_some_bytes_changed_cut_or_doubled(inbox, ending):
    chance = random.Random(7)
    for turn in range(25):
        content = bytearray(SEEDS[ending])
        for _ in range(chance.choice([1, 1, 3, 20])):
            place = chance.randrange(len(content)) if content else 0
            kind = chance.randrange(4)
            if kind == 0 and content:
                content[place] = chance.randrange(256)
            elif kind == 1:
                del content[place : place + chance.randrange(1, 30)]
            elif kind == 2:
                content[place:place] = content[place : place + chance.randrange(1, 30)]
            else:
                content[place:place] = chance.randbytes(chance.randrange(1, 8))
        name = ending + chance.choice(["", "", ".gz", ".zst"])
        survive(inbox, f"rows{turn}{name}", pack(name, bytes(content)))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "tool_calls", "name", "가"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
COLUMNS = st.sampled_from(
    ["messages", "conversations", "prompt", "completion", "instruction", "input", "output", "system", "history", "text", "id", "metadata", "category", "tools", "source"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(COLUMNS, JSON_VALUES, max_size=5))
def test_any_object_is_a_row_or_has_a_reason_why_not(value):
    row = RowReader(ColumnMapping()).read(value)

    if not isinstance(row, Rejection):
        for written in (messages_bytes(row), metadata_bytes(row)):
            assert isinstance(written, Rejection) or json.loads(written) is not None


def test_objects_nested_without_end_cost_their_own_row_only(inbox):
    good = '{"question": "가?", "answer": "나."}'
    deep = "[" * 100_000
    lines = [
        good,
        f'{{"question": "가?", "answer": "나.", "metadata": {{"a": {deep}{"]" * 100_000}}}}}',
        f'{{"question": "가?", "answer": "나.", "metadata": {{"a": {"[" * 200}{"]" * 200}}}}}',
        deep,
        '{"question": "가?", "answer": "나.", "metadata": {"a": 1' + "0" * 5000 + "}}",
        '{"question": "가?", "answer": "나.", "metadata": {"a": 1e999}}',
        good,
    ]

    imported = inbox.bring_in(inbox.put("rows.jsonl", "\n".join(lines)))

    assert imported.total_rows + imported.broken_rows == 7
    assert {2, 3, 4, 5} <= {row["line"] for row in inbox.quarantine(imported)}
    array = inbox.bring_in(inbox.put("rows.json", "[" + ",\n".join(lines) + "]"))
    assert array.total_rows >= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    ["\n", "a\n", '"\n', '"""\n', 'a",b,"c\n', '"a"b\n', ",,,\n", '"', "{", "[", '{"a', "},{", " ", "\r"],
    ids=string.ascii_letters[:14],
)
@pytest.mark.parametrize("ending", [".csv", ".json", ".jsonl", ".txt"])
def test_the_same_mistake_again_and_again(inbox, line, ending):
    start = {".csv": "question,answer\n가?,나.\n", ".json": "[", ".jsonl": "", ".txt": ""}[ending]
    content = start + line * (60_000 // len(line))

    survive(inbox, f"rows{ending}", content.encode())


def test_a_bomb_of_zeros_is_not_unpacked_into_memory(inbox):
    stream = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(stream, closefd=False) as writer:
        for _ in range(100):
            writer.write(bytes(1 << 20))

    survive(inbox, "rows.jsonl.zst", stream.getvalue())
