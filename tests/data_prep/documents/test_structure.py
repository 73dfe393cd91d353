"""Articles, chapters and annexes of Korean laws, contracts and official papers."""

import pytest

from data_prep.documents.chunks import Block, BlockKind
from data_prep.documents.structure import article_name, with_structure


def shape(text: str, *, signs: bool = False) -> list[tuple[str, str]]:
    """Kind and first line of each block."""
    blocks = with_structure([Block(BlockKind.PARAGRAPH, part) for part in text.split("\n\n")], signs=signs)
    return [(block.kind.value, block.text.split("\n")[0]) for block in blocks]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("제1조(목적) 이 규정은 통행료의 면제를 정한다.", "제1조(목적)"),
        ("제12조의2(통행료의 면제) ① 다음 각 호의 차량", "제12조의2(통행료의 면제)"),
        ("제 3 조 (신청) 신청은 서면으로 한다.", "제3조(신청)"),
        ("제4조【계약의 해지】 갑은 다음의 경우", "제4조(계약의 해지)"),
        ("제5조 [보증] 을은 보증금을 낸다.", "제5조(보증)"),
        ("**제6조(위약금)** 위약금은 총액의 10%로 한다.", "제6조(위약금)"),
        ("제7조(감면(減免)의 취소) 취소한다.", "제7조(감면(減免)의 취소)"),
        ("제8조\uff08전각 괄호\uff09 안내를 한다.", "제8조(전각 괄호)"),
        ("제10조(과태료) 제9조를 위반한 자에게는 과태료를 부과한다.", "제10조(과태료)"),
        ("제2조(정의)이 규정에서 쓰는 말", "제2조(정의)"),
        ("제13조 삭제 <2020. 1. 1.>", "제13조"),
    ],
)
def test_an_article_is_found_where_it_begins(line: str, name: str) -> None:
    assert article_name(line) == name
    (block,) = with_structure([Block(BlockKind.PARAGRAPH, line.replace("제13조", "제1조"))])
    assert block.kind is BlockKind.ARTICLE


@pytest.mark.parametrize(
    "line",
    [
        "제12조에 따라 면제를 신청한 자는 다음과 같다.",
        "제12조(통행료의 면제)에 따라 면제된다.",
        "제12조(통행료의 면제) 및 제13조에 따른 신청서를 낸다.",
        "제12조 제1항에 따른 통지를 받은 날부터 10일 이내에",
        "제12조, 제13조와 제14조는 적용하지 아니한다.",
        "제12조부터 제15조까지의 규정은 이를 준용한다.",
        "제조업을 하는 사업자는 다음과 같다.",
        "제2장에 따른 절차를 거쳐야 한다.",
        "제2장 및 제3장의 규정은 적용하지 아니한다.",
        "부칙에서 정하는 바에 따른다.",
        "별표 1에 따른 금액을 낸다.",
        "제2절기 행사를 안내한다.",
    ],
)
def test_a_sentence_that_mentions_an_article_stays_a_sentence(line: str) -> None:
    assert shape(line) == [("paragraph", line)]


def test_an_article_without_a_title_is_believed_in_its_turn_only() -> None:
    text = "제1조 이 약관은 이용 조건을 정한다.\n제2조 이용자는 요금을 낸다.\n제9조 위반의 책임은 따로 정한다."
    assert shape(text) == [
        ("article", "제1조 이 약관은 이용 조건을 정한다."),
        ("article", "제2조 이용자는 요금을 낸다."),
    ]


def test_parts_chapters_sections_and_annexes_are_headings_in_their_order() -> None:
    text = (
        "제1편 총칙\n제1장 목적\n제1절 통칙\n제1관 정의\n제1조(목적) 목적이다.\n제2장 절차\n제2조(신청) 신청한다.\n"
        "부칙 <제10호, 2025. 1. 1.>\n제1조(시행일) 공포한 날부터 시행한다.\n[별표 1] 감면 대상(제2조 관련)\n표의 설명이다."
    )
    blocks = with_structure([Block(BlockKind.PARAGRAPH, text)])
    assert [(block.kind.value, block.level, block.text.split(" ")[0]) for block in blocks] == [
        ("heading", 1, "제1편"),
        ("heading", 2, "제1장"),
        ("heading", 3, "제1절"),
        ("heading", 4, "제1관"),
        ("article", 5, "제1조(목적)"),
        ("heading", 2, "제2장"),
        ("article", 5, "제2조(신청)"),
        ("heading", 1, "부칙"),
        ("article", 5, "제1조(시행일)"),
        ("heading", 1, "[별표"),
        ("paragraph", 0, "표의"),
    ]


def test_clauses_and_items_stay_with_their_article() -> None:
    text = "제3조(면제) ① 다음 각 호는 면제한다.\n1. 구급차\n가. 응급 출동 중인 것\n2. 소방차\n② 제1항의 신청은 따로 정한다."
    (block,) = with_structure([Block(BlockKind.PARAGRAPH, text)])
    assert (block.kind, block.text) == (BlockKind.ARTICLE, text)


def test_short_lines_with_a_sign_are_headings_of_plain_text() -> None:
    text = "■ 신청 방법\n누리집에서 신청합니다.\n\n1. 준비할 것\n신분증을 준비합니다.\n\n1. 사과\n2. 배\n3. 감"
    assert shape(text, signs=True) == [
        ("heading", "■ 신청 방법"),
        ("paragraph", "누리집에서 신청합니다."),
        ("heading", "1. 준비할 것"),
        ("paragraph", "신분증을 준비합니다."),
        ("paragraph", "1. 사과"),
    ]
