"""A Korean text as the words of a morphological analyser, each with the numbers that the name model looks at."""

import re
import zlib
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import numpy
from numpy.typing import NDArray

from data_prep.masking.lexicon import ODDS_STEPS, Lexicon
from data_prep.masking.names import SURNAMES

BASE = 10
"""Numbers of a word that depend on itself alone, before those of the lexicon."""
AROUND = 9
"""Numbers that tell its place among the words between two spaces (an eojeol)."""

OFFICIAL = 0.45
"""Mean log odds of a text's words from which it reads as official. Bills reach it in 97 of 100 cases, news in 3."""

_JAMO = {
    **{0x1100 + place: ord(jamo) for place, jamo in enumerate("ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ")},
    **{0x1161 + place: 0x314F + place for place in range(21)},
}
"""Lone conjoining jamo (`ᄏᄏ`) as the analyser knows them. \\0 is an identifier that was found before."""
_READ_AS = {**_JAMO, 0: ord("0")}
_FREQUENT = frozenset("김이박최정강조윤장임한오서신권황안송류홍전고문손배백허유남심노")
_SURNAMES = frozenset(SURNAMES)
_PARTICLES = frozenset(
    [
        "은",
        "는",
        "이",
        "가",
        "을",
        "를",
        "의",
        "에",
        "에게",
        "에게서",
        "께",
        "께서",
        "와",
        "과",
        "랑",
        "이랑",
        "도",
        "만",
        "로",
        "으로",
        "라고",
        "이라고",
        "라는",
        "이라는",
        "까지",
        "부터",
        "보다",
        "처럼",
        "이나",
        "나",
        "이며",
        "이고",
        "인데",
        "이다",
        "다",
        "입니다",
        "야",
        "아",
        "님",
        "씨",
    ]
)
_TITLES = (
    "씨",
    "님",
    "군",
    "양",
    "감독",
    "의원",
    "대표",
    "교수",
    "장관",
    "기자",
    "선수",
    "배우",
    "작가",
    "형",
    "누나",
    "언니",
    "오빠",
)
_SHORTENED = re.compile("[가-힣](?:씨|모)")
_CLASSES = re.compile("[가-힣]+|[ㄱ-ㆎ]+|[0-9]+|[A-Z]+|[a-z]+|[一-鿿]+|(.)\\1*", re.DOTALL)


class Words:
    """The words of one text in order: where they stand, and (words, numbers) of what they are."""

    __slots__ = ("ends", "numbers", "starts")

    def __init__(self, starts: list[int], ends: list[int], numbers: NDArray[numpy.uint32]) -> None:
        self.starts = starts
        self.ends = ends
        self.numbers = numbers


class WordReader:
    """Reads texts with mecab-ko and a lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._known = lru_cache(maxsize=50_000)(self._numbers_of)
        self._eojeol = lru_cache(maxsize=50_000)(self._eojeol_of)

    def read(self, text: str) -> Words:
        """The words of a shadow. Deterministic; a text without words gives none."""
        text = text.translate(_READ_AS)
        starts: list[int] = []
        ends: list[int] = []
        lines: list[str] = []
        firsts: list[int] = []
        for start, end, line in _analysed(text):
            if not ends or start != ends[-1]:
                firsts.append(len(starts))
            starts.append(start)
            ends.append(end)
            lines.append(line)
        if not lines:
            return Words([], [], numpy.zeros((0, BASE + self._lexicon.columns + AROUND), dtype=numpy.uint32))
        edges = [*firsts, len(lines)]
        eojeols = [self._eojeol(tuple(lines[first:end])) for first, end in pairwise(edges)]
        numbers = numpy.concatenate([rows for rows, _ in eojeols])
        next_word, word_before, next_part, register = (numbers.shape[1] - back for back in (6, 5, 3, 1))
        sizes = numpy.diff(edges)
        following, last = numpy.array(firsts[1:], dtype=numpy.int64), len(numbers) - 1
        numbers[:, next_word] = numpy.repeat([*numbers[following, 0], 7], sizes)
        numbers[:, next_part] = numpy.repeat([*numbers[following, 3], 7], sizes)
        numbers[:, word_before] = numpy.repeat([8, *numbers[following - 1, 0]], sizes)
        odds = sum(odds for _, odds in eojeols)
        numbers[:, register] = odds > OFFICIAL * ODDS_STEPS * max(last + 1, 4)
        return Words(starts, ends, numbers)

    def _eojeol_of(self, lines: tuple[str, ...]) -> tuple[NDArray[numpy.uint32], int]:
        """The numbers of words that follow one another without a space, but for those of their neighbours, and their odds."""
        own = [self._known(line) for line in lines]
        surfaces = [line.rpartition("\t")[0] for line in lines]
        rows = []
        for place, (numbers, _) in enumerate(own):
            rows.append(
                (
                    *numbers,
                    1 + (place == 0) + 2 * (place == len(own) - 1),
                    _number("".join(surfaces[place + 1 :])),
                    _number("".join(surfaces[:place])),
                    0,
                    0,
                    own[-1][0][0] if place < len(own) - 1 else 9,
                    0,
                    self._outline("".join(surfaces[place:])),
                    0,
                )
            )
        return numpy.array(rows, dtype=numpy.uint32), sum(odds for _, odds in own)

    def _outline(self, rest: str) -> int:
        """Whether the rest of an eojeol reads like a name of three syllables with something behind."""
        form = "F" if rest[0] in _FREQUENT else "S" if rest[0] in _SURNAMES else ""
        given = "g" if form and self._lexicon.is_name(rest[1:3]) else ""
        known = "".join("k" if self._lexicon.is_name(rest[:size]) else "" for size in (2, 3, 4))
        return _number(f"{form}{given}{known}{_tail(rest[3:])}{_tail(rest[2:4]) if len(rest) < 5 else ''}")

    def _numbers_of(self, line: str) -> tuple[tuple[int, ...], int]:
        """The word's own numbers, and how official it sounds."""
        surface, _, features = line.rpartition("\t")
        part, meaning, final, _, kind = features.split(",")[:5]
        size = len(surface)
        form = "F" if surface[0] in _FREQUENT else "S" if surface[0] in _SURNAMES else ""
        columns, known, odds = self._lexicon.of(surface)
        given = size == 3 and self._lexicon.is_name(surface[1:])
        look = "".join(run[0][0] if run[1] else _class(run[0][0]) for run in _CLASSES.finditer(surface))[:4]
        numbers = (
            _number(surface),
            _number(part),
            _number(meaning + kind),
            _number(part.partition("+")[0]),
            _number(f"{min(size, 7)}{final}{look}"),
            _number(surface[0]),
            _number(surface[-1]),
            _number(surface[:2]),
            _number(surface[-2:]),
            _number(f"{form}{min(size, 5)}{known}{'g' if given else ''}"),
            *columns,
        )
        return numbers, odds


def _tail(rest: str) -> str:
    if not rest:
        return "."
    return "p" if rest in _PARTICLES else "t" if rest.startswith(_TITLES) else "x"


def surfaces_of(text: str) -> list[str]:
    """The words alone, as they are written."""
    return [line.rpartition("\t")[0] for _, _, line in _analysed(text.translate(_READ_AS))]


def _class(letter: str) -> str:
    if "가" <= letter <= "힣":
        return "H"
    if "ㄱ" <= letter <= "ㆎ":
        return "j"
    if letter.isdigit():
        return "0"
    if "一" <= letter <= "鿿":
        return "C"
    return "A" if letter.isupper() else "a"


def _number(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _analysed(text: str) -> Any:
    """Start, end and the analyser's line of each word."""
    at = 0
    for line in _analysis(text).split("\n"):
        surface, tab, features = line.rpartition("\t")
        if not tab or not surface:
            continue
        start = text.find(surface, at)
        if start < 0:
            continue
        at = start + len(surface)
        # `박모(43)`, `김씨`: the analyser takes them for one noun
        if (
            features[0] == "N"
            and surface[0] in _SURNAMES
            and _SHORTENED.fullmatch(surface)
            and (surface[1] == "씨" or text[at : at + 1] in {"", " ", "("})
        ):
            yield start, start + 1, f"{surface[0]}\tNNP,인명성,F,*,*,*,*,*"
            yield start + 1, at, f"{surface[1]}\tNNB,*,F,*,*,*,*,*"
        else:
            yield start, at, line


def _analysis(text: str) -> str:
    mecab, tagger = _tagger()
    lattice = mecab.Lattice()
    lattice.add_request_type(mecab.MECAB_ALLOCATE_SENTENCE)
    lattice.set_sentence(text)
    tagger.parse(lattice)
    written: str = lattice.to_string()
    return written


@cache
def _tagger() -> tuple[Any, Any]:
    """The analyser's own module: its Python objects take three times as long as the analysis."""
    import _mecab
    from mecab import MeCab

    return _mecab, MeCab()._tagger
