"""A text in which identifiers are written one way, with the way back to the offsets of the text itself."""

import re
import unicodedata
from dataclasses import dataclass

from contracts.enums import PersonalDataKind
from data_prep.traces import Trace

BLOT = "\1"
"""Stands where a token hides personal data already."""

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―⁃−ーㅡ﹣⸺➖─━"), ord("-"))
_SPACES = dict.fromkeys([*map(ord, "\u00a0\u1680\u202f\u205f\u3000\t\v\f\u3164"), *range(0x2000, 0x200B)], ord(" "))
_DOTS = dict.fromkeys(map(ord, "。｡․"), ord("."))
_STARS = dict.fromkeys(map(ord, "＊∗⁎✱✲●○•◦■□◯⚫⚪×✕"), ord("*"))
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)
_ONE_WAY = {**_FULL_WIDTH, **_DASHES, **_SPACES, **_DOTS, **_STARS, **_SURROGATES}

_INVISIBLE = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x08\x0e-\x1f\x7f"
_COMBINING = "\u0300-\u036f\u1100-\u11ff\u20d0-\u20ff\ua960-\ua97f\ud7b0-\ud7fb\ufe00-\ufe0f"
_OTHER_DIGITS = "\u0660-\u0669\u06f0-\u06f9\U0001d7ce-\U0001d7ff"
_FOLLOWS = "[\u0300-\u036f\u1160-\u11ff\u20d0-\u20ff\ud7b0-\ud7fb\ufe00-\ufe0f]"

_WRITTEN = "".join(re.escape(chr(code)) for code in _ONE_WAY if not 0xD800 <= code < 0xE000) + "\ud800-\udfff"
_WRITTEN_OTHERWISE = re.compile(f"[{_WRITTEN}]")
_NEEDS_MAP = re.compile(f"[{_INVISIBLE}{_COMBINING}{_OTHER_DIGITS}]")
_UNUSUAL = re.compile(rf"[{_WRITTEN}{_INVISIBLE}{_COMBINING}{_OTHER_DIGITS}\[]")
"""One pass that most texts do not go beyond."""
_APART = re.compile(r"[0-9](?<![0-9][0-9])(?: [0-9](?![0-9])| -){9,}")
"""Digits one by one, as a scanner reads widely set print."""
_CLUSTER = re.compile(rf"[{_INVISIBLE}]|[^{_INVISIBLE}]{_FOLLOWS}*", re.DOTALL)
_HIDDEN = re.compile(f"[{_INVISIBLE}]")
_TOKEN = re.compile(
    r"\[(?:" + "|".join(re.escape(kind.value) for kind in PersonalDataKind) + r")(?:-[0-9A-Z]{4,16})?\]"
)


@dataclass(frozen=True, slots=True)
class Shadow:
    """What the recognisers read. `starts` and `ends` are None where every offset is that of the text itself."""

    text: str
    starts: tuple[int, ...] | None = None
    ends: tuple[int, ...] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where the stretch stands in the text itself."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


def shadow_of(text: str) -> Shadow:
    """Full-width and other digits, dashes, spaces, dots and stars as ASCII, Hangul composed, invisible characters left out.

    Digits that stand apart (`0 1 0 1 2 3 4 …`) stand together.

    What is already masked is blotted out, so that nothing is found in it and nothing reaches across it.
    """
    apart = _APART.search(text) is not None
    if not apart and _UNUSUAL.search(text) is None:
        return Shadow(text)
    if apart or _NEEDS_MAP.search(text):
        return _mapped(text)
    return Shadow(_one_way(text))


def unusual_trace() -> Trace:
    """What every text shows that is not its own shadow."""
    return Trace("".join(_UNUSUAL.findall("".join(map(chr, range(0x10000))))), beyond=True)


def shadow(text: str) -> str:
    """The shadow's text alone."""
    return shadow_of(text).text


def _one_way(text: str) -> str:
    if _WRITTEN_OTHERWISE.search(text):
        text = text.translate(_ONE_WAY)
    if "[" in text:
        text = _TOKEN.sub(lambda token: BLOT * len(token[0]), text)
    return text


def _mapped(text: str) -> Shadow:
    """Cluster by cluster: jamo that make a syllable become one character, which stands for all of them."""
    characters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    gaps = {place for run in _APART.finditer(text) for place in range(run.start(), run.end()) if text[place] == " "}
    for cluster in _CLUSTER.finditer(text):
        written = cluster[0]
        if _HIDDEN.match(written) or cluster.start() in gaps:
            continue
        for character in unicodedata.normalize("NFC", written):
            decimal = unicodedata.decimal(character, None)
            # a variation selector or an accent that composes with nothing adds no character of its own
            if unicodedata.combining(character) or "\ufe00" <= character <= "\ufe0f" or character == "\u20e3":
                continue
            characters.append(character if decimal is None else str(decimal))
            starts.append(cluster.start())
            ends.append(cluster.end())
    return Shadow(_one_way("".join(characters)), tuple(starts), tuple(ends))
