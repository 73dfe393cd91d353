"""Preferences: of two answers to one question, which is the better."""

from pydantic import Field

from contracts.record import Record
from contracts.training import NAME_PATTERN


class RatedAnswer(Record):
    """An answer that was given in A/B tests, with its ratings from 1 to 5."""

    question: str
    answer: str
    mean_rating: float
    ratings: int


class PreferencePair(Record):
    """One pair to learn from."""

    prompt: list[dict[str, str]] = Field(min_length=1)
    """The conversation so far; its last turn is the user's."""
    chosen: str = Field(min_length=1)
    rejected: str = Field(min_length=1)


class PreferencesRequest(Record):
    """Make a dataset version of preference pairs: from a file, from ratings, or from all of them."""

    dataset_name: str = Field(pattern=NAME_PATTERN)
    pairs_file: str | None = None
    """JSON lines of `prompt`, `chosen` and `rejected`; texts, or conversations as TRL has them."""
    experiment_id: int | None = Field(default=None, ge=1)
    """The A/B test whose rated answers become pairs."""
    rating_task: str | None = Field(default=None, pattern=NAME_PATTERN)
    """The rating task whose items become pairs where the experts' common opinion names a winner; judges do not count."""
    min_rating_difference: float = Field(default=1.0, gt=0, le=4)
    """By how much the better answer's mean rating must exceed the worse one's."""
    test_suites: list[str] = Field(default=[], max_length=10)
    """Files of test cases: a pair that asks one of their questions, or nearly, is removed."""
    policy: str = "default"
    """The data policy whose masking is applied."""
