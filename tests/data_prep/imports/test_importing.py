"""Import: formats, encodings, shapes, broken rows, and what is refused."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from contracts.datasets import ColumnMapping, ImportRequest
from contracts.errors import CapacityError, InvalidDataError, InvalidRequestError, TunewayError
from data_prep.imports.importing import import_files, load_import, read_imported_rows
from data_prep.imports.reading import MAX_ROW_CHARACTERS
from tests.data_prep.imports.conftest import Inbox

PAIR = ("휴무일이 언제인가요?", "매주 일요일입니다.")


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": PAIR[0]}, {"role": "assistant", "content": PAIR[1]}]},
        {"prompt": PAIR[0], "completion": PAIR[1]},
        {"question": PAIR[0], "answer": PAIR[1]},
        {"Q": PAIR[0], "A": PAIR[1]},
        {"질문": PAIR[0], "답변": PAIR[1]},
        {"instruction": PAIR[0], "input": "", "output": PAIR[1]},
    ],
)
def test_every_known_shape_becomes_the_same_messages(inbox, row):
    file = inbox.put("rows.jsonl", json.dumps(row, ensure_ascii=False))

    assert inbox.turns(inbox.bring_in(file)) == [PAIR]


def test_an_alpaca_input_follows_the_instruction(inbox):
    row = {"instruction": "요약해 주세요.", "input": "긴 글", "output": "짧은 글입니다."}
    file = inbox.put("rows.json", json.dumps([row], ensure_ascii=False))

    assert inbox.turns(inbox.bring_in(file)) == [("요약해 주세요.\n\n긴 글", "짧은 글입니다.")]


@pytest.mark.parametrize(
    ("encoding", "seen_as"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("cp949", "cp949"), ("utf-16", "utf-16")],
)
def test_korean_tables_are_read_in_the_encoding_they_are_in(inbox, encoding, seen_as):
    file = inbox.put("rows.csv", f"질문,답변\r\n{PAIR[0]},{PAIR[1]}\r\n", encoding)

    imported = inbox.bring_in(file)

    assert inbox.turns(imported) == [PAIR]
    assert imported.files[0].encoding == seen_as


def test_a_field_may_hold_commas_quotes_and_lines(inbox):
    file = inbox.put("rows.csv", 'question,answer\n"하나, ""둘""","첫째 줄\n둘째 줄"\n')

    assert inbox.turns(inbox.bring_in(file)) == [('하나, "둘"', "첫째 줄\n둘째 줄")]


@pytest.mark.parametrize(("name", "delimiter"), [("rows.tsv", "\t"), ("rows.csv", ";"), ("rows.csv", "\t")])
def test_other_delimiters_are_recognised(inbox, name, delimiter):
    file = inbox.put(name, f"question{delimiter}answer\n{PAIR[0]}{delimiter}{PAIR[1]}\n")

    assert inbox.turns(inbox.bring_in(file)) == [PAIR]


def test_parquet_documents_become_questions_by_the_template(inbox):
    table = pyarrow.table({"bill": ["도로법", "", None], "reason": ["안전을 위함.", "이유 있음.", "이유 있음."]})
    pyarrow.parquet.write_table(table, inbox.folder / "bills.parquet")

    imported = inbox.bring_in(
        "bills.parquet",
        columns=ColumnMapping(question_template="{bill}의 제안 이유를 알려 주세요.", answer="reason", category="bill"),
    )

    assert inbox.turns(imported) == [("도로법의 제안 이유를 알려 주세요.", "안전을 위함.")]
    assert [(row["line"], row["reason"]) for row in inbox.quarantine(imported)] == [
        (2, "the column bill is empty"),
        (3, "the column bill is empty"),
    ]


def test_nobody_but_the_owner_reads_rows_that_are_not_masked_yet(inbox):
    imported = inbox.bring_in(inbox.put("rows.jsonl", json.dumps({"question": "가?", "answer": "나."})))

    assert Path(imported.rows_path).parent.stat().st_mode & 0o777 == 0o700


def test_metadata_and_place_travel_with_the_row(inbox):
    row = {"question": "가?", "answer": "나.", "metadata": {"category": "tolls", "quality_score": 0.9, "x": [1]}}
    file = inbox.put("rows.jsonl", "\n\n" + json.dumps(row))

    (read,) = read_imported_rows(inbox.bring_in(file))

    assert read.row_id == "rows.jsonl:3"
    assert (read.category, read.given_quality, read.metadata["x"]) == ("tolls", 0.9, [1])


def test_broken_lines_are_set_aside_with_line_reason_and_text_and_the_rest_goes_on(inbox):
    good = json.dumps({"question": "가?", "answer": "나."})
    lines = [
        good.encode(),
        b'{"question": "cut off',
        b"[1, 2]",
        b'{"question": "\xff\xfe", "answer": "b"}',
        b'{"question": "\\ud800", "answer": "b"}',
        b'{"question": "no answer"}',
        b'{"question": "empty", "answer": "  "}',
        b'{"messages": [{"role": "robot", "content": "a"}]}',
        b'{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}',
        good.encode(),
    ]
    file = inbox.put("rows.jsonl", b"\n".join(lines))

    imported = inbox.bring_in(file)

    assert (imported.total_rows, imported.broken_rows) == (2, 8)
    quarantined = inbox.quarantine(imported)
    assert [row["line"] for row in quarantined] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert all(row["source_file"] == "rows.jsonl" and row["reason"] and row["raw"] for row in quarantined)
    assert "\\xff" in quarantined[2]["raw"]
    assert "allowed: system, user, assistant" in quarantined[6]["reason"]


def test_an_open_quote_costs_its_own_row_only(inbox):
    file = inbox.put("rows.csv", 'question,answer\n가?,나.\n"열린 따옴표,나.\n다?,라.\n마?,"바\n사"\n')

    imported = inbox.bring_in(file)

    assert inbox.turns(imported) == [("가?", "나."), ("다?", "라."), ("마?", "바\n사")]
    assert [(row["line"], row["raw"]) for row in inbox.quarantine(imported)] == [(3, '"열린 따옴표,나.')]


def test_a_table_row_with_too_many_or_too_few_fields_is_set_aside(inbox):
    file = inbox.put("rows.csv", "question,answer\n가?,나.\n다?\n라?,마.,바\n")

    imported = inbox.bring_in(file)

    assert [row["reason"] for row in inbox.quarantine(imported)] == [
        "1 fields where the header names 2 columns",
        "3 fields where the header names 2 columns",
    ]


def test_a_broken_object_inside_an_array_costs_its_own_row_only(inbox):
    good = '{"question": "가?", "answer": "나."}'
    file = inbox.put("rows.json", f'[{good},\n {{"question": "다?" "answer": 1}},\n {good}, 5]')

    imported = inbox.bring_in(file)

    assert imported.total_rows == 2
    assert [(row["line"], row["reason"].split(":")[0]) for row in inbox.quarantine(imported)] == [
        (2, "not valid JSON"),
        (3, "the row is a JSON int, not an object"),
    ]


def test_an_array_larger_than_the_reading_block_is_read_whole(inbox):
    rows = [{"question": f"{number}번 질문인가요?", "answer": "가" * 500} for number in range(4000)]
    file = inbox.put("rows.json", json.dumps(rows, ensure_ascii=False))

    imported = inbox.bring_in(file)

    assert (imported.total_rows, imported.broken_rows) == (4000, 0)
    assert inbox.turns(imported)[-1][0] == "3999번 질문인가요?"


def test_an_array_that_is_cut_off_keeps_the_rows_before_the_cut(inbox):
    file = inbox.put("rows.json", '[{"question": "가?", "answer": "나."}, {"question": "다?", "ans')

    imported = inbox.bring_in(file)

    assert (imported.total_rows, imported.broken_rows) == (1, 1)


def test_an_endless_line_is_set_aside_without_being_kept_whole(inbox):
    file = inbox.put("rows.jsonl", "x" * (MAX_ROW_CHARACTERS + 10) + '\n{"question": "가?", "answer": "나."}\n')

    imported = inbox.bring_in(file)

    assert (imported.total_rows, imported.broken_rows) == (1, 1)
    assert len(inbox.quarantine(imported)[0]["raw"]) < MAX_ROW_CHARACTERS


def test_max_rows_takes_the_first_rows_of_each_file(inbox):
    first = inbox.put("a.csv", "Q,A\n1?,하나.\n2?,둘.\n3?,셋.\n")
    second = inbox.put("b.csv", "Q,A\n4?,넷.\n5?,다섯.\n")

    imported = inbox.bring_in(first, second, max_rows=1)

    assert [question for question, _ in inbox.turns(imported)] == ["1?", "4?"]


def test_the_same_request_again_is_the_same_import_and_a_changed_file_is_another(inbox):
    file = inbox.put("rows.csv", "Q,A\n가?,나.\n")
    first = inbox.bring_in(file)
    written = Path(first.rows_path).stat().st_mtime_ns

    again = inbox.bring_in(file)

    assert again == first
    assert Path(again.rows_path).stat().st_mtime_ns == written
    inbox.put("rows.csv", "Q,A\n가?,다.\n")
    assert inbox.bring_in(file).import_id != first.import_id
    assert inbox.bring_in(file, max_rows=1).import_id != inbox.bring_in(file).import_id


def _refusal(inbox: Inbox, *files: str, **request) -> TunewayError:
    with pytest.raises((InvalidDataError, InvalidRequestError)) as caught:
        inbox.bring_in(*files, **request)
    error = caught.value
    assert all((error.what, error.value, error.allowed, error.next_step)), "an error has four parts"
    assert not inbox.imports.exists() or list(inbox.imports.iterdir()) == [], "nothing half written"
    return error


def test_an_empty_file_is_refused(inbox):
    assert "is empty" in _refusal(inbox, inbox.put("rows.csv", "")).what


def test_a_table_without_rows_is_refused(inbox):
    assert "holds no row" in _refusal(inbox, inbox.put("rows.csv", "question,answer\n")).what


def test_an_unknown_format_is_refused(inbox):
    assert ".parquet" in _refusal(inbox, inbox.put("rows.hwp", "가")).allowed


def test_an_excel_file_called_csv_is_recognised(inbox):
    assert "Excel" in _refusal(inbox, inbox.put("rows.csv", b"PK\x03\x04" + bytes(100))).what


def test_a_parquet_file_that_is_cut_off_is_refused(inbox):
    assert "cut off" in _refusal(inbox, inbox.put("rows.parquet", b"PAR1" + bytes(50))).what


def test_a_missing_column_is_named_with_the_one_that_was_meant(inbox):
    file = inbox.put("rows.csv", "question,answer,category\n가?,나.,다\n")

    error = _refusal(inbox, file, columns=ColumnMapping(category="categori"))

    assert "did you mean category?" in error.what


def test_a_missing_column_of_json_rows_is_named_with_the_one_that_was_meant(inbox):
    file = inbox.put("rows.jsonl", '{"title": "가?", "body": "나."}\n' * 3)

    error = _refusal(inbox, file, columns=ColumnMapping(question="titel", answer="body"))

    assert "did you mean title?" in error.what


def test_columns_that_nobody_knows_are_refused_before_the_first_row(inbox):
    assert '"columns"' in _refusal(inbox, inbox.put("rows.csv", "wort,zahl\na,b\n")).next_step


@pytest.mark.parametrize("template", ["no column", "{a", "{}", "{a.__class__}"])
def test_a_template_that_names_no_column_of_the_file_is_refused(inbox, template):
    file = inbox.put("rows.csv", "a,answer\n가?,나.\n")

    _refusal(inbox, file, columns=ColumnMapping(question_template=template))


def test_a_file_that_is_not_there_is_named_with_the_one_that_was_meant(inbox):
    inbox.put("regulations.csv", "Q,A\n가?,나.\n")

    assert "did you mean regulations.csv?" in _refusal(inbox, "regulation.csv").allowed


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside.csv", "inbox/../../outside.csv"])
def test_a_path_outside_the_allowed_folders_is_refused(inbox, path):
    (inbox.folder.parent / "outside.csv").write_text("Q,A\n가?,나.\n")

    assert "outside" in _refusal(inbox, path).what


def test_a_link_that_leads_outside_is_refused(inbox):
    outside = inbox.folder.parent / "outside.csv"
    outside.write_text("Q,A\n가?,나.\n")
    (inbox.folder / "link.csv").symlink_to(outside)

    assert "outside" in _refusal(inbox, "link.csv").what


def test_a_folder_is_not_a_file(inbox):
    (inbox.folder / "more.csv").mkdir()

    assert "not a file" in _refusal(inbox, "more.csv").what


def test_one_bad_file_among_good_ones_leaves_nothing(inbox):
    good = inbox.put("good.csv", "Q,A\n가?,나.\n")

    _refusal(inbox, good, inbox.put("bad.jsonl", "{}\n{}\n"))


def test_too_little_disk_is_said_before_anything_is_written(inbox):
    file = inbox.put("rows.csv", "Q,A\n가?,나.\n")
    with pytest.raises(CapacityError, match="TUNEWAY_MIN_FREE_DISK_GB"):
        import_files(
            ImportRequest(dataset_name="demo", input_files=[file]),
            imports_dir=inbox.imports,
            relative_to=inbox.folder,
            allowed_roots=[inbox.folder],
            min_free_disk_gb=1e9,
        )

    assert list(inbox.imports.iterdir()) == []


def test_an_import_is_found_after_the_data_folder_has_moved(inbox, tmp_path):
    imported = inbox.bring_in(inbox.put("rows.csv", "Q,A\n가?,나.\n"))
    moved = tmp_path / "moved"
    inbox.imports.rename(moved)

    assert inbox.turns(load_import(moved, imported.import_id)) == [("가?", "나.")]


def test_the_real_chatbot_table_is_read_whole(inbox, shared_data):
    imported = import_files(
        ImportRequest(dataset_name="chatbot", input_files=["chatbot/ChatbotData.csv"]),
        imports_dir=inbox.imports,
        relative_to=shared_data,
        allowed_roots=[shared_data],
        min_free_disk_gb=0.1,
    )

    assert (imported.total_rows, imported.broken_rows) == (11823, 0)
    first = next(read_imported_rows(imported))
    assert (first.question, first.answer, first.category) == ("12시 땡!", "하루가 또 가네요.", "0")


def test_real_bills_become_questions_and_answers(inbox, shared_data):
    imported = import_files(
        ImportRequest(
            dataset_name="bills",
            input_files=["assembly-bills/bill_texts_first8000.parquet"],
            columns=ColumnMapping(
                question_template="의안 {BILL_ID}의 제안 이유를 알려 주세요.", answer="propose_reason"
            ),
            max_rows=500,
        ),
        imports_dir=inbox.imports,
        relative_to=shared_data,
        allowed_roots=[shared_data],
        min_free_disk_gb=0.1,
    )

    assert imported.total_rows + imported.broken_rows == 500
    assert (
        next(read_imported_rows(imported)).question
        == "의안 PRC_R2A0X0T5I2I2R1I4B5A6P3G2S7W8P0의 제안 이유를 알려 주세요."
    )
