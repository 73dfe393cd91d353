"""Versions of test suites, and what one model scored on one of them.

A result is about one model. Two results may be compared where their `comparison_key` is the same: the same cases, asked
the same way. Base and tuned, new and production, this month and last: all are two results side by side.
"""

import hashlib
import json
from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from contracts.enums import EvaluatedKind, SuiteKind, SuiteStatus
from contracts.evaluation import Interval, require_whole_judge
from contracts.record import JsonObject, Record

SUITE_NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,99}$"


class SuiteVersion(Record):
    """One row of test_suites. A locked version never changes; editing it makes the next version."""

    suite_id: int
    name: str
    version: int
    kind: SuiteKind
    status: SuiteStatus
    content_hash: str
    """SHA-256 over the cases in order, or over the task's definition and data."""
    description: str
    case_count: int
    categories: dict[str, int]
    settings: JsonObject = {}
    """What the kind needs: a harness task's name, its number of shots and its data folder."""
    created_by: str
    created_at: datetime
    locked_by: str | None = None
    locked_at: datetime | None = None

    @property
    def title(self) -> str:
        """`road-rules v3`."""
        return f"{self.name} v{self.version}"


class EvaluatedModel(Record):
    """Whose answers they are."""

    kind: EvaluatedKind
    name: str
    """As people say it: `regulations-assistant v3`, `job 17`, `demo-base`."""
    content_hash: str
    """Of the weights, adapter and base together; of address and model name where only an endpoint is known."""
    model_id: int | None = None
    job_id: int | None = None
    base_model: str | None = None
    model_path: str | None = None


class EvaluationConditions(Record):
    """Everything beside the model that shapes a score."""

    suite_name: str
    suite_version: int | None
    """None for a file or a test split that is not a managed suite."""
    suite_sha256: str
    """Of the cases as asked; a slice has another one than the whole."""
    system_prompt_sha256: str
    """Of the prompt given to all cases; of nothing where there was none."""
    template_sha256: str
    """Of the chat template that rendered the questions; empty where only the server knows it."""
    engine: str
    """Program that answered and its version: `vllm 0.11.2`, `embedded 1.3`, `transformers 5.23.0`."""
    sampling: JsonObject
    """temperature, max_tokens and whatever else was sent."""
    scoring: str
    """Version of the scorers, and judge model and prompt where a judge scored."""

    @property
    def comparison_key(self) -> str:
        """64 hex digits: results that share them may be compared."""
        # sorted: PostgreSQL's jsonb gives an object's names back in an order of its own
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


class ScoreEstimate(Record):
    """A number with its uncertainty."""

    name: str
    """`accuracy`, `token_f1`, `perplexity`, `latency_ms_p50` ..."""
    value: float
    interval: Interval | None
    """95 %; None where there is none to give, as for a maximum."""
    n: int
    """Cases it rests on."""
    clusters: int | None = None
    """Source documents, where the interval comes from resampling them."""


class CaseScore(Record):
    """One model's answer to one case, and what it is worth."""

    case_id: str
    category: str
    answer: str
    score: float = Field(ge=0, le=1)
    correct: bool
    source_document: str | None = None
    repeated_answer: str | None = None
    """The answer when asked again; None where it was not."""
    latency_ms: float | None = None
    answer_tokens: int | None = None
    finish_reason: str = ""
    remark: str = ""
    """What the scorer or the judge gives as its reason."""
    findings: JsonObject = {}
    """What safety scorers found: kinds of personal data, a probability of toxicity."""

    @property
    def is_unstable(self) -> bool:
        """Asked twice, answered differently."""
        return self.repeated_answer is not None and self.repeated_answer != self.answer


class EvaluateSuitesRequest(Record):
    """Ask one model one or more suites, as it is served."""

    model: str = Field(min_length=1, max_length=1000)
    """`name`, `name@version`, `name@production`, `job:17`, a model's folder, or `http://host:port#served-name`."""
    suites: list[str] = Field(min_length=1, max_length=50)
    """Names of managed suites (`name` or `name@version`), or files of test cases."""
    max_cases: int | None = Field(default=None, ge=1)
    """A slice of each suite, for a trial; the result says so."""
    max_answer_tokens: int = Field(default=128, ge=1, le=8192)
    """Tokens an answer may have; what goes on longer is cut off and judged as it stands."""
    system_prompt: str | None = None
    """Given to all cases; None takes the one the model's training data carry."""
    judge_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    """OpenAI-compatible endpoint of the judge, for cases that a rubric scores."""
    judge_model: str | None = None
    speed: bool = False
    """Also measure time to first token and tokens a second, alone and at concurrency 8."""
    again: bool = False
    """Ask although there is a result for the same model under the same conditions."""
    num_gpus: int = Field(default=1, ge=1, le=8)

    @model_validator(mode="after")
    def _names_the_judge_whole(self) -> Self:
        require_whole_judge(self.judge_url, self.judge_model)
        return self


class SuiteResult(Record):
    """What one model scored on one suite; one row of suite_results."""

    result_id: int
    model: EvaluatedModel
    conditions: EvaluationConditions
    kind: SuiteKind
    scores: list[ScoreEstimate] = Field(min_length=1)
    """The first one decides."""
    by_category: dict[str, ScoreEstimate]
    """The deciding score within each category."""
    n: int
    excluded: dict[str, int]
    """Cases without a score, by reason."""
    unstable_answers: int
    repeated_answers: int
    seconds: float
    created_at: datetime

    @property
    def primary(self) -> ScoreEstimate:
        """The score that decides."""
        return self.scores[0]


class SuitesReport(Record):
    """What one model scored on all the suites of a request."""

    model: EvaluatedModel
    results: list[SuiteResult]
    """In the order of the request."""
    reused: list[str] = []
    """Names of suites whose stored result was taken: the same model had answered under the same conditions."""
    seconds: float
    """Of the job that asked; 0 where nothing had to be asked."""
