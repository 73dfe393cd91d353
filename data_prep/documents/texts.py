"""The text of a block, as every format writes it."""

import re
import unicodedata
from collections.abc import Sequence

_INVISIBLE = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]"
)
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\t]")
_REPEATED_SPACES = re.compile(r"(?<=\S) {2,}")
_SPACES_AT_LINE_ENDS = re.compile(r"(?<! ) +(?=\n|$)")
_EMPTY_LINES = re.compile(r"\n{3,}")

TABLE_RULE = "|---"


def clean(text: str, *, keep_columns: bool = False) -> str:
    """NFC, line ends \\n, single spaces inside lines, nothing invisible, no half characters, nothing around it.

    Indentation stays, and with `keep_columns` runs of spaces inside lines too (code, drawings).
    """  # noqa: D301
    text = _LINE_ENDS.sub("\n", text)
    text = _SPACES.sub(" ", _INVISIBLE.sub("", text))
    # last, for what was taken out may have stood between the halves of a letter
    text = unicodedata.normalize("NFC", text)
    if not keep_columns:
        text = _REPEATED_SPACES.sub(" ", text)
    return _EMPTY_LINES.sub("\n\n", _SPACES_AT_LINE_ENDS.sub("", text)).strip()


def one_line(text: str) -> str:
    """The text cleaned and on one line."""
    return " ".join(clean(text).split())


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown: one line a row, a rule below the first. Empty where no cell holds anything."""
    cells = [[one_line(cell).replace("|", "\\|") for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    width = max((len(row) for row in cells), default=0)
    kept = [column for column in range(width) if any(column < len(row) and row[column] for row in cells)]
    if not kept:
        return ""
    lines = ["| " + " | ".join(row[column] if column < len(row) else "" for column in kept) + " |" for row in cells]
    return "\n".join([lines[0], TABLE_RULE * len(kept) + "|", *lines[1:]])
