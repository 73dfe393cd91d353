"""Excel, compressed files, arrays inside objects, text files, Parquet with nested columns, old line ends."""

import gzip
import io
import json
import tempfile
import zipfile
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest
import xlsxwriter
import zstandard

from contracts.datasets import ColumnMapping
from contracts.errors import InvalidDataError
from data_prep.imports.blocks import seekable
from data_prep.imports.importing import CHUNK_ROWS, imported_chunks, read_imported_chunk, read_imported_rows
from data_prep.imports.input_files import open_input_files

ROWS = [("가?", "나."), ("다?", "라.")]


def as_bytes(name: str) -> bytes:
    """Two rows in the format of that ending."""
    stream = io.BytesIO()
    objects = [{"question": question, "answer": answer} for question, answer in ROWS]
    if name == "json":
        return json.dumps(objects, ensure_ascii=False).encode()
    if name == "jsonl":
        return "\n".join(json.dumps(row) for row in objects).encode()
    if name in {"csv", "tsv"}:
        mark = "," if name == "csv" else "\t"
        return "\n".join(mark.join(row) for row in [("question", "answer"), *ROWS]).encode()
    if name == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(objects), stream)
    else:
        book = openpyxl.Workbook()
        assert book.active is not None
        for row in [("question", "answer"), *ROWS]:
            book.active.append(row)
        book.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "tsv", "parquet", "xlsx"])
@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
def test_every_format_is_read_also_compressed(inbox, ending, compression):
    content = as_bytes(ending)
    packed = {"": content, ".gz": gzip.compress(content), ".zst": zstandard.compress(content)}[compression]

    imported = inbox.bring_in(inbox.put(f"rows.{ending}{compression}", packed))

    assert inbox.turns(imported) == ROWS
    assert imported.files[0].format == ending


@pytest.mark.parametrize("compression", [".gz", ".zst"])
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_compressed_file_that_is_cut_off_is_refused(inbox, compression, ending):
    content = json.dumps({"question": "가?", "answer": "나" * 5000}).encode() + bytes(range(256)) * 100
    packed = {".gz": gzip.compress(content), ".zst": zstandard.compress(content)}[compression]
    file = inbox.put(f"rows.{ending}{compression}", packed[: len(packed) - 20])

    with pytest.raises(InvalidDataError, match="damaged or cut off"):
        inbox.bring_in(file)

    assert list(inbox.imports.iterdir()) == []


def test_zst_and_gz_of_several_parts_are_read_to_their_end(inbox):
    lines = [json.dumps({"question": q, "answer": a}).encode() + b"\n" for q, a in ROWS]

    assert len(inbox.rows(inbox.put("a.jsonl.zst", b"".join(map(zstandard.compress, lines))))) == 2
    assert len(inbox.rows(inbox.put("b.jsonl.gz", b"".join(map(gzip.compress, lines))))) == 2


def test_cells_of_excel_are_what_a_person_sees(inbox):
    path = inbox.folder / "book.xlsx"
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["question", "answer", "category", "source", "id"])
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    bold = book.add_format({"bold": True})
    sheet.write_rich_string(1, 0, "굵은 ", bold, "글", "자?")
    sheet.write(1, 1, "첫 줄\n둘째 줄 <&> 😀")
    sheet.write_datetime(1, 2, datetime(2026, 11, 24), day)  # noqa: DTZ001
    sheet.write_formula(1, 3, '="문서"&1', None, "문서1")
    sheet.write_number(1, 4, 12)
    sheet.write(3, 0, "빈 행 다음?")
    sheet.write_boolean(3, 1, True)
    sheet.write_number(3, 4, 1.5)
    book.close()

    first, second = inbox.rows(str(path))

    assert (first.row_id, first.question, first.answer) == ("book.xlsx:2", "굵은 글자?", "첫 줄\n둘째 줄 <&> 😀")
    assert first.metadata == {"category": "2026-11-24", "source": "문서1", "id": 12}
    assert (second.row_id, second.answer, second.metadata) == ("book.xlsx:4", "True", {"id": 1.5})


def test_sheets_with_the_same_columns_are_read_and_others_told(inbox):
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    for title, rows in (
        ("이월", [("question", "answer"), ("다?", "라.")]),
        ("설명", [("이 파일은", "설명입니다"), ("a", "b")]),
        ("빈 시트", []),
        ("숨김", [("question", "answer"), ("숨은?", "행.")]),
    ):
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book["숨김"].sheet_state = "hidden"
    first.append(("question", "answer"))
    first.append(("가?", "나."))
    book.save(inbox.folder / "book.xlsx")

    imported = inbox.bring_in("book.xlsx")

    assert inbox.turns(imported) == ROWS
    assert [row.row_id for row in read_imported_rows(imported)] == ["book.xlsx:2", "book.xlsx:4"]
    assert ["설명" in note for note in imported.files[0].notes] == [True]


def test_excel_and_calamine_read_the_same_cells(inbox):
    import python_calamine

    rows = [
        [f"{number}번 질문 {'긴 글 ' * (number % 7)}?", f"답 {number}.", number / 4, date(2026, 1, 1 + number % 28)]
        for number in range(300)
    ]
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in [["question", "answer", "id", "category"], *rows]:
        book.active.append(row)
    path = inbox.folder / "book.xlsx"
    book.save(path)

    read = [[r.question, r.answer, r.metadata["id"], r.metadata["category"]] for r in inbox.rows(str(path))]

    expected = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()[1:]
    assert read == [[q, a, number, str(day)] for q, a, number, day in expected]


def test_an_excel_file_with_a_password_says_so(inbox):
    file = inbox.put("rows.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000))

    with pytest.raises(InvalidDataError, match="password"):
        inbox.bring_in(file)


def test_a_workbook_that_declares_entities_is_refused(inbox):
    source, target = io.BytesIO(as_bytes("xlsx")), io.BytesIO()
    with zipfile.ZipFile(source) as given, zipfile.ZipFile(target, "w") as made:
        for name in given.namelist():
            content = given.read(name)
            if name == "xl/worksheets/sheet1.xml":
                content = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + content
            made.writestr(name, content)

    with pytest.raises(InvalidDataError, match="damaged"):
        inbox.bring_in(inbox.put("rows.xlsx", target.getvalue()))


@pytest.mark.parametrize("indent", [None, 1])
def test_arrays_inside_an_object_are_read(inbox, indent):
    value = {
        "version": "1.0",
        "train": [{"question": "가?", "answer": "나."}],
        "info": {"a": [1]},
        "test": [{"question": "다?", "answer": "라."}],
    }
    file = inbox.put("rows.json", json.dumps(value, ensure_ascii=False, indent=indent))

    assert inbox.turns(inbox.bring_in(file)) == ROWS


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_file_may_be_one_row(inbox, indent):
    messages = [{"role": "user", "content": "가?"}, {"role": "assistant", "content": "나."}]
    file = inbox.put("rows.json", json.dumps({"messages": messages}, ensure_ascii=False, indent=indent))

    assert inbox.conversation(file) == [("user", "가?"), ("assistant", "나.")]


def test_broken_rows_between_conversations_are_told_one_by_one(inbox):
    turns = '[{"role": "user", "content": "가?"}, {"role": "assistant", "content": "나."}]'
    good, broken = f'{{"messages": {turns}}}', f'{{"messages" {turns}}}'
    file = inbox.put("rows.json", f"[{good},\n{broken},\n{broken},\n{good},\n{broken}]")

    imported = inbox.bring_in(file)

    assert imported.total_rows == 2
    assert [row["line"] for row in inbox.quarantine(imported)] == [2, 3, 5]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.txt"])
def test_all_line_ends_are_understood(inbox, end, name):
    lines = {
        "rows.csv": ["question,answer", "가?,나.", "다?,라."],
        "rows.jsonl": ['{"question": "가?", "answer": "나."}', "", '{"question": "다?", "answer": "라."}'],
        "rows.txt": ["가?", "다?"],
    }[name]
    mapping = ColumnMapping(text="text", question_template="{number}?") if name == "rows.txt" else ColumnMapping()
    file = inbox.put(name, end.join(lines) + end)

    rows = inbox.rows(file, columns=mapping)

    assert [row.row_id for row in rows] == {
        "rows.csv": ["rows.csv:2", "rows.csv:3"],
        "rows.jsonl": ["rows.jsonl:1", "rows.jsonl:3"],
        "rows.txt": ["rows.txt:1", "rows.txt:2"],
    }[name]


def test_a_text_file_has_a_row_for_each_paragraph(inbox):
    file = inbox.put(
        "규정.txt",
        "제1조는 목적을 정한다. 이 규정은 통행료에 관한 것이다.\n\n제2조는 뜻을 정한다.\n용어는 다음과 같다.\n",
    )

    assert inbox.turns(inbox.bring_in(file)) == [
        ("다음 글을 이어서 써 주세요.\n\n제1조는 목적을 정한다.", "이 규정은 통행료에 관한 것이다."),
        ("다음 글을 이어서 써 주세요.\n\n제2조는 뜻을 정한다.", "용어는 다음과 같다."),
    ]
    template = ColumnMapping(text="text", question_template="{name} {number}번째 문단은?")
    assert [question for question, _ in inbox.turns(inbox.bring_in(file, columns=template))] == [
        "규정 1번째 문단은?",
        "규정 2번째 문단은?",
    ]


def test_a_text_file_that_holds_json_lines_is_read_as_such(inbox):
    assert inbox.turns(inbox.bring_in(inbox.put("rows.txt", as_bytes("jsonl")))) == ROWS


def test_parquet_holds_conversations_in_nested_columns(inbox):
    rows = [
        {
            "conversations": [{"from": "human", "value": "가?"}, {"from": "gpt", "value": "나."}],
            "category": "t",
            "no": 1,
        },
        {"conversations": None, "category": None, "no": None},
        {
            "conversations": [{"from": "human", "value": "다?"}, {"from": "gpt", "value": "라."}],
            "category": "t",
            "no": 3,
        },
        {"conversations": [], "category": "t", "no": 3},
    ]
    table = pyarrow.Table.from_pylist(rows)
    table = table.set_column(1, "category", table["category"].dictionary_encode())
    pyarrow.parquet.write_table(table, inbox.folder / "rows.parquet", row_group_size=3)

    imported = inbox.bring_in("rows.parquet", columns=ColumnMapping(id="no"))

    assert inbox.turns(imported) == ROWS
    assert [row.metadata for row in read_imported_rows(imported)] == [
        {"category": "t", "id": 1},
        {"category": "t", "id": 3},
    ]
    assert [row["line"] for row in inbox.quarantine(imported)] == [2, 4]


def test_cp949_is_recognised_far_into_a_file(inbox):
    lines = [json.dumps({"question": f"{number}?", "answer": "ok"}) for number in range(60_000)]
    lines.append('{"question": "휴무일은?", "answer": "일요일"}')

    imported = inbox.bring_in(inbox.put("rows.jsonl", "\n".join(lines), "cp949"))

    assert imported.files[0].encoding == "cp949"
    assert inbox.turns(imported)[-1] == ("휴무일은?", "일요일")


def test_chunks_have_ten_thousand_rows_over_all_files(inbox):
    first = inbox.put_rows("a.jsonl", *({"question": f"{number}?", "answer": "가"} for number in range(CHUNK_ROWS + 5)))
    second = inbox.put_rows("b.jsonl", *({"question": f"{number}?", "answer": "나"} for number in range(CHUNK_ROWS)))

    imported = inbox.bring_in(first, second)

    path = Path(imported.rows_path)
    assert imported_chunks(path) == 3
    chunks = [read_imported_chunk(path, number) for number in range(3)]
    assert [len(chunk) for chunk in chunks] == [CHUNK_ROWS, CHUNK_ROWS, 5]
    assert [row for chunk in chunks for row in chunk] == list(read_imported_rows(imported))
    assert chunks[1][5].row_id == "b.jsonl:1"


def test_the_quarantine_is_for_its_owner_only(inbox):
    imported = inbox.bring_in(inbox.put("rows.csv", "Q,A\n가?,나.\n다?\n"))

    assert Path(imported.quarantine_path).stat().st_mode & 0o777 == 0o600


def test_a_table_without_header_does_not_show_its_first_row_in_the_error(inbox):
    file = inbox.put("rows.csv", "홍길동,900101-1234567\n김철수,010-1234-5678\n")

    with pytest.raises(InvalidDataError) as caught:
        inbox.bring_in(file)

    assert "900101" not in caught.value.sentence()


def test_a_packed_table_is_unpacked_to_a_file_that_nobody_else_can_read(tmp_path, monkeypatch):
    plain = io.BytesIO()
    table = pyarrow.table({"question": ["카나리아노란새"] * 3})
    pyarrow.parquet.write_table(table, plain, compression="none", use_dictionary=False)
    path = tmp_path / "rows.parquet.gz"
    path.write_bytes(gzip.compress(plain.getvalue()))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    (file,) = open_input_files([str(path)], relative_to=tmp_path, allowed_roots=[tmp_path])
    with seekable(file) as stream:
        (written,) = (found for found in scratch.rglob("*") if found.is_file())
        assert "카나리아".encode() not in written.read_bytes()
        assert pyarrow.parquet.read_table(stream) == table
    assert list(scratch.iterdir()) == []
