"""Weak signs of bad grammar that need no analyser: particles that do not agree with the sound before, and misspellings.

A particle is checked only in the direction in which Korean has hardly any other word: `책를`, `회사을`, `나무은`,
`책와`, `학교으로`, `서울으로`. The other direction (`회사이`, `책가`) would take 나이, 국가 and the like for mistakes.
"""

import re

import numpy
from numpy.typing import NDArray

from data_prep.code_points import FIRST_SYLLABLE, LAST_SYLLABLE, CodePointArray, CodePoints
from data_prep.compiled import compiled
from data_prep.traces import Trace

_HARD = "[" + "".join(chr(code) for code in range(0xAC00, 0xD7A4) if (code - 0xAC00) % 28) + "]"
"""A syllable with a final consonant."""
_SOFT = "[" + "".join(chr(code) for code in range(0xAC00, 0xD7A4, 28)) + "]"
"""A syllable without one."""
_LIQUID = "[" + "".join(chr(code) for code in range(0xAC08, 0xD7A4, 28)) + "]"
"""A syllable that ends in ㄹ: 로 follows it as it follows a vowel."""
_NOUN = "[가-힣]"
_END = r"(?![가-힣])"
_PARTICLES = re.compile(
    rf"{_HARD}를{_END}"
    rf"|{_NOUN}{_HARD}와{_END}"
    rf"|{_NOUN}(?!가을|마을|노을|고을|개을|저을|그을|이을|지을|나을|부을|주을){_SOFT}을{_END}"
    rf"|{_NOUN}{_SOFT}(?<!으)은{_END}"
    rf"|{_NOUN}(?:{_SOFT}|{_LIQUID})으로{_END}"
)
_NOT_PARTICLES = re.compile(
    r"(?:지은|이은|나은|부은|그은|저은|주은|아은|기은|고은|다은|가은|하은|예은|시은|세은|제은|라은|혜은|해은|재은|채은|서은|소은"
    r"|[쌓놓좋]아은)$|(?:[기짓]와|무와)$"
)
_MISSPELT = re.compile(
    r"됬|되요|되서(?![류비])|안되요|않되|않해|몇일|어떻해|오랫만|금새|희안하|할께요|[을할갈볼줄]께요|설겆이|웬지|문안하게|어의없|역활"
    r"|일일히|곰곰히|깨끗히|뵈요|어짜피|어떻게요(?=,)|구지 |왠일|왠만|바램입니다|가르켜 |요세 |뿐만아니라|하므로써"
)
MISSPELT = Trace(
    characters="됬왠",
    pairs=[
        *(
            "되요",
            "되서",
            "않되",
            "않해",
            "몇일",
            "떻해",
            "랫만",
            "금새",
            "희안",
            "께요",
            "설겆",
            "웬지",
            "문안",
            "의없",
            "역활",
            "일히",
        ),
        *("곰히", "끗히", "뵈요", "어짜", "게요", "구지", "바램", "르켜", "요세", "만아", "로써"),
    ],
)
"""What every text shows in which a word of the list is misspelt."""


def grammar_mistakes(text: str) -> int:
    """How many signs of bad grammar the text shows."""
    particles = sum(1 for found in _PARTICLES.finditer(text) if not _NOT_PARTICLES.search(found[0]))
    return particles + sum(1 for _ in _MISSPELT.finditer(text))


def grammar_score(text: str, words: int) -> float:
    """1 without mistakes, 0 where every fifth word has one; the first counts half, because names and dialect occur."""
    mistakes = grammar_mistakes(text)
    return max(0.0, 1 - 5 * (mistakes - 0.5) / max(words, 5)) if mistakes else 1.0


def particles_may_disagree(read: CodePoints) -> NDArray[numpy.bool_]:
    """False for texts in which surely every particle agrees."""
    found = numpy.zeros(len(read), dtype=numpy.bool_)
    _find_disagreeing(read.codes, read.starts, read.lengths, found)
    return found


_REUL, _WA, _EUL, _EUN, _RO, _EU = map(ord, "를와을은로으")
_FINALS, _LIQUID_FINAL = 28, 8


@compiled("u4[]", "i8[]", "i8[]", "b1[]!")
def _find_disagreeing(
    codes: CodePointArray, starts: NDArray[numpy.int64], lengths: NDArray[numpy.int64], found: NDArray[numpy.bool_]
) -> None:
    for text in range(len(starts)):
        for place in range(starts[text] + 1, starts[text] + lengths[text]):
            code = numpy.int64(codes[place])
            if code not in (_REUL, _WA, _EUL, _EUN, _RO):
                continue
            behind, before = numpy.int64(codes[place + 1]), numpy.int64(codes[place - 1])
            if FIRST_SYLLABLE <= behind <= LAST_SYLLABLE or not FIRST_SYLLABLE <= before <= LAST_SYLLABLE:
                continue
            final = (before - FIRST_SYLLABLE) % _FINALS
            if code in (_REUL, _WA):
                disagrees = final != 0
            elif code in (_EUL, _EUN):
                disagrees = final == 0
            elif before == _EU and place >= starts[text] + 2:
                earlier = numpy.int64(codes[place - 2])
                final = (earlier - FIRST_SYLLABLE) % _FINALS
                disagrees = FIRST_SYLLABLE <= earlier <= LAST_SYLLABLE and final in (0, _LIQUID_FINAL)
            else:
                disagrees = False
            if disagrees:
                found[text] = True
                break
