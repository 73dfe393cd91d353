"""What is left of markup, templates and lists in a text that should read as prose or Markdown."""

import re

from data_prep.traces import Trace

_REMNANTS = re.compile(
    r"<\|[a-z_]{2,30}\|>|\[/?INST\]|<</?SYS>>|</?(?:s|bos|eos|pad|unk)>|<(?:start|end)_of_turn>"
    r"|^\s*#{2,3} ?(?:Response|Instruction|Input|답변|응답|명령어)\s*:"
    r"|^\s*(?:(?:Human|Assistant|User|Bot|사용자|어시스턴트|챗봇)\s*:)"
    r"|</?(?:div|span|p|br|font|table|tr|td|a|ul|li)\b[^<>]{0,200}>|&(?:nbsp|amp|lt|gt|quot|#\d{2,5});|\\[nrt](?=\s|[가-힣]|$)",
    re.MULTILINE | re.IGNORECASE,
)
_REMNANT_SIGNS = ("<", "&", "[", "\\", "#", ":")
_MARK_RUNS = re.compile(r"([!?~*=_\-#.^])\1{9,}")
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("「", "」"), ("『", "』"), ("《", "》"), ("“", "”"))
_CODE = "```"
DEFECT = Trace(
    characters="".join({*_REMNANT_SIGNS, *"".join(map("".join, _BRACKETS)), _CODE[0], "\n"}),
    pairs=[2 * mark for mark in "!?~*=_-#.^"],
)
"""What every text shows whose formatting_score is not 1."""
_MIN_LINES = 4


def formatting_score(text: str) -> float:
    """1 for clean text; each kind of defect takes its share.

    Remnants of chat templates and HTML ×0.4 · a code block that is not closed ×0.6 · brackets that do not match ×0.85
    · runs of ten or more of one mark ×0.7 · a list (4 lines or more) in which lines come again: × share of distinct
    lines.
    """
    score = 1.0
    has_code = _CODE in text
    if not has_code and any(sign in text for sign in _REMNANT_SIGNS) and _REMNANTS.search(text):
        score *= 0.4
    if has_code and text.count(_CODE) % 2:
        score *= 0.6
    if not has_code and any(text.count(opening) != text.count(closing) for opening, closing in _BRACKETS):
        score *= 1.0 if _is_enumerated(text) else 0.85
    if not has_code and _MARK_RUNS.search(text):
        score *= 0.7
    if text.count("\n") >= _MIN_LINES - 1:
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        if len(lines) >= _MIN_LINES:
            score *= len(set(lines)) / len(lines)
    return score


_ENUMERATION = re.compile(r"(?:^|\s)(?:\d{1,2}|[가-하a-z])\)", re.MULTILINE)


def _is_enumerated(text: str) -> bool:
    """`1) … 2) …` has closing brackets of its own."""
    surplus = text.count(")") - text.count("(")
    return surplus > 0 and len(_ENUMERATION.findall(text)) >= surplus
