"""Every row judged by every rule, a batch at a time: its score, what it is made of, and whether it stays.

    length ─▶ repetition ─▶ foul language ─▶ toxicity ─▶ language ─▶ refusal ─▶ truncation ─▶ quality score

The first rule that objects gives the reason; scores are kept for every row, also for those that are removed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.data_policy import QualityPolicy
from contracts.enums import RemovalReason
from data_prep.code_points import code_points, visible_characters
from data_prep.quality.completeness import TRUNCATED
from data_prep.quality.foul_language import foul_words, judge_foul_language, texts_that_may_be_foul
from data_prep.quality.length import judge_length
from data_prep.quality.local_models import open_causal_model, open_toxicity_classifier
from data_prep.quality.repetition import judge_repetition
from data_prep.quality.score import QualityScore, check_quality_score, score_rows
from data_prep.quality.toxicity import toxicity_of
from data_prep.removal import Removal
from data_prep.rows import Row

FOUL_TOXICITY = 0.9
"""A text with a word of the list has at least this: 96 of 100 such texts are foul to the annotators (docs/data/quality.md)."""


@dataclass(frozen=True, slots=True)
class RowQuality:
    """What is thought of one row."""

    score: float
    """The quality score, 0 to 1; see data_prep.quality.score."""
    parts: dict[str, float]
    """What the score is made of, each 0 to 1, and the share of Hangul; rounded to four decimals."""
    toxicity: float
    """How likely the worst of its turns insults or hates, 0 to 1; see data_prep.quality.toxicity."""
    removal: Removal | None
    """The first rule that takes the row out; None when it stays."""


class QualityJudge:
    """Judges normalised rows by a policy. Deterministic; a row's judgement does not depend on the rows beside it.

    Larger local models that the policy names are loaded here, once: InvalidRequestError when a folder holds none.
    """

    def __init__(self, policy: QualityPolicy, min_quality_score: float, min_answer_characters: int) -> None:
        self._policy = policy
        self._min_quality_score = min_quality_score
        self._min_answer_characters = min_answer_characters
        self._fluency = open_causal_model(policy.language_model) if policy.language_model else None
        self._toxicity = open_toxicity_classifier(policy.toxicity_model) if policy.toxicity_model else toxicity_of

    def judge(self, rows: Sequence[Row]) -> list[RowQuality]:
        """One judgement a row, in order."""
        scores = score_rows(rows, self._fluency)
        contents = [message.content for row in rows for message in row.messages]
        read = code_points(contents)
        foul = [
            foul_words(text) if may_be_foul else 0
            for text, may_be_foul in zip(contents, texts_that_may_be_foul(read), strict=True)
        ]
        characters = visible_characters(read).tolist()
        toxicity = self._toxicity(contents).tolist()
        judged = []
        begin = 0
        for row, score in zip(rows, scores, strict=True):
            turns = slice(begin, begin + len(row.messages))
            begin = turns.stop
            worst = _worst_toxicity(toxicity[turns], foul[turns])
            value = score.value
            removal = self._check(row, score, value, characters[turns], foul[turns], worst)
            judged.append(RowQuality(value, score.parts, worst, removal))
        return judged

    def _check(
        self,
        row: Row,
        score: QualityScore,
        value: float,
        characters: Sequence[int],
        foul: Sequence[int],
        toxicity: float,
    ) -> Removal | None:
        return (
            self._check_length(row, characters)
            or judge_repetition(score.repeated)
            or (judge_foul_language(row, foul) if any(foul) else None)
            or self._check_toxicity(toxicity)
            or self._check_language(score)
            or self._check_answering(score)
            or (check_quality_score(score, self._min_quality_score) if value < self._min_quality_score else None)
        )

    def _check_length(self, row: Row, characters: Sequence[int]) -> Removal | None:
        asked = sum(count for message, count in zip(row.messages, characters, strict=True) if message.role == "user")
        return judge_length(
            characters[-1], asked, sum(characters), self._min_answer_characters, self._policy.max_answer_characters
        )

    def _check_toxicity(self, toxicity: float) -> Removal | None:
        if toxicity < self._policy.max_toxicity:
            return None
        return Removal(RemovalReason.TOXIC, f"toxicity {toxicity:.2f}, below {self._policy.max_toxicity:.2f} allowed")

    def _check_language(self, score: QualityScore) -> Removal | None:
        if score.korean >= self._policy.min_korean_share:
            return None
        least = self._policy.min_korean_share
        return Removal(RemovalReason.WRONG_LANGUAGE, f"{score.korean:.0%} of the letters Hangul, at least {least:.0%}")

    def _check_answering(self, score: QualityScore) -> Removal | None:
        if self._policy.remove_refusals and score.refuses:
            return Removal(RemovalReason.REFUSAL, "the answer says that it cannot answer")
        if self._policy.remove_truncated and score.completeness == TRUNCATED:
            return Removal(RemovalReason.TRUNCATED, "the answer breaks off")
        return None


def _worst_toxicity(toxicity: Sequence[float], foul: Sequence[int]) -> float:
    worst = max(toxicity, default=0.0)
    return round(max(worst, FOUL_TOXICITY) if any(foul) else worst, 4)
