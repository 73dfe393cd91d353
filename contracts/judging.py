"""What a judging language model was asked with, and what it said."""

import hashlib

from pydantic import Field

from contracts.enums import Preference, RatingKind
from contracts.record import Record
from contracts.suites import ScoreEstimate

LOWEST_SCORE, HIGHEST_SCORE = 1, 5
"""Of a rubric."""


class JudgeEndpoint(Record):
    """A judging model behind an OpenAI-compatible endpoint inside the site."""

    url: str = Field(min_length=1)
    model: str = Field(min_length=1)
    """As the endpoint lists it."""
    api_key_file: str | None = None
    """Name of a file in the secrets folder, where the endpoint wants a key."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_tokens: int = Field(default=512, ge=16, le=32_768)
    """Room for the reason; a model that thinks aloud first needs more."""
    seed: int = 0
    readable_attempts: int = Field(default=3, ge=1, le=10)
    """How often a question is asked until the answer is the JSON that was asked for."""
    attempts: int = Field(default=5, ge=1, le=20)
    """How often a call is made to an endpoint that is busy or away."""
    concurrency: int = Field(default=8, ge=1, le=256)
    timeout_seconds: float = Field(default=120.0, gt=0)


class JudgeConditions(Record):
    """Everything that shapes a verdict beside what is judged. Another model, prompt or sampling is another judge."""

    model: str
    prompt: str
    """`pairwise v1`."""
    prompt_sha256: str
    temperature: float
    max_tokens: int
    seed: int
    readable_attempts: int

    @property
    def sha256(self) -> str:
        """64 hex digits over all of it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def rater(self) -> str:
        """Under which name its verdicts stand beside those of experts."""
        return f"{JUDGE_PREFIX}{self.model[:200]}:{self.sha256[:12]}"


JUDGE_PREFIX = "judge:"
"""How a judge's name begins among the raters; no person's does."""


class RubricVerdict(Record):
    """One answer on the rubric's scale."""

    score: int = Field(ge=LOWEST_SCORE, le=HIGHEST_SCORE)
    reason: str

    @property
    def share(self) -> float:
        """0 for the lowest score, 1 for the highest."""
        return (self.score - LOWEST_SCORE) / (HIGHEST_SCORE - LOWEST_SCORE)


class PairVerdict(Record):
    """Two answers compared in both orders. What changes with the order is a tie."""

    item_key: str
    winner: Preference
    a_first: Preference
    """Verdict where a's answer stood first."""
    b_first: Preference
    reason: str
    """As given where a's answer stood first."""

    @property
    def is_consistent(self) -> bool:
        """Both orders gave the same verdict."""
        return self.a_first is self.b_first


class PairwiseReport(Record):
    """Model a against model b on the same cases, by one judge."""

    conditions: JudgeConditions
    model_a: str
    model_b: str
    n: int
    """Pairs with a verdict in both orders."""
    wins_a: int
    wins_b: int
    ties: int
    excluded: dict[str, int]
    """Pairs without a verdict, by reason."""
    win_rate_b: ScoreEstimate
    """(wins of b + half the ties) ÷ n; the interval comes from resampling source documents."""
    sign_test_p: float
    """Exact two-sided sign test on the pairs with a winner."""
    consistency: ScoreEstimate
    """Share of pairs on which both orders gave the same verdict."""
    first_position_rate: ScoreEstimate | None
    """Of all verdicts that named a winner, the share that named the answer standing first; 0.5 is no position bias."""
    longer_answer_rate: ScoreEstimate | None
    """Of the pairs with a winner, the share won by the longer answer."""
    by_category: dict[str, ScoreEstimate]
    """Win rate of b within each category."""


class RubricReport(Record):
    """One model's answers on the rubric's scale, by one judge."""

    conditions: JudgeConditions
    model: str
    n: int
    excluded: dict[str, int]
    mean_score: ScoreEstimate
    """1 to 5; the interval comes from resampling source documents."""
    distribution: dict[int, int]
    by_category: dict[str, ScoreEstimate]


class JudgeRequest(Record):
    """Have a judge give its verdict on every item of a rating task."""

    task: str
    judge: JudgeEndpoint
    max_items: int | None = Field(default=None, ge=1)


class JudgedTask(Record):
    """What a judge made of a rating task."""

    task: str
    kind: RatingKind
    rater: str
    pairwise: PairwiseReport | None = None
    rubric: RubricReport | None = None
    asked_now: int
    """Calls that this run made; the rest was in the journal."""
