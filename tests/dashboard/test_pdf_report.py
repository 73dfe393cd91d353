from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import pdfplumber
import pytest

from dashboard.pdf_report import MARGIN, WIDTH, PdfReport, Range, Series, width, wrap
from dashboard.texts import Language, Words

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def content() -> bytes:
    report = PdfReport("사규 질의응답 학습", Words(Language.KOREAN), NOW, subtitle="$run$ 1")
    report.heading("정확도")
    report.figures([("기반 모델", "41.2 %", "n = 200"), ("파일", "a" * 300)])
    report.table(["범주", "행 수"], [[f"범주 {place}", str(place)] for place in range(60)], numeric=(1,))
    report.line_chart("손실", [Series("$#1", [(0, 2.0), (1, 1.0)]), Series("#2", [(0, 2.0)])], "단계", "손실", log=True)
    report.bars("삭제한 행", [("중복 $", 3), ("너무 짧음", 1)], "행")
    report.ranges("구간", [Range("기반", 0.4, 0.3, 0.5)], "정확도", mark=0.8)
    report.histogram("길이", [0, 10, 20], [1, 2], "토큰", "행")
    report.points(["뷁과 됬도 적는다", "法"])
    return report.render()


def test_korean_can_be_searched_and_every_page_says_which_it_is(content: bytes) -> None:
    with pdfplumber.open(BytesIO(content)) as file:
        pages = [page.extract_text() for page in file.pages]
        assert file.metadata["Title"] == "사규 질의응답 학습"
    assert len(pages) >= 3
    assert "2026. 11. 29. 12:00 작성" in pages[0]
    assert "$run$ 1" in pages[0]
    for place, text in enumerate(pages, start=1):
        assert text.rstrip().endswith(f"{place} / {len(pages)}")
    assert "뷁과 됬도 적는다" in pages[-1]
    assert "□" in pages[-1], "what the font lacks is seen to be lacking"
    for label in ("손실", "중복 $", "너무 짧음", "기반", "토큰"):
        assert any(label in text for text in pages), label


def test_a_long_tables_header_stands_on_each_of_its_pages(content: bytes) -> None:
    with pdfplumber.open(BytesIO(content)) as file:
        holding = [text for page in file.pages if "범주 " in (text := page.extract_text()).split("손실")[0]]
    assert len(holding) >= 2
    assert all("범주 행 수" in text for text in holding)


def test_nothing_is_written_beyond_the_margins(content: bytes) -> None:
    with pdfplumber.open(BytesIO(content)) as file:
        letters = [letter for page in file.pages for letter in page.chars]
    assert len(letters) > 500
    assert min(letter["x0"] for letter in letters) > MARGIN - 4
    assert max(letter["x1"] for letter in letters) < WIDTH - MARGIN + 4


def test_every_font_is_embedded(content: bytes) -> None:
    assert b"/Type3" in content
    assert b"/Type1" not in content
    assert b"/TrueType" not in content


def test_lines_break_between_words_and_inside_a_word_only_where_it_is_too_wide() -> None:
    assert wrap("가나 다라", 10, width("가나 다", 10)) == ["가나", "다라"]
    assert wrap("가나다라", 10, width("가나", 10)) == ["가나", "다라"]
    assert wrap("", 10, 50) == []
