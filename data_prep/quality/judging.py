"""Every row judged by every rule, a batch at a time: its score, what it is made of, and whether it stays."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.data_policy import QualityPolicy
from data_prep.quality.foul_language import check_foul_language
from data_prep.quality.length import check_length
from data_prep.quality.repetition import check_repetition
from data_prep.quality.score import check_quality_score, score_quality
from data_prep.removal import Removal
from data_prep.rows import Row


@dataclass(frozen=True, slots=True)
class RowQuality:
    """What is thought of one row."""

    score: float
    """The quality score, 0 to 1; see data_prep.quality.score."""
    parts: dict[str, float]
    """What the score is made of, each 0 to 1, rounded to four decimals."""
    toxicity: float
    """Probability that the worst of its turns insults or hates."""
    removal: Removal | None
    """The first rule that takes the row out; None when it stays."""


class QualityJudge:
    """Judges normalised rows by a policy. Deterministic; a row's judgement does not depend on the rows beside it."""

    def __init__(self, policy: QualityPolicy, min_quality_score: float, min_answer_characters: int) -> None:
        self._policy = policy
        self._min_quality_score = min_quality_score
        self._min_answer_characters = min_answer_characters

    def judge(self, rows: Sequence[Row]) -> list[RowQuality]:
        """One judgement a row, in order."""
        return [self._judge_row(row) for row in rows]

    def _judge_row(self, row: Row) -> RowQuality:
        score = score_quality(row)
        removal = (
            check_length(row, self._min_answer_characters)
            or check_repetition(row)
            or check_foul_language(row)
            or check_quality_score(score, self._min_quality_score)
        )
        parts = {
            "legibility": round(score.legibility, 4),
            "diversity": round(score.diversity, 4),
            "completeness": round(score.completeness, 4),
            "substance": round(score.substance, 4),
            "relevance": round(score.relevance, 4),
        }
        return RowQuality(score.value, parts, 0.0, removal)
