"""Passages: where they begin and end, and that they can be traced back."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidRequestError
from data_prep.documents.chunking import TABLE_FACTOR, chunk_document
from data_prep.documents.chunks import Block, BlockKind, Chunk, Document
from data_prep.documents.folder import UnreadDocument, read_folder
from data_prep.documents.structure import with_structure
from data_prep.documents.texts import TABLE_RULE, clean, table_text

DEMO_DOCUMENTS = Path(__file__).parents[3] / "demo" / "documents"
SHA256 = "ab" * 32


def document_of(*blocks: Block) -> Document:
    return Document("규정.md", SHA256, with_structure(blocks))


def heading(text: str, level: int) -> Block:
    return Block(BlockKind.HEADING, text, level)


def paragraph(text: str) -> Block:
    return Block(BlockKind.PARAGRAPH, text)


def regulation() -> Document:
    return document_of(
        heading("통행료 규정", 1),
        heading("제1장 총칙", 2),
        paragraph("제1조(목적) 이 규정은 통행료를 정한다."),
        paragraph("제2조(정의) 뜻은 다음과 같다.\n1. 차량\n2. 통행료"),
        Block(BlockKind.TABLE, table_text([["구분", "값"], ["경차", "50%"]])),
        heading("제2장 면제", 2),
        paragraph("제3조의2(면제) 면제한다."),
        heading("부칙", 2),
        paragraph("시행일은 따로 정한다."),
        heading("빈 제목", 2),
    )


def test_a_passage_is_one_article_below_its_headings() -> None:
    chunks = chunk_document(regulation())
    assert [(chunk.heading_path, chunk.article) for chunk in chunks] == [
        (("통행료 규정", "제1장 총칙"), "제1조(목적)"),
        (("통행료 규정", "제1장 총칙"), "제2조(정의)"),
        (("통행료 규정", "제2장 면제"), "제3조의2(면제)"),
        (("통행료 규정", "부칙"), ""),
    ]
    assert chunks[0].text == "통행료 규정\n\n제1장 총칙\n\n제1조(목적) 이 규정은 통행료를 정한다."
    assert chunks[1].text.endswith("| 경차 | 50% |")


def test_a_passage_has_the_same_id_in_every_run_and_another_where_anything_differs() -> None:
    ids = [chunk.chunk_id for chunk in chunk_document(regulation())]
    assert ids == [chunk.chunk_id for chunk in chunk_document(regulation())]
    assert len(set(ids)) == len(ids)
    assert all(len(chunk_id) == 16 for chunk_id in ids)
    other = Document("규정.md", "cd" * 32, regulation().blocks)
    assert not {chunk.chunk_id for chunk in chunk_document(other)} & set(ids)


def test_a_long_article_is_cut_at_its_clauses() -> None:
    clauses = [f"{sign} {'통행료를 낸다. ' * 5}".strip() for sign in "①②③④"]
    chunks = chunk_document(document_of(paragraph("제1조(요금) " + "\n".join(clauses))), max_characters=60, overlap=0)
    assert [chunk.text[0] for chunk in chunks] == ["제", "②", "③", "④"]
    assert {chunk.article for chunk in chunks} == {"제1조(요금)"}


def test_the_next_passage_begins_with_the_end_of_the_one_before_at_a_sentence() -> None:
    sentences = [f"{number}번째 문장을 여기에 씁니다." for number in range(40)]
    chunks = chunk_document(document_of(paragraph(" ".join(sentences))), max_characters=200, overlap=40)
    for before, after in pairwise(chunks):
        assert before.start < after.start < before.end <= after.end
        assert before.end - after.start <= 40
        assert after.text.split(".")[0] + "." in sentences


def test_a_passage_never_repeats_the_end_of_another_article() -> None:
    chunks = chunk_document(regulation(), max_characters=60, overlap=30, min_characters=0)
    for before, after in pairwise(chunks):
        if before.article != after.article:
            assert before.end <= after.start


def test_a_table_is_whole_and_a_huge_one_is_cut_between_rows_with_its_header_told() -> None:
    small = table_text([["구분", "값"], *([f"{row}번", "가" * 20] for row in range(8))])
    huge = table_text([["구분", "값"], *([f"{row}번", "가" * 20] for row in range(40))])
    chunks = chunk_document(document_of(Block(BlockKind.TABLE, small)), max_characters=100, overlap=20)
    assert [chunk.text for chunk in chunks] == [small]
    chunks = chunk_document(document_of(Block(BlockKind.TABLE, huge)), max_characters=100, overlap=20)
    assert "\n".join(chunk.text for chunk in chunks) == huge
    assert chunks[0].table_header == ""
    assert {chunk.table_header for chunk in chunks[1:]} == {"| 구분 | 값 |"}
    assert all(len(chunk.text) <= 100 for chunk in chunks)


def test_short_sections_go_together_below_their_heading() -> None:
    document = document_of(
        heading("안내", 1), heading("전화", 2), paragraph("내선 1234"), heading("주소", 2), paragraph("세종시"),
        heading("설명", 2), paragraph("긴 설명입니다. " * 20),
    )  # fmt: skip
    together, alone = chunk_document(document, min_characters=20), chunk_document(document, min_characters=0)
    assert [chunk.heading_path for chunk in together] == [("안내",)]
    assert [chunk.heading_path[-1] for chunk in alone] == ["전화", "주소", "설명"]


def test_a_passage_does_not_part_a_letter_from_its_marks() -> None:
    syllable, family = "\u1112\u1161\u11ab", "👨\u200d👩\u200d👧"
    for letter in (syllable, family, "👍🏽"):
        document = Document("a", SHA256, (paragraph(letter * 60),))
        for chunk in chunk_document(document, max_characters=50, overlap=0):
            assert len(chunk.text) % len(letter) == 0


@pytest.mark.parametrize(("size", "overlap", "least"), [(10, 0, 0), (100, 60, 0), (100, -1, 0), (100, 10, -1)])
def test_impossible_sizes_are_refused(size: int, overlap: int, least: int) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be cut"):
        chunk_document(regulation(), max_characters=size, overlap=overlap, min_characters=least)


TEXTS = st.text(
    st.one_of(
        st.sampled_from("가나다 \n①②1.제조장항()|-다요😀\u1112\u1161\u11ab\u0301\u200d"), st.characters(codec="utf-8")
    ),
    min_size=1,
    max_size=400,
).map(clean)
BLOCKS = st.one_of(
    st.builds(paragraph, TEXTS.filter(bool)),
    st.builds(heading, st.sampled_from(["제1장 총칙", "개요", "부칙", "2. 방법"]), st.integers(1, 6)),
    st.builds(
        lambda rows: Block(BlockKind.TABLE, table_text(rows)),
        st.lists(
            st.lists(st.sampled_from(["가", "나|다", "긴 칸입니다 " * 5]), min_size=2, max_size=3),
            min_size=1,
            max_size=12,
        ),
    ),
    st.builds(lambda n, t: paragraph(f"제{n}조(제목) {t}".strip()), st.integers(1, 99), TEXTS),
)


@settings(max_examples=120, deadline=None)
@given(
    blocks=st.lists(BLOCKS, max_size=12),
    size=st.integers(50, 400),
    overlap_share=st.floats(0, 0.5),
    least_share=st.floats(0, 1),
)
def test_every_passage_is_a_stretch_of_its_document(
    blocks: list[Block], size: int, overlap_share: float, least_share: float
) -> None:
    document = Document("a.md", SHA256, with_structure(blocks, signs=True))
    chunks = chunk_document(
        document, max_characters=size, overlap=int(size * overlap_share), min_characters=int(size * least_share)
    )
    covered = [False] * len(document.text)
    for chunk in chunks:
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert chunk.text.strip()
        covered[chunk.start : chunk.end] = [True] * (chunk.end - chunk.start)
        limit = size if "\n" + TABLE_RULE not in chunk.text else (TABLE_FACTOR + 1) * size
        assert len(chunk.text) <= limit or chunk.text.count("\n") <= 3  # a row longer than a passage
        articles = sum(
            block.kind is BlockKind.ARTICLE and chunk.start <= start < chunk.end
            for block, start in zip(document.blocks, document.starts, strict=True)
        )
        assert articles <= 1
    assert [chunk.start for chunk in chunks] == sorted(chunk.start for chunk in chunks)
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)
    bodies = [index for index, block in enumerate(document.blocks) if block.kind is not BlockKind.HEADING]
    for index in range(bodies[-1] + 1 if bodies else 0):  # headings at the end are in no passage
        start = document.starts[index]
        text = document.blocks[index].text
        assert all(covered[start + at] or letter.isspace() for at, letter in enumerate(text))


def test_the_demo_documents_are_read_and_cut_whole() -> None:
    chunks: list[Chunk] = []
    for document in read_folder(DEMO_DOCUMENTS):
        assert not isinstance(document, UnreadDocument)
        for chunk in chunk_document(document):
            assert document.text[chunk.start : chunk.end] == chunk.text
            chunks.append(chunk)
    articles = {(chunk.document, chunk.article) for chunk in chunks if chunk.article}
    assert ("safety/safety-lane-closure.md", "제5조(검토와 승인)") in articles
    assert ("contracts/contract-advance-payment.md", "제10조") in articles
    assert len({chunk.document for chunk in chunks}) == 42
    assert len(chunks) > 250
