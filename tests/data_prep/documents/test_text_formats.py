"""Markdown, plain text and HTML."""

from pathlib import Path

import pytest

from contracts.errors import TunewayError
from data_prep.documents.reading import read_document


def blocks_of(path: Path, data: str | bytes) -> list[tuple[str, int, str]]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return [(block.kind.value, block.level, block.text) for block in read_document(path).blocks]


def test_markdown_keeps_headings_tables_code_and_text(tmp_path: Path) -> None:
    text = (
        "---\ntitle: 제목\n---\n# 안내 **문서** #\n\n본문 **강조**.\n둘째 줄\n\n밑줄 제목\n---\n\n| 구분 | 값 |\n|:---|---:|\n"
        "| 가\\|나 | 1 |\n\n```python\n# 제목이 아님\nx  =  1\n```\n<!-- 숨김 -->\n\n---\n\n- 하나\n- 둘"
    )
    assert blocks_of(tmp_path / "a.md", text) == [
        ("heading", 1, "안내 문서"),
        ("paragraph", 0, "본문 **강조**.\n둘째 줄"),
        ("heading", 2, "밑줄 제목"),
        ("table", 0, "| 구분 | 값 |\n|---|---|\n| 가\\|나 | 1 |"),
        ("paragraph", 0, "```python\n# 제목이 아님\nx  =  1\n```"),
        ("paragraph", 0, "- 하나\n- 둘"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_plain_text_is_read_in_the_encodings_people_use(tmp_path: Path, encoding: str) -> None:
    text = "통행료 안내\n\n똠방각하의 통행료는 무료입니다.\r\n둘째 줄입니다."
    assert blocks_of(tmp_path / "a.txt", text.encode(encoding)) == [
        ("heading", 1, "통행료 안내"),
        ("paragraph", 0, "똠방각하의 통행료는 무료입니다.\n둘째 줄입니다."),
    ]


def test_letters_that_macos_takes_apart_are_put_together(tmp_path: Path) -> None:
    assert blocks_of(tmp_path / "a.txt", "\u1112\u1161\u11ab\u1100\u1173\u11af\u200b입니다.") == [
        ("paragraph", 0, "한글입니다.")
    ]


def test_html_keeps_text_and_leaves_out_what_surrounds_it(tmp_path: Path) -> None:
    page = """<html><head><title>t</title><style>p {}</style></head><body><nav><a>메뉴</a></nav>
    <h1>통행료 <b>안내</b></h1><p>첫째 <b>굵은</b>글<br>둘째&nbsp;줄</p><div>맨몸 글<p>안의 문단</p>꼬리</div>
    <ul><li>하나<ul><li>안</li></ul></li><li>둘</li></ul><ol><li>처음</li><li>다음</li></ol>
    <table><caption>표 1</caption><tr><th rowspan=2>구분<th>경차</tr><tr><td>50%</td></tr></table>
    <table><tr><td><h2>틀</h2><p>틀 안의 글</p></td></tr></table>
    <p style="display: none">숨김</p><script>alert(1)</script><footer>꼬리말</footer></body></html>"""
    assert blocks_of(tmp_path / "a.html", page) == [
        ("heading", 1, "통행료 안내"),
        ("paragraph", 0, "첫째 굵은글\n둘째 줄"),
        ("paragraph", 0, "맨몸 글"),
        ("paragraph", 0, "안의 문단"),
        ("paragraph", 0, "꼬리"),
        ("paragraph", 0, "- 하나\n  - 안\n- 둘"),
        ("paragraph", 0, "1. 처음\n2. 다음"),
        ("paragraph", 0, "표 1"),
        ("table", 0, "| 구분 | 경차 |\n|---|---|\n| 구분 | 50% |"),
        ("heading", 2, "틀"),
        ("paragraph", 0, "틀 안의 글"),
    ]


def test_html_in_euc_kr_is_read_although_it_says_so_in_an_xml_declaration(tmp_path: Path) -> None:
    page = '<?xml version="1.0" encoding="euc-kr"?><html><body><p>한글 페이지입니다.</p></body></html>'
    assert blocks_of(tmp_path / "a.htm", page.encode("cp949")) == [("paragraph", 0, "한글 페이지입니다.")]


def test_html_of_deep_nesting_and_hostile_spans_ends(tmp_path: Path) -> None:
    deep = "<div>" * 5000 + "깊은 글" + "</div>" * 5000
    spans = "<table>" + "<tr><td colspan=99999 rowspan=99999>가</td><td>나</td></tr>" * 3 + "</table>"
    try:
        found = blocks_of(tmp_path / "a.html", f"<body><p>앞</p>{spans}{deep}</body>")
    except TunewayError:
        return
    assert ("paragraph", 0, "앞") in found


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.txt", b"", "holds no text"),
        ("a.txt", b" \n\t\n", "holds no text"),
        ("a.md", b"<!-- nothing -->", "holds no text"),
        ("a.html", b"<html><body><script>1</script></body></html>", "holds no text"),
        ("a.xyz", b"text", "format is not known"),
        ("a.txt", b"ab\x00cd" * 100, "binary"),
        ("a.txt", bytes(range(128, 256)) * 20, "neither UTF-8 nor CP949"),
        ("a.hwp", b"HWP Document File V3.00 \x1a\x01", "HWP 3"),
        ("a.pdf", b"not a pdf", "its content is of another kind"),
        ("a.docx", b"PK\x03\x04 broken", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_to_do(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(TunewayError, match=says) as caught:
        read_document(path)
    assert name in str(caught.value.value)
    assert caught.value.next_step
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_document_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(TunewayError, match="no such document"):
        read_document(tmp_path / "none.txt")
    with pytest.raises(TunewayError, match="not a file"):
        read_document(tmp_path)


def test_a_text_that_speaks_of_a_format_is_not_taken_for_it(tmp_path: Path) -> None:
    assert blocks_of(tmp_path / "a.md", "PDF는 %PDF-1.7로 시작합니다.") == [
        ("paragraph", 0, "PDF는 %PDF-1.7로 시작합니다.")
    ]
