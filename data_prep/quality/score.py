"""One quality score from 0 to 1 for a row, from what can be read off its text.

    quality_score = min(measured, the score that came with the row, if one did)
    measured      = legibility^.20 · repetition^.10 · diversity^.15 · completeness^.10 · substance^.15 · relevance^.08
                  · fluency^.10 · grammar^.04 · formatting^.05 · language^.03

A weighted geometric mean: one grave defect sinks a row, several slight ones do not make it worthless. Each part is
1 for a faultless answer; all are kept beside the score.

legibility    (1 - s)³, s the share of the answer's characters that are spoilt: U+FFFD, private use, lone jamo (but
              laughter and tears are none) and runs of `?` inside words
repetition    1 - the greater share of the answer that is one unit again and again, or phrases said before
              (data_prep.quality.repetition; each beyond the 0.2 that rightly occurs)
diversity     distinct character pairs among all pairs, judged against the 120 that a text of any length shows
completeness  1 when the answer ends as a sentence does; 0.7 without an ending; 0.4 when it breaks off
              (data_prep.quality.completeness)
substance     characters of the answer without spaces over 8, at most 1; 0 for an answer without any letter or digit
relevance     0 when the answer only repeats the question; 0.3 when it refuses; else 1, and for answers of 40
              characters or more 0.8 + the share of the question's character pairs that the answer takes up, at most 1
fluency       surprise of a character trigram model (data_prep.quality.fluency) or of the policy's language model
grammar       1 - 5 · mistakes a word: particles that do not agree, misspellings (data_prep.quality.grammar)
formatting    left-over markup, code blocks and brackets that do not close, repeated lines (data_prep.quality.formatting)
language      1 - the share of letters in scripts that neither Korean prose nor the question has

`korean` is kept with the parts and does not count: the share of Hangul among the answer's letters, which a policy
may demand (`min_korean_share`).
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter

import numpy
from numpy.typing import NDArray

from contracts.enums import RemovalReason
from data_prep.code_points import code_points, spaces
from data_prep.normalisation import comparable
from data_prep.quality.completeness import REFUSAL, completeness, is_refusal
from data_prep.quality.fluency import load_fluency_model
from data_prep.quality.formatting import DEFECT, formatting_score
from data_prep.quality.grammar import MISSPELT, grammar_score, particles_may_disagree
from data_prep.quality.language import Script, scripts_of
from data_prep.quality.repetition import Repetition, measure_repetition
from data_prep.quality.wording import read_wording
from data_prep.removal import Removal
from data_prep.rows import Row
from data_prep.traces import Traces

WEIGHTS = {
    "legibility": 0.20,
    "repetition": 0.10,
    "diversity": 0.15,
    "completeness": 0.10,
    "substance": 0.15,
    "relevance": 0.08,
    "fluency": 0.10,
    "grammar": 0.04,
    "formatting": 0.05,
    "language": 0.03,
}
"""Exponents; they add up to 1."""

Fluency = Callable[[Sequence[str]], NDArray[numpy.float64]]
"""Judges each text's fluency, 0 to 1."""

_QUESTION_MARKS = re.compile(r"(?<=[가-힣])\?{2,}(?=[가-힣])")
_ENOUGH_CHARACTERS = 8
_DISTINCT_PAIRS_FLOOR = 120
"""Korean prose of any length shows about this many distinct pairs before repetition of words sets in."""
_LONG_ANSWER_CHARACTERS = 40
_REFUSAL_RELEVANCE = 0.3
_WEAKEST_PARTS = 2


@dataclass(frozen=True, slots=True)
class QualityScore:
    """The parts of a row's score, each 0 to 1."""

    legibility: float
    repetition: float
    diversity: float
    completeness: float
    substance: float
    relevance: float
    fluency: float
    grammar: float
    formatting: float
    language: float
    korean: float
    given: float | None
    """The score that came with the row."""
    refuses: bool
    repeated: Repetition

    @property
    def parts(self) -> dict[str, float]:
        """Every part and `korean`, rounded to four decimals."""
        return {name: round(part, 4) for name, part in zip(_PARTS, _parts(self), strict=True)}

    @property
    def measured(self) -> float:
        """Weighted geometric mean of the parts."""
        # most parts of most rows are 1, whatever the power
        weighed = zip(_weighed_parts(self), WEIGHTS.values(), strict=True)
        return math.prod([math.pow(part, weight) for part, weight in weighed if part != 1])

    @property
    def value(self) -> float:
        """The row is as good as its worse judgement: the measured score, or the one that came with it."""
        measured = round(self.measured, 4)
        return measured if self.given is None else min(measured, self.given)


_PARTS = (*WEIGHTS, "korean")
_parts, _weighed_parts = attrgetter(*_PARTS), attrgetter(*WEIGHTS)


def score_quality(row: Row) -> QualityScore:
    """Judge one normalised row."""
    return score_rows([row])[0]


def score_rows(rows: Sequence[Row], fluency: Fluency | None = None) -> list[QualityScore]:
    """Judge a batch of normalised rows; None takes the fluency model that ships."""
    if not rows:
        return []
    answers, questions = [row.answer for row in rows], [row.question for row in rows]
    read = code_points(answers)
    scripts = scripts_of(answers)
    spoilt = scripts.counts[:, Script.SPOILT].tolist()
    visible = scripts.visible.tolist()
    said = (scripts.letters + scripts.counts[:, Script.DIGIT]).tolist()
    foreign = scripts.foreign_share(scripts_of(questions)).tolist()
    korean = scripts.korean_share.tolist()
    fluent = (fluency or load_fluency_model().fluency)(answers).tolist()
    wording = read_wording(answers, questions)
    repeated = measure_repetition(answers, wording)
    misspelt, refusal, defect = _traces().found(read)
    may_be_wrong, may_refuse = (misspelt | particles_may_disagree(read)).tolist(), refusal.tolist()
    may_be_defective = defect.tolist()
    scores = []
    for index, (row, answer, question, characters, words, pairs, asked, shared) in enumerate(
        zip(
            rows,
            answers,
            questions,
            wording.characters,
            wording.words,
            wording.distinct_pairs,
            wording.asked_pairs,
            wording.shared_pairs,
            strict=True,
        )
    ):
        marks = sum(map(len, _QUESTION_MARKS.findall(answer))) if "??" in answer else 0
        legible = max(0.0, 1 - (spoilt[index] + marks) / max(visible[index], 1))
        refuses = may_refuse[index] and is_refusal(answer)
        scores.append(
            QualityScore(
                legibility=legible**3,
                repetition=1 - max(0.0, repeated[index].greater - 0.2) / 0.8,
                diversity=min(1.0, pairs / min(characters - 1, _DISTINCT_PAIRS_FLOOR)) if pairs else 0.0,
                completeness=completeness(answer),
                substance=min(1.0, characters / _ENOUGH_CHARACTERS) if said[index] else 0.0,
                relevance=_relevance(question, answer, characters, asked, shared, refuses),
                fluency=fluent[index],
                grammar=grammar_score(answer, words) if may_be_wrong[index] else 1.0,
                formatting=formatting_score(answer) if may_be_defective[index] else 1.0,
                language=1 - foreign[index],
                korean=korean[index],
                given=row.given_quality,
                refuses=refuses,
                repeated=repeated[index],
            )
        )
    return scores


@cache
def _traces() -> Traces:
    return Traces([MISSPELT, REFUSAL, DEFECT], fillers="".join(chr(code) for code in numpy.flatnonzero(spaces())))


def check_quality_score(score: QualityScore, minimum: float) -> Removal | None:
    """Rows below the request's minimum are taken out; the detail names the weakest parts."""
    if score.value >= minimum:
        return None
    weights = sorted(WEIGHTS, key=lambda name: math.pow(getattr(score, name), WEIGHTS[name]))
    weakest = [f"{name} {getattr(score, name):.2f}" for name in weights[:_WEAKEST_PARTS] if getattr(score, name) < 1]
    given = [f"given {score.given:.2f}"] if score.given is not None else []
    detail = f"quality {score.value:.2f} (measured {score.measured:.2f}"
    return Removal(RemovalReason.LOW_QUALITY, f"{', '.join([detail, *given, *weakest])})")


def _relevance(question: str, answer: str, characters: int, asked: int, shared: int, refuses: bool) -> float:
    if len(answer) <= 2 * len(question) + 10 and comparable(answer) == comparable(question):
        return 0.0
    if refuses:
        return _REFUSAL_RELEVANCE
    if characters < _LONG_ANSWER_CHARACTERS:
        return 1.0
    return min(1.0, 0.8 + shared / asked) if asked else 1.0
