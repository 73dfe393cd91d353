"""Whatever lies in a file: a document or one of our errors, nothing else."""

import io
import random
import tempfile
import zipfile
from pathlib import Path

import docx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import TunewayError
from data_prep.documents.chunking import chunk_document
from data_prep.documents.reading import SUFFIXES, read_document
from tests.data_prep.documents.writers import (
    compound_file,
    hwp_paragraph,
    hwp_table,
    hwpx_paragraph,
    hwpx_table,
    write_hwp,
    write_hwpx,
    write_pdf,
)

STARTS = (
    b"",
    b"%PDF-1.4\n",
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"HWP Document File",
    b"<html>",
    b"\xff\xfe",
)


def read(path: Path) -> None:
    """Read and cut the document: its text can be written as UTF-8, and passages are stretches of it."""
    try:
        document = read_document(path)
    except TunewayError as error:
        error.sentence().encode()
        return
    document.text.encode()
    for chunk in chunk_document(document):
        assert document.text[chunk.start : chunk.end] == chunk.text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    start=st.sampled_from(STARTS),
    rest=st.one_of(st.binary(max_size=2000), st.text(max_size=500).map(lambda text: text.encode("utf-8", "replace"))),
    suffix=st.sampled_from(sorted(SUFFIXES)),
)
def test_any_bytes_are_a_document_or_one_of_our_errors(start: bytes, rest: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(start + rest)
        read(path)


@settings(max_examples=100, deadline=None)
@given(
    text=st.text(
        st.one_of(st.sampled_from("<>/=\"' \n#|-*`&;가①제1조(장)tabledivrp"), st.characters(codec="utf-8")),
        max_size=300,
    ),
    suffix=st.sampled_from([".md", ".html", ".txt"]),
)
def test_any_text_is_a_document_or_one_of_our_errors(text: str, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_text(text)
        read(path)


def whole_documents(folder: Path) -> list[Path]:
    rows = [[("구분", 1, 1), ("값", 1, 1)], [("경차", 2, 1)]]
    word = docx.Document()
    word.add_heading("제목", 1)
    word.add_paragraph("본문입니다.")
    word.add_table(2, 2).cell(0, 0).text = "칸"
    word.save(str(folder / "a.docx"))
    return [
        folder / "a.docx",
        write_hwp(folder / "a.hwp", [hwp_paragraph("본문입니다.", below=hwp_table(rows))], flags=0),
        write_hwpx(folder / "a.hwpx", [hwpx_paragraph("본문입니다.", inside=hwpx_table(rows))]),
        write_pdf(folder / "a.pdf", ["# 제목", "본문입니다.", [["가", "나"], ["1", "2"]]]),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_document_is_read_or_told(tmp_path: Path, seed: int) -> None:
    """Bytes changed, taken out and doubled in whole documents of every binary format."""
    luck = random.Random(seed)
    for path in whole_documents(tmp_path):
        whole = path.read_bytes()
        members = _unpacked(whole) if path.suffix in {".docx", ".hwpx"} else None
        for _ in range(12):
            if members is not None and luck.random() < 0.7:
                name = luck.choice([name for name in members if name.endswith(".xml")])
                path.write_bytes(_packed({**members, name: _damaged(members[name], luck)}))
            else:
                path.write_bytes(_damaged(whole, luck))
            read(path)


def _damaged(data: bytes, luck: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(luck.choice([1, 3, 30])):
        at = luck.randrange(len(damaged))
        match luck.randrange(3):
            case 0:
                damaged[at] = luck.randrange(256)
            case 1:
                del damaged[at : at + luck.randrange(1, 40)]
            case _:
                damaged[at:at] = damaged[at : at + luck.randrange(1, 40)]
        if not damaged:
            break
    return bytes(damaged)


def _unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _packed(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


@settings(max_examples=80, deadline=None)
@given(section=st.binary(max_size=400), info=st.binary(max_size=200), flags=st.sampled_from([0, 1]))
def test_any_records_in_an_hwp_document_are_read_or_told(section: bytes, info: bytes, flags: int) -> None:
    header = b"HWP Document File".ljust(32, b"\0") + b"\0\0\0\5" + flags.to_bytes(4, "little")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.hwp"
        path.write_bytes(
            compound_file({"FileHeader": header.ljust(256, b"\0"), "DocInfo": info, "BodyText/Section0": section})
        )
        read(path)
