"""Word, HWPX and HWP documents, written by real writers."""

import struct
import zipfile
from pathlib import Path

import docx
import pytest
from docx.oxml import OxmlElement
from docx.oxml.ns import qn

from contracts.errors import TunewayError
from data_prep.documents.reading import read_document
from tests.data_prep.documents.writers import (
    compound_file,
    hwp_control,
    hwp_paragraph,
    hwp_record,
    hwp_table,
    hwpx_paragraph,
    hwpx_table,
    write_hwp,
    write_hwpx,
)

MERGED_ROWS = [
    [("구분", 1, 1), ("경차", 1, 1), ("승용차", 1, 1)],
    [("면제", 1, 2), ("50%", 2, 1)],
    [("0%", 1, 1), ("10%", 1, 1)],
]
MERGED_TABLE = "| 구분 | 경차 | 승용차 |\n|---|---|---|\n| 면제 | 50% |  |\n| 면제 | 0% | 10% |"
REGULATION = [
    ("heading", 1, "통행료 규정"),
    ("article", 2, "제1조 목적"),
    ("paragraph", 0, "본문 탭 😀 끝."),
    ("table", 0, MERGED_TABLE),
    ("article", 2, "제2조 적용"),
    ("paragraph", 0, "- 항목\n- 다음 항목"),
    ("paragraph", 0, "틀 안의 글"),
]
"""The same regulation in every format: its articles are numbered by the word processor."""


def blocks_of(path: Path) -> list[tuple[str, int, str]]:
    return [(block.kind.value, block.level, block.text) for block in read_document(path).blocks]


def add(parent, tag: str, **attributes: str):
    element = OxmlElement(tag)
    for name, value in attributes.items():
        element.set(qn(f"w:{name}"), value)
    parent.append(element)
    return element


def number_paragraphs(document, list_id: str, style: str, pattern: str):
    """A list that Word numbers itself."""
    root = document.part.numbering_part.element
    abstract = OxmlElement("w:abstractNum")
    abstract.set(qn("w:abstractNumId"), list_id)
    level = add(abstract, "w:lvl", ilvl="0")
    add(level, "w:start", val="1")
    add(level, "w:numFmt", val=style)
    add(level, "w:lvlText", val=pattern)
    root.insert(0, abstract)
    add(add(root, "w:num", numId=list_id), "w:abstractNumId", val=list_id)


def numbered(document, text: str, list_id: str) -> None:
    properties = document.add_paragraph(text)._p.get_or_add_pPr()
    number = add(properties, "w:numPr")
    add(number, "w:ilvl", val="0")
    add(number, "w:numId", val=list_id)


@pytest.fixture
def word_document(tmp_path: Path) -> Path:
    document = docx.Document()
    number_paragraphs(document, "77", "decimal", "제%1조")
    number_paragraphs(document, "78", "bullet", "\uf0b7")
    document.sections[0].header.paragraphs[0].text = "머리말"
    document.sections[0].footer.paragraphs[0].text = "꼬리말"
    document.add_heading("통행료 규정", 1)
    numbered(document, "목적", "77")
    document.add_paragraph("본문\t탭 😀 끝.")
    table = document.add_table(3, 3)
    for row, texts in enumerate((("구분", "경차", "승용차"), ("면제", "50%", ""), ("", "0%", "10%"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    table.cell(1, 1).merge(table.cell(1, 2))
    numbered(document, "적용", "77")
    numbered(document, "항목", "78")
    numbered(document, "다음 항목", "78")
    document.add_table(1, 1).cell(0, 0).text = "틀 안의 글"
    path = tmp_path / "규정.docx"
    document.save(str(path))
    return path


def test_a_word_document_is_read_with_its_numbers_and_merged_cells(word_document: Path) -> None:
    assert blocks_of(word_document) == REGULATION


def test_a_word_document_shows_inserted_and_linked_text_and_no_deleted_text(tmp_path: Path) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("앞 ")
    for tag, inner, text in (
        ("w:ins", "w:t", "넣은 글 "),
        ("w:del", "w:delText", "지운 글 "),
        ("w:hyperlink", "w:t", "이은 글"),
    ):
        run = add(add(paragraph._p, tag), "w:r")
        add(run, inner).text = text
    box = add(add(add(paragraph._p, "w:r"), "w:pict"), "w:txbxContent")
    add(add(add(box, "w:p"), "w:r"), "w:t").text = "글상자"
    control = add(document.element.body, "w:sdt")
    add(add(add(add(control, "w:sdtContent"), "w:p"), "w:r"), "w:t").text = "양식 칸"
    path = tmp_path / "a.docx"
    document.save(str(path))
    assert [text for _, _, text in blocks_of(path)] == ["앞 넣은 글 이은 글", "글상자", "양식 칸"]


def test_word_headings_keep_their_depth_below_the_title(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("문서 제목", 0)
    document.add_heading("첫째 장", 1)
    document.add_heading("첫째 절", 2)
    document.add_paragraph("본문입니다.")
    path = tmp_path / "a.docx"
    document.save(str(path))
    assert [(kind, level) for kind, level, _ in blocks_of(path)] == [
        ("heading", 1), ("heading", 2), ("heading", 3), ("paragraph", 0),
    ]  # fmt: skip


def test_an_hwpx_document_is_read_with_its_numbers_and_merged_cells(tmp_path: Path) -> None:
    first = (
        hwpx_paragraph("통행료 규정", style=1)
        + hwpx_paragraph("차례의 한 줄 ..... 3", style=2)
        + hwpx_paragraph("목적", shape=2)
        + hwpx_paragraph("본문<hp:tab/>탭 😀 끝.", inside=hwpx_table(MERGED_ROWS))
    )
    second = (
        hwpx_paragraph("적용", shape=2)
        + hwpx_paragraph("항목", shape=3)
        + hwpx_paragraph("다음 항목", shape=3)
        + hwpx_paragraph("", inside=hwpx_table([[("틀 안의 글", 1, 1)]]))
    )
    assert blocks_of(write_hwpx(tmp_path / "규정.hwpx", [first, second])) == REGULATION


def test_an_hwpx_document_leaves_out_headers_memos_and_deleted_text_and_keeps_notes(tmp_path: Path) -> None:
    def list_of(text: str) -> str:
        return f"<hp:subList>{hwpx_paragraph(text)}</hp:subList>"

    inside = (
        f"<hp:ctrl><hp:header>{list_of('머리말')}</hp:header></hp:ctrl>"
        f"<hp:ctrl><hp:fieldBegin type='MEMO'>{list_of('메모')}</hp:fieldBegin></hp:ctrl>"
        f"<hp:ctrl><hp:footNote>{list_of('각주의 글')}</hp:footNote></hp:ctrl>"
        f"<hp:rect><hp:drawText>{list_of('글상자')}</hp:drawText></hp:rect>"
    )
    text = "남은 글<hp:lineBreak/>다음 줄<hp:deleteBegin/>지운 글<hp:deleteEnd/>"
    path = write_hwpx(tmp_path / "a.hwpx", [hwpx_paragraph(text, inside=inside)])
    assert [text for _, _, text in blocks_of(path)] == ["남은 글\n다음 줄", "각주의 글", "글상자"]


def test_an_hwp_document_is_read_with_its_numbers_and_merged_cells(tmp_path: Path) -> None:
    section = struct.pack("<IHHHIH", 0, 0, 0, 0, 0, 1) + b"\0" * 20
    first = (
        hwp_paragraph("통행료 규정", style=1, below=hwp_control("secd", 1, section))
        + hwp_paragraph("차례의 한 줄 ..... 3", style=2)
        + hwp_paragraph("목적", shape=2)
        + hwp_paragraph("본문\t탭 😀 끝.", below=hwp_table(MERGED_ROWS))
    )
    second = (
        hwp_paragraph("적용", shape=2)
        + hwp_paragraph("항목", shape=3)
        + hwp_paragraph("다음 항목", shape=3)
        + hwp_paragraph("", below=hwp_table([[("틀 안의 글", 1, 1)]]))
    )
    assert blocks_of(write_hwp(tmp_path / "규정.hwp", [first, second])) == REGULATION
    assert blocks_of(write_hwp(tmp_path / "그대로.hwp", [first, second], flags=0)) == REGULATION


def test_an_hwp_document_leaves_out_headers_and_keeps_notes_and_long_paragraphs(tmp_path: Path) -> None:
    def control(kind: str, text: str) -> bytes:
        return hwp_control(kind, 1) + hwp_record(72, 2, b"\0" * 16) + hwp_paragraph(text, 2)

    below = control("head", "머리말") + control("tcmt", "숨은 설명") + control("fn  ", "각주의 글")
    long = "긴 문단입니다. " * 1000
    path = write_hwp(tmp_path / "a.hwp", [hwp_paragraph(long, below=below)])
    assert [text for _, _, text in blocks_of(path)] == [long.strip(), "각주의 글"]


def test_more_than_ten_hwp_sections_keep_their_order(tmp_path: Path) -> None:
    path = write_hwp(tmp_path / "a.hwp", [hwp_paragraph(f"구역 {index}입니다.") for index in range(12)])
    assert [text for _, _, text in blocks_of(path)] == [f"구역 {index}입니다." for index in range(12)]


@pytest.mark.parametrize(("flags", "says"), [(3, "password"), (5, "배포용"), (0x11, "password")])
def test_a_locked_hwp_document_says_so(tmp_path: Path, flags: int, says: str) -> None:
    path = write_hwp(tmp_path / "a.hwp", [hwp_paragraph("글")], flags=flags)
    with pytest.raises(TunewayError, match=says):
        read_document(path)


def test_a_locked_hwpx_document_says_so(tmp_path: Path) -> None:
    manifest = "<m><file-entry><encryption-data/></file-entry></m>"
    with pytest.raises(TunewayError, match="password"):
        read_document(write_hwpx(tmp_path / "a.hwpx", [hwpx_paragraph("글")], manifest=manifest))


@pytest.mark.parametrize(
    ("stream", "says"),
    [("EncryptedPackage", "password"), ("WordDocument", "before 2007"), ("Workbook", "no document that is read")],
)
def test_other_compound_files_say_what_they_are(tmp_path: Path, stream: str, says: str) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(compound_file({stream: b"x" * 5000}))
    with pytest.raises(TunewayError, match=says):
        read_document(path)


def test_a_document_with_the_wrong_ending_is_read_for_what_it_is(word_document: Path, tmp_path: Path) -> None:
    renamed = word_document.rename(tmp_path / "규정.hwp")
    assert blocks_of(renamed) == REGULATION


def test_an_entity_bomb_and_an_outside_entity_do_no_harm(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("비밀")
    path = tmp_path / "a.docx"
    for entity in ('<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">', f'<!ENTITY b SYSTEM "file://{secret}">'):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(
                "word/document.xml",
                f'<!DOCTYPE d [{entity}]><w:document xmlns:w="urn:w"><w:body><w:p><w:r><w:t>글 &b;</w:t></w:r></w:p>'
                "</w:body></w:document>",
            )
        assert "비밀" not in "".join(text for _, _, text in blocks_of(path))


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_prep.documents.packages.MAX_MEMBER_BYTES", 1000)
    path = write_hwpx(tmp_path / "a.hwpx", [hwpx_paragraph("가" * 5000)])
    with pytest.raises(TunewayError, match="too large"):
        read_document(path)
