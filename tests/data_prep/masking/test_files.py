"""`tuneway dataset mask`: lines in, lines with masked texts and spans out."""

import json

import pytest

from contracts.data_policy import MaskingPolicy
from contracts.enums import MaskingAction, PersonalDataKind
from contracts.errors import InvalidDataError, NotFoundError
from data_prep.masking.files import mask_file
from data_prep.masking.masker import Masker


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_gets_its_masked_text_and_its_spans_and_keeps_the_rest(tmp_path):
    text = "😀 홍길동의 주민등록번호는 123456-1234567입니다."
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": 7, "text": text}) + "\n\n", encoding="utf-8")

    report = mask_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl")

    (line,) = lines_of(tmp_path / "out.jsonl")
    assert line["id"] == 7 and line["text"] == text
    assert line["masked"] == "😀 [이름]의 주민등록번호는 [주민등록번호]입니다."
    assert [(text[span["start"] : span["end"]], span["type"]) for span in line["spans"]] == [
        ("홍길동", "PERSON"),
        ("123456-1234567", "KR_RRN"),
    ]
    assert all(0 < span["score"] <= 1 for span in line["spans"])
    assert report.rows == report.masked_rows == 1


def test_masked_lines_stay_in_order_over_many_batches(tmp_path):
    count = 2500
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"text": f"{number}번: 010-1234-{number:04d}"}) + "\n" for number in range(count))
    )
    seen = []

    report = mask_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", on_progress=lambda *step: seen.append(step))

    assert [line["masked"] for line in lines_of(tmp_path / "out.jsonl")] == [f"{n}번: [전화번호]" for n in range(count)]
    assert report.replaced == {"전화번호": count}
    assert len(seen) == 3 and seen[-1][1] == seen[-1][2]


@pytest.mark.parametrize(
    "bad", [b"{broken 010-1234-5678", b"[1]", b'{"texts": "a"}', b'{"text": 5}', b"\xff\xfe\x00", b"[" * 100_000]
)
def test_a_bad_line_is_named_without_its_words_and_nothing_is_written(tmp_path, bad):
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "a"}\n' + bad + b"\n")

    with pytest.raises(InvalidDataError, match=r"Line 2 of in\.jsonl") as caught:
        mask_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl")

    assert "1234" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(NotFoundError):
        mask_file(tmp_path / "none.jsonl", tmp_path / "out.jsonl")


def test_lines_that_the_policy_drops_are_left_out(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "900101-1234567"}\n{"text": "b"}\n')
    policy = MaskingPolicy(actions={PersonalDataKind.RESIDENT_NUMBER: MaskingAction.DROP_ROW})

    report = mask_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", Masker(policy))

    assert [line["text"] for line in lines_of(tmp_path / "out.jsonl")] == ["b"]
    assert report.dropped_rows == 1


def test_half_a_surrogate_pair_survives(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "\\ud83d 010-1234-5678"}\n')

    mask_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl")

    assert lines_of(tmp_path / "out.jsonl")[0]["masked"] == "\ud83d [전화번호]"


def test_a_file_may_be_masked_in_its_place(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "hong@example.com"}')

    mask_file(path, path)

    assert lines_of(path)[0]["masked"] == "[이메일]"
