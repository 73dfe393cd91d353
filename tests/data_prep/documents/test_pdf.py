"""PDF documents with Korean letters, written by reportlab."""

from pathlib import Path

import pytest

from contracts.errors import TunewayError
from data_prep.documents.chunking import chunk_document
from data_prep.documents.reading import read_document
from tests.data_prep.documents.writers import PDF_FONT, write_pdf

PURPOSE = (
    "한빛고속도로공사가 관리하는 노선에서 차로를 막고 시행하는 작업의 승인 기준을 정하여 작업자와 통행 차량의 안전을 함께 지키는 "
    "것을 목적으로 한다. 통행료의 면제는 국가유공자와 장애인이 탄 차량에 한하며, 면제를 받으려는 사람은 제12조에 따라 미리 신청하여야 한다."
)
STORY = [
    "# 통행료 감면 규정",
    "제1장 총칙",
    f"제1조(목적) {PURPOSE}",
    "제2조(정의) 이 규정에서 쓰는 말의 뜻은 다음과 같다.",
    "1. 감면이란 통행료의 전부 또는 일부를 받지 아니하는 것을 말한다.",
    [["구분", "감면율"], ["국가유공자", "100%"], ["장애인", "50%"]],
    "\f",
    "제2장 절차",
    f"제3조(신청) ① {PURPOSE}",
    "② 신청은 서면으로 한다.",
    "\f",
    "부칙",
    "제1조(시행일) 이 규정은 2026년 1월 1일부터 시행한다.",
]


def test_a_pdf_is_read_with_its_structure_and_without_headers_and_page_numbers(tmp_path: Path) -> None:
    document = read_document(
        write_pdf(tmp_path / "규정.pdf", STORY, header="통행료 감면 규정 (2026년판)", footer="- # -")
    )
    assert [(block.kind.value, block.page, block.text) for block in document.blocks] == [
        ("heading", 1, "통행료 감면 규정"),
        ("heading", 1, "제1장 총칙"),
        ("article", 1, f"제1조(목적) {PURPOSE}"),
        ("article", 1, "제2조(정의) 이 규정에서 쓰는 말의 뜻은 다음과 같다."),
        ("paragraph", 1, "1. 감면이란 통행료의 전부 또는 일부를 받지 아니하는 것을 말한다."),
        ("table", 1, "| 구분 | 감면율 |\n|---|---|\n| 국가유공자 | 100% |\n| 장애인 | 50% |"),
        ("heading", 2, "제2장 절차"),
        ("article", 2, f"제3조(신청) ① {PURPOSE}"),
        ("paragraph", 2, "② 신청은 서면으로 한다."),
        ("heading", 3, "부칙"),
        ("article", 3, "제1조(시행일) 이 규정은 2026년 1월 1일부터 시행한다."),
    ]


def test_passages_of_a_pdf_know_their_page_and_article(tmp_path: Path) -> None:
    chunks = chunk_document(read_document(write_pdf(tmp_path / "규정.pdf", STORY)))
    assert [(chunk.page, chunk.heading_path[1:], chunk.article) for chunk in chunks] == [
        (1, ("제1장 총칙",), "제1조(목적)"),
        (1, ("제1장 총칙",), "제2조(정의)"),
        (2, ("제2장 절차",), "제3조(신청)"),
        (3, ("부칙",), "제1조(시행일)"),
    ]


def test_two_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    story = ["# 안내문", *[f"{number}번째 문단의 시작입니다. {PURPOSE}" for number in range(1, 9)]]
    text = " ".join(read_document(write_pdf(tmp_path / "a.pdf", story, columns=2)).text.split())
    places = [text.index(f"{number}번째 문단의 시작입니다. 한빛고속도로공사가") for number in range(1, 9)]
    assert places == sorted(places)


def test_a_table_that_goes_on_over_pages_is_one_table(tmp_path: Path) -> None:
    rows = [["번호", "영업소"], *([f"{number}", f"제{number}영업소"] for number in range(1, 90))]
    document = read_document(write_pdf(tmp_path / "a.pdf", ["# 영업소 목록", rows], footer="#"))
    title, table = document.blocks
    assert title.text == "영업소 목록"
    assert table.text.split("\n") == [
        "| 번호 | 영업소 |",
        "|---|---|",
        *(f"| {n} | 제{n}영업소 |" for n in range(1, 90)),
    ]


def test_paragraphs_come_back_as_they_were_written(tmp_path: Path) -> None:
    """The lines of the PDF break anywhere, also inside words."""
    documents = Path(__file__).parents[3] / "demo" / "documents"
    whole = paragraphs = 0
    for index, path in enumerate(sorted(documents.rglob("*.md"))[:6]):
        texts = [
            " ".join(block.text.split()).replace("—", "-")
            for block in read_document(path).blocks
            if block.kind != "table"
        ]
        read = read_document(write_pdf(tmp_path / f"{index}.pdf", texts, footer="#", columns=1 + index % 2))
        text = " ".join(read.text.split())
        whole += sum(one in text for one in texts)
        paragraphs += len(texts)
    assert paragraphs > 80
    assert whole / paragraphs > 0.9


def test_a_locked_pdf_says_so(tmp_path: Path) -> None:
    with pytest.raises(TunewayError, match="password"):
        read_document(write_pdf(tmp_path / "a.pdf", STORY, password="secret"))


def test_a_scan_says_that_it_has_no_text(tmp_path: Path) -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    path = tmp_path / "scan.pdf"
    canvas = Canvas(str(path))
    for _ in range(2):
        canvas.drawImage(ImageReader(Image.new("RGB", (60, 80), "grey")), 0, 0, 595, 842)
        canvas.showPage()
    canvas.save()
    with pytest.raises(TunewayError, match="it is a scan") as caught:
        read_document(path)
    assert "OCR" in caught.value.next_step


def test_an_empty_pdf_holds_no_text(tmp_path: Path) -> None:
    with pytest.raises(TunewayError, match="holds no text"):
        read_document(write_pdf(tmp_path / "a.pdf", ["\f"]))


def test_a_pdf_that_was_cut_off_is_told_or_read(tmp_path: Path) -> None:
    whole = write_pdf(tmp_path / "a.pdf", STORY).read_bytes()
    cut = tmp_path / "cut.pdf"
    for share in (0.2, 0.5, 0.9):
        cut.write_bytes(whole[: int(len(whole) * share)])
        try:
            read_document(cut)
        except TunewayError as error:
            assert error.next_step


def test_letters_printed_twice_and_turned_letters_are_not_text(tmp_path: Path) -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont(PDF_FONT))
    canvas = Canvas(str(tmp_path / "a.pdf"))
    canvas.setFont(PDF_FONT, 12)
    for shift in (0, 0.4):
        canvas.drawString(80 + shift, 600, "굵은 글씨로 쓴 각각의 문장입니다.")
    canvas.rotate(45)
    canvas.drawString(500, 100, "대외비")
    canvas.save()
    assert read_document(tmp_path / "a.pdf").text == "굵은 글씨로 쓴 각각의 문장입니다."
