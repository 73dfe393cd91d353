"""The structure of Korean laws, regulations, contracts and official papers, found in their lines.

Parts (편), chapters (장), sections (절), subsections (관), articles (조, also 제12조의2), supplementary provisions
(부칙) and annexes (별표, 별지): only where a line begins with one and is no sentence that mentions it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from data_prep.documents.chunks import Block, BlockKind

MAX_HEADING_CHARACTERS = 100
"""A longer line is a sentence."""

_LAW_LEVELS = {"편": 21, "장": 22, "절": 23, "관": 24}
"""Below every heading that a format marks as one (1 to 9); counted from 1 at the end."""
_APPENDIX_LEVEL = 21
_SIGN_LEVELS = {"Ⅰ": 12, "■": 14, "1": 15, "가": 16}
ARTICLE_LEVEL = 30

_DIVISION = re.compile(r"(?:\*\*)?제\s*\d{1,4}\s*(?P<unit>편|장|절|관)(?:\s*의\s*\d{1,3})?(?=[\s(\uff08:.·]|$)")
_ARTICLE = re.compile(
    r"(?:\*\*|__)?제\s*(?P<number>\d{1,4})\s*조(?:\s*의\s*(?P<branch>\d{1,3}))?(?:\*\*|__)?"
    r"(?:\s*(?P<title>\((?:[^()\n]|\([^()\n]*\)){1,120}\)|\uff08[^\uff08\uff09\n]{1,120}\uff09|【[^】\n]{1,120}】|\[[^\]\n]{1,120}\]"
    r"|〔[^〕\n]{1,120}〕))?(?:\*\*|__)?(?P<rest>[^\n]*)"
)
_CONJUNCTION = re.compile(
    r"\s*(?:제\s*\d+\s*[항호목]|및(?=\s)|또는|내지|부터|까지|중(?=\s)|본문|단서|각\s*[호항]|전단|후단|[,，·ㆍ~∼])"
)
"""What follows where an article or a chapter is only mentioned: `제12조(면제) 제1항에 따라`."""
_PARTICLE = re.compile(r"(?:에|의|를|을|은|는|이|가|와|과|로|으로|및|부터|까지|도|만|[,，·ㆍ~∼])")
_OWN_NAME = re.compile(
    r"\s*이\s*(?:법|영|규칙|규정|조례|지침|계약|약관|요령|세칙|정관|고시|훈령|예규|기준|내규|협약|협정|매뉴얼)"
)
_APPENDIX = re.compile(
    r"부\s*칙(?=\s*(?:$|[<〈(\uff08\[【]|제\s*\d))"
    r"|[\[<〈【]\s*(?:별표|별지|부록|붙임)[^\]>〉】\n]{0,40}[\]>〉】]"
    r"|(?:별표|별지|부록)\s*(?:제?\s*\d+(?:\s*호)?(?:\s*의\s*\d+)?)?\s*(?=$|[<〈(\uff08\[.:])"
)
_ROMAN = re.compile(r"(?:[ⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫ]+|(?:I{1,3}|IV|VI{0,3}|IX|X))[.\s)]\s*\S")
_SIGN = re.compile(r"[■□◆◇▣▶●]\s*\S")
_NUMBERED = re.compile(r"\d{1,2}(?:\.\d{1,2}){0,3}[.)]?\s+\S")
_LETTERED = re.compile(r"[가나다라마바사아자차카타파하][.]\s+\S")
_SENTENCE_END = re.compile(
    r"(?:다|요|오|까|함|음|임|됨)?[.!?。][\"'”’)\]]*$|(?:습니다|한다|된다|있다|없다|이다|하여야|한다)$"
)
_ITEM = re.compile(r"\s*(?:[①-⑳㉑-㉟]|\d{1,3}[.)]\s|[가-하][.)]\s|[-*•·○◦▪※]\s|\[[ xX]?\]\s)")


@dataclass(frozen=True, slots=True)
class _Found:
    kind: BlockKind
    level: int


def article_name(text: str) -> str:
    """`제12조의2(통행료의 면제)` of a text that begins with an article's heading; empty where it does not."""
    match = _ARTICLE.match(text)
    if match is None:
        return ""
    branch = f"의{int(match['branch'])}" if match["branch"] else ""
    title = re.sub(r"\s+", " ", (match["title"] or "")[1:-1]).strip()
    return f"제{int(match['number'])}조{branch}" + (f"({title})" if title else "")


def ends_a_sentence(text: str) -> bool:
    """The line ends as sentences do: it is no heading."""
    return _SENTENCE_END.search(text.rstrip()) is not None


def begins_an_item(line: str) -> bool:
    """The line is a paragraph (①), subparagraph (1.), item (가.) or bullet of its own."""
    return _ITEM.match(line) is not None


def begins_a_division(line: str) -> bool:
    """The line begins an article, a chapter or an annex, whatever its number."""
    return _division(line) is not None or _is_article(line, None)


def with_structure(blocks: Iterable[Block], *, signs: bool = False) -> tuple[Block, ...]:
    """The blocks, with headings and articles that stood in paragraphs as blocks of their own.

    A line that a format marks as a heading stays one, with its level. `signs` also takes short lines that begin with
    Ⅰ., ■ or 1. for headings, for formats that cannot mark one (plain text).
    """
    numbering = _Numbering()
    found: list[Block] = []
    for block in blocks:
        if block.kind is BlockKind.PARAGRAPH:
            found.extend(_paragraph(block, numbering, signs=signs))
        elif block.kind is BlockKind.HEADING and _is_article(block.text, numbering):
            found.append(replace(block, kind=BlockKind.ARTICLE))
        else:
            if block.kind is BlockKind.HEADING and _APPENDIX.match(block.text):
                numbering.restart()
            found.append(block)
    return _levels_from_one(found)


class _Numbering:
    """Which article comes next: an article without a title is only believed in its turn."""

    def __init__(self) -> None:
        self._last = 0

    def is_next(self, number: int, branch: int) -> bool:
        return number == self._last + 1 or (branch > 0 and number == self._last) or number == 1

    def seen(self, number: int) -> None:
        self._last = number

    def restart(self) -> None:
        self._last = 0


def _is_article(line: str, numbering: _Numbering | None) -> bool:
    match = _ARTICLE.match(line)
    if match is None:
        return False
    number, branch, rest = int(match["number"]), int(match["branch"] or 0), match["rest"]
    if _OWN_NAME.match(rest) is not None:  # 제1조(목적) 이 규정은
        is_article = True
    elif match["title"]:
        is_article = (_CONJUNCTION if rest[:1].isspace() else _PARTICLE).match(rest) is None
    else:
        in_place = not rest or rest[0].isspace() or rest[0] in "①.:"
        is_article = (
            in_place and _CONJUNCTION.match(rest) is None and (numbering is None or numbering.is_next(number, branch))
        )
    if is_article and numbering is not None:
        numbering.seen(number)
    return is_article


def _division(line: str) -> int | None:
    """Level of a chapter's or an annex's heading; None where the line is neither."""
    if len(line) > MAX_HEADING_CHARACTERS:
        return None
    match = _DIVISION.match(line)
    if match is not None:
        rest = line[match.end() :]
        if _CONJUNCTION.match(rest) is not None or ends_a_sentence(line):
            return None
        return _LAW_LEVELS[match["unit"]]
    if _APPENDIX.match(line) is not None and not ends_a_sentence(line):
        return _APPENDIX_LEVEL
    return None


def _sign_level(line: str, previous: str, following: str) -> int | None:
    """Level of a short line that stands over other lines and begins with a sign; None where it does not."""
    if len(line) > 50 or ends_a_sentence(line) or line.startswith("|"):
        return None
    if _ROMAN.match(line):
        return _SIGN_LEVELS["Ⅰ"]
    if _SIGN.match(line) and following and not _SIGN.match(following):
        return _SIGN_LEVELS["■"]
    for pattern, level in ((_NUMBERED, _SIGN_LEVELS["1"]), (_LETTERED, _SIGN_LEVELS["가"])):
        # one item of a list has its like beside it; a heading has its text below
        if pattern.match(line) and following and not pattern.match(following) and not pattern.match(previous):
            return level
    return None


def _paragraph(block: Block, numbering: _Numbering, *, signs: bool) -> Iterator[Block]:
    lines = block.text.split("\n")
    kind, level, kept = BlockKind.PARAGRAPH, 0, list[str]()

    def finished() -> Iterator[Block]:
        text = "\n".join(kept).strip()
        if text:
            yield Block(kind, text, level, block.page)

    for index, line in enumerate(lines):
        stripped = line.strip()
        found = _structure_of(stripped, lines, index, numbering, signs=signs)
        if found is None:
            kept.append(line)
            continue
        yield from finished()
        if found.kind is BlockKind.HEADING:
            yield Block(BlockKind.HEADING, stripped, found.level, block.page)
            kind, level, kept = BlockKind.PARAGRAPH, 0, []
        else:
            kind, level, kept = BlockKind.ARTICLE, found.level, [line]
    yield from finished()


def _structure_of(line: str, lines: Sequence[str], index: int, numbering: _Numbering, *, signs: bool) -> _Found | None:
    if line[:1] in "제*_" and _is_article(line, numbering):
        return _Found(BlockKind.ARTICLE, ARTICLE_LEVEL)
    division = _division(line)
    if division is not None:
        if division == _APPENDIX_LEVEL and not line.startswith("제"):
            numbering.restart()
        return _Found(BlockKind.HEADING, division)
    if signs and line:
        previous = lines[index - 1].strip() if index > 0 else ""
        following = lines[index + 1].strip() if index + 1 < len(lines) else ""
        level = _sign_level(line, previous, following)
        if level is not None:
            return _Found(BlockKind.HEADING, level)
    return None


def _levels_from_one(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The same order of depths, counted 1, 2, 3 …"""
    depths = sorted({block.level for block in blocks if block.kind in {BlockKind.HEADING, BlockKind.ARTICLE}})
    rank = {level: index for index, level in enumerate(depths, start=1)}
    return tuple(
        replace(block, level=rank[block.level]) if block.kind in {BlockKind.HEADING, BlockKind.ARTICLE} else block
        for block in blocks
    )
