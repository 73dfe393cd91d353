"""Samples from documents: what is asked of the generator, what came of it, and what people said of the samples."""

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from contracts.datasets import DATASET_NAME_PATTERN
from contracts.documents import QdrantSource
from contracts.enums import QuestionTemplate, ReviewVerdict, SampleFault
from contracts.record import JsonObject, Record


class TokenPrice(Record):
    """What the generator's owner charges."""

    input_per_million: float = Field(default=0.0, ge=0)
    """For a million tokens that are sent."""
    output_per_million: float = Field(default=0.0, ge=0)
    """For a million tokens that are answered."""
    currency: str = Field(default="KRW", pattern=r"^[A-Z]{3}$")


class GenerateRequest(Record):
    """Make samples from documents, with a model behind an OpenAI-compatible endpoint."""

    dataset_name: str = Field(pattern=DATASET_NAME_PATTERN)
    documents: list[str] = Field(default=[], max_length=1000)
    """Files and folders below one of the allowed input folders; of a folder, every document in it."""
    qdrant: QdrantSource | None = None
    """A collection whose passages are taken as they are, beside the documents or instead of them."""
    model: str = Field(min_length=1, max_length=500)
    """The generator: a name that the endpoint serves, or without an endpoint a model's folder or name as in training."""
    endpoint_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    """Address up to and with /v1. None starts this installation's own model server for the length of the run."""
    api_key_file: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    """Name of a file in the secrets folder with the endpoint's key. The key itself never stands in a request."""
    templates: list[QuestionTemplate] = Field(default=[QuestionTemplate.QA], min_length=1, max_length=4)
    samples_per_chunk: int = Field(default=3, ge=1, le=20)
    """Asked for from each passage and template; summaries are one."""
    system_prompt: str | None = Field(default=None, max_length=8000)
    """What the generator is told first; None for the text that ships."""
    sample_system_prompt: str | None = Field(default=None, max_length=8000)
    """First turn of every sample; None for samples without a system turn."""
    category: str | None = Field(default=None, max_length=200)
    """Category of every sample; None takes the name of the folder that the document lies in."""
    max_chunk_characters: int = Field(default=1200, ge=100, le=20_000)
    chunk_overlap: int = Field(default=100, ge=0, le=5000)
    min_chunk_characters: int = Field(default=60, ge=1)
    """Shorter passages, such as a title alone, are not asked about."""
    max_chunks: int | None = Field(default=None, ge=1)
    """Take this many passages at most: a slice for a trial."""
    distractors: int = Field(default=3, ge=1, le=10)
    """Other passages beside the right one, in samples of the template rag."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Questions that are under way at the same time."""
    temperature: float = Field(default=0.3, ge=0, le=2)
    max_answer_tokens: int = Field(default=2048, ge=16, le=32_768)
    timeout_seconds: float = Field(default=180.0, gt=0)
    """For one answer."""
    attempts: int = Field(default=5, ge=1, le=20)
    """How often a question is sent when the endpoint fails; with growing pauses between."""
    readable_attempts: int = Field(default=2, ge=1, le=5)
    """How often a question is asked when the answer is not the JSON that was asked for."""
    price: TokenPrice = TokenPrice()
    max_cost: float | None = Field(default=None, gt=0)
    """Ask no more once a run has spent this much; what is under way still comes. The rest can be asked later."""
    min_grounding: float = Field(default=0.5, ge=0, le=1)
    """Share of a sample's matter that must stand in its passage."""
    min_quality_score: float = Field(default=0.7, ge=0, le=1)
    min_korean_share: float = Field(default=0.5, ge=0, le=1)
    """Share of Hangul among the letters of question and answer, each."""
    near_duplicate_threshold: float = Field(default=0.9, gt=0.5, le=1)
    policy: str = Field(default="default", pattern=r"^[^\x00-\x1f]{1,500}$")
    """A policy that ships (data_prep/policies), or a YAML file below one of the allowed input folders."""
    seed: int = Field(default=0, ge=0)
    """Another seed asks everything anew."""

    @model_validator(mode="after")
    def _from_something(self) -> Self:
        if not self.documents and self.qdrant is None:
            raise ValueError("give documents, or a qdrant collection")
        if self.chunk_overlap > self.max_chunk_characters // 2:
            raise ValueError("chunk_overlap must be at most half of max_chunk_characters")
        if len(set(self.templates)) < len(self.templates):
            raise ValueError("templates names one twice")
        return self


class SourceDocument(Record):
    """A document that samples were made from."""

    name: str
    sha256: str
    chunks: int


class SkippedDocument(Record):
    """A file of a folder that could not be read, or was left out."""

    name: str
    reason: str


class GenerationReport(Record):
    """What a generation brought. `complete` is false where passages are still without an answer."""

    generation_id: str
    """Content address: same documents, model, prompts and limits, same id."""
    dataset_name: str
    complete: bool
    message: str
    """The outcome in one sentence, with what to do where something is missing."""
    samples_path: str
    """JSONL file of canonical rows; the import reads it."""
    rejected_path: str
    """JSONL file of the samples that were not taken, each with its fault."""
    model: str
    policy: str = "default"
    """The request's policy."""
    documents: list[SourceDocument]
    skipped: list[SkippedDocument]
    chunks: int
    questions: int
    """Passages times templates: what there is to ask."""
    answered: int
    unanswered: int
    without_samples: int
    """Questions of which the generator said that their passage has nothing to ask about."""
    asked_now: int
    """Calls that this run paid for; the rest was answered before."""
    generated: int
    """Samples in the generator's answers."""
    accepted: int
    by_template: dict[QuestionTemplate, int]
    """Accepted samples."""
    rejected: dict[SampleFault, int]
    masked: dict[str, int]
    """Personal data replaced in passages and samples, by kind."""
    mean_grounding: float
    """Of the accepted samples; 0 where there is none."""
    mean_quality: float
    input_tokens: int
    """Of every answer that this generation uses, whenever it was paid for."""
    output_tokens: int
    tokens_estimated: bool
    """The endpoint did not tell its tokens for some answers; they were reckoned from the characters."""
    cost: float
    cost_now: float
    """Paid for by this run."""
    currency: str
    seconds: float


class NewReview(Record):
    """A sample that is put up for review."""

    sample_id: str
    position: int
    """Order in the generation, from 0."""
    template: QuestionTemplate
    document: str
    grounding: float
    quality: float
    messages: list[JsonObject]
    metadata: JsonObject
    passage: str
    """The passage that the sample was made from, as the generator saw it."""


class SampleReview(Record):
    """A generated sample and what a person said of it."""

    review_id: int
    generation_id: str
    dataset_name: str
    sample_id: str
    position: int
    """Order in the generation, from 0."""
    template: QuestionTemplate
    document: str
    grounding: float
    quality: float
    messages: list[JsonObject]
    metadata: JsonObject
    passage: str
    """The passage that the sample was made from, as the generator saw it."""
    verdict: ReviewVerdict | None
    edited_messages: list[JsonObject] | None
    """The turns as the reviewer wrote them; None where nothing was changed."""
    note: str | None
    reviewer: str | None
    reviewed_at: datetime | None


class ReviewCounts(Record):
    """How far the review of a generation is."""

    generation_id: str
    dataset_name: str
    total: int
    accepted: int
    edited: int
    rejected: int
    newest: datetime
    """When its samples were put up for review."""

    @property
    def waiting(self) -> int:
        """Samples nobody has looked at."""
        return self.total - self.accepted - self.edited - self.rejected


class CurateRequest(Record):
    """Write the samples that people took, as a file for the import."""

    generation_id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$")
    include_waiting: bool = False
    """Take also what nobody has looked at yet; what was rejected stays out."""


class CuratedSamples(Record):
    """The file that a review brought."""

    generation_id: str
    dataset_name: str
    path: str
    """JSONL file of canonical rows in the inbox folder, ready for import_dataset."""
    rows: int
    accepted: int
    edited: int
    waiting: int
    rejected: int
    """Left out."""
