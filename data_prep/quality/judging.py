"""Every row judged by every rule, a batch at a time: its score, what it is made of, and whether it stays.

    length ─▶ repetition ─▶ foul language ─▶ toxicity ─▶ language ─▶ refusal ─▶ truncation ─▶ quality score

The first rule that objects gives the reason; scores are kept for every row, also for those that are removed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.data_policy import QualityPolicy
from contracts.enums import RemovalReason
from data_prep.quality.completeness import is_truncated
from data_prep.quality.foul_language import foul_words, judge_foul_language
from data_prep.quality.length import check_length
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
        foul = [[foul_words(message.content) for message in row.messages] for row in rows]
        toxicity = self._worst_toxicity(rows, foul)
        return [
            RowQuality(score.value, score.parts, row_toxicity, self._check(row, score, row_foul, row_toxicity))
            for row, score, row_foul, row_toxicity in zip(rows, scores, foul, toxicity, strict=True)
        ]

    def _worst_toxicity(self, rows: Sequence[Row], foul: Sequence[Sequence[int]]) -> list[float]:
        found = iter(self._toxicity([message.content for row in rows for message in row.messages]).tolist())
        worst = [max((next(found) for _ in row.messages), default=0.0) for row in rows]
        return [
            round(max(value, FOUL_TOXICITY) if any(words) else value, 4)
            for words, value in zip(foul, worst, strict=True)
        ]

    def _check(self, row: Row, score: QualityScore, foul: Sequence[int], toxicity: float) -> Removal | None:
        return (
            check_length(row, self._min_answer_characters, self._policy.max_answer_characters)
            or judge_repetition(score.repeated)
            or judge_foul_language(row, foul)
            or self._check_toxicity(toxicity)
            or self._check_language(score)
            or self._check_answering(row, score)
            or check_quality_score(score, self._min_quality_score)
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

    def _check_answering(self, row: Row, score: QualityScore) -> Removal | None:
        if self._policy.remove_refusals and score.refuses:
            return Removal(RemovalReason.REFUSAL, "the answer says that it cannot answer")
        if self._policy.remove_truncated and is_truncated(row.answer):
            return Removal(RemovalReason.TRUNCATED, "the answer breaks off")
        return None
