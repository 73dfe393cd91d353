"""A quality score from 0 to 1 for a row, from what can be read off its text.

    score = legibility^0.3 · diversity^0.2 · completeness^0.2 · substance^0.2 · relevance^0.1

A geometric mean: one grave defect sinks a row, several slight ones do not make it worthless.

legibility    share of the answer's characters that are not mojibake: U+FFFD, private use, lone jamo, and runs of `?`
              inside words; squared, because a tenth of the characters spoilt is already unreadable
diversity     distinct character pairs among all pairs, judged against what a text of this length can have
completeness  1 if the answer ends as a sentence does (다, 요, 죠, 까, 음, 함, punctuation, a closing bracket), else 0.7
substance     characters of the answer without spaces over 8, at most 1
relevance     0 if the answer only repeats the question, else 1
"""

import math
import re
from dataclasses import dataclass

from contracts.enums import RemovalReason
from data_prep.normalisation import comparable
from data_prep.removal import Removal
from data_prep.rows import Row

_SPOILT = re.compile("[\ufffd\ue000-\uf8ff\u3131-\u318e\u1100-\u11ff]|(?<=[가-힣])\\?{2,}(?=[가-힣])")
_LAUGHTER = re.compile("[ㅋㅎㅠㅜ]+")
_ENDING = re.compile(r"(?:[다요죠까음함임됨것오네라지][.!?~…]*|[.!?…:]|[)\]」』”\"'`|>])\s*$")
_ENOUGH_CHARACTERS = 8
_DISTINCT_PAIRS_FLOOR = 120
"""Korean prose of any length shows about this many distinct pairs before repetition of words sets in."""


@dataclass(frozen=True, slots=True)
class QualityScore:
    """The parts of a row's score, each 0 to 1."""

    legibility: float
    diversity: float
    completeness: float
    substance: float
    relevance: float
    given: float | None
    """The score that came with the row."""

    @property
    def measured(self) -> float:
        """Weighted geometric mean of the parts."""
        weighted = (
            (self.legibility, 0.3),
            (self.diversity, 0.2),
            (self.completeness, 0.2),
            (self.substance, 0.2),
            (self.relevance, 0.1),
        )
        return math.prod(math.pow(part, weight) for part, weight in weighted)

    @property
    def value(self) -> float:
        """The row is as good as its worse judgement: the measured score, or the one that came with it."""
        measured = round(self.measured, 4)
        return measured if self.given is None else min(measured, self.given)


def score_quality(row: Row) -> QualityScore:
    """Judge a normalised row."""
    answer = row.answer
    squeezed = "".join(answer.split())
    spoilt = len("".join(_SPOILT.findall(_LAUGHTER.sub("", answer))))
    legible = max(0.0, 1 - spoilt / max(len(squeezed), 1))
    pairs = [squeezed[start : start + 2] for start in range(len(squeezed) - 1)]
    return QualityScore(
        legibility=legible**2,
        diversity=min(1.0, len(set(pairs)) / min(len(pairs), _DISTINCT_PAIRS_FLOOR)) if pairs else 0.0,
        completeness=1.0 if _ENDING.search(answer) else 0.7,
        substance=min(1.0, len(squeezed) / _ENOUGH_CHARACTERS),
        relevance=0.0 if comparable(answer) == comparable(row.question) else 1.0,
        given=row.given_quality,
    )


def check_quality_score(score: QualityScore, minimum: float) -> Removal | None:
    """Rows below the request's minimum are taken out."""
    if score.value >= minimum:
        return None
    given = f", given {score.given:.2f}" if score.given is not None else ""
    return Removal(RemovalReason.LOW_QUALITY, f"quality {score.value:.2f} (measured {score.measured:.2f}{given})")
