"""The train-serve parity certificate: what the trainer's side and the server's side of a model say to the same prompts."""

from datetime import datetime

from pydantic import Field

from contracts.enums import ParityForm, ServerBackend
from contracts.record import Record

MINIMUM_PROMPTS = 50


class ParitySample(Record):
    """What the server did with one prompt."""

    messages: list[dict[str, str]]
    prompt_ids: list[int] | None
    """The rendered prompt as the server reads it; None where it does not tell."""
    token_ids: list[int]
    """Its greedy continuation, the end-of-turn token left out where the server leaves it out."""
    ended: bool
    """It stopped by itself."""
    top_logprobs: list[dict[int, float]]
    """At each token of the continuation: its likeliest tokens and their log probabilities; empty where it does not tell,
    as it may of single tokens."""


class TrainerSample(Record):
    """What the trained weights say to the same prompt, and at each place of the server's continuation."""

    prompt_ids: list[int]
    best_ids: list[int]
    """Likeliest token at each place, and at the place after the last one."""
    best_logprobs: list[float]
    own_logprobs: list[float]
    """Of the server's tokens."""
    top_logprobs: list[dict[int, float]]
    """Of the tokens that the server names."""


class TrainerSide(Record):
    """The trainer's process's answer."""

    software: str
    """`transformers 5.23.0, torch 2.13.0`."""
    dtype: str
    """Of the weights in the files."""
    special_tokens: dict[str, int]
    """Text and id of each special and added token."""
    end_ids: list[int]
    """Tokens at which an answer ends."""
    samples: list[TrainerSample]
    texts: dict[int, str]
    """Tokens as text, of those that differ."""


class TokenDifference(Record):
    """A place where the two sides differ."""

    prompt: int
    """Number of the prompt, from 0."""
    question: str
    position: int
    """Within the rendered prompt or the continuation, from 0."""
    trainer_token: str
    trainer_id: int | None
    """None: the trainer's side has nothing there."""
    server_token: str
    server_id: int | None
    logprob_gap: float | None = None
    """Of a continuation: how much likelier the trainer's token is, by the trainer's own log probabilities."""


class ParityCheck(Record):
    """One thing compared."""

    name: str
    """`prompt_ids`, `special_tokens`, `continuation`, `end_of_turn` or `top_logprobs`."""
    passed: bool | None
    """None: the engine does not tell, so that it could not be compared."""
    compared: int
    """Prompts, tokens or log probabilities."""
    detail: str


class ParityTolerance(Record):
    """How far log probabilities may be apart, and why."""

    log_probability: float = Field(gt=0)
    reason: str


class ParityCertificate(Record):
    """The comparison of one model version's two sides."""

    model_id: int
    content_hash: str
    form: ParityForm
    backend: ServerBackend
    engine: str
    trainer: str
    dtype: str
    """The lower precision of the two sides."""
    tolerance: ParityTolerance
    prompts: int
    prompt_source: str
    tokens: int
    """Of the continuations."""
    checks: list[ParityCheck]
    largest_logprob_difference: float | None
    first_difference: TokenDifference | None
    """Outside of the tolerance."""
    ties: list[TokenDifference]
    """Differing tokens whose likelihoods are closer than the tolerance: either is the greedy one."""
    checked_at: datetime

    @property
    def passed(self) -> bool:
        """Nothing that could be compared is outside of the tolerance."""
        return all(check.passed is not False for check in self.checks)

    def certifies(self, content_hash: str) -> bool:
        """It passed for these weights."""
        return self.passed and self.content_hash == content_hash
