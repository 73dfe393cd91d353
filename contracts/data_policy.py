"""The house rules of data preparation: a policy file (YAML) validated as one record."""

from typing import Self

from pydantic import Field, model_validator

from contracts.enums import DuplicateMode, MaskingAction, PersonalDataKind
from contracts.record import Record


class MaskingPolicy(Record):
    """What happens to personal data."""

    actions: dict[PersonalDataKind, MaskingAction] = {}
    """By kind; a kind that is not named here is masked."""
    keep_reasons: dict[PersonalDataKind, str] = {}
    """Why a kind is kept, e.g. that the numbers are those of public offices. Needed for each kept kind."""
    min_score: float = Field(default=0.4, ge=0, le=1)
    """Finds below this certainty are left alone."""
    representative_numbers: bool = False
    """Mask numbers such as 1588-1234 too. They belong to organisations, and people are meant to call them."""
    name_model: str | None = None
    """Folder of a larger local token classifier (transformers) for names; None for the model that ships."""
    public_values: list[str] = []
    """Numbers, addresses and names that everybody may know (the organisation's own): left alone, however they are written."""

    @model_validator(mode="after")
    def _reasons_for_what_is_kept(self) -> Self:
        for kind, action in self.actions.items():
            if action is MaskingAction.KEEP and not self.keep_reasons.get(kind, "").strip():
                raise ValueError(f"masking.keep_reasons must say why {kind.value} is kept")
        return self


class DuplicatePolicy(Record):
    """When two rows count as the same."""

    mode: DuplicateMode = DuplicateMode.PAIR
    shingle_characters: int = Field(default=5, ge=2, le=12)
    """Characters of a shingle; 3 suits short questions better."""
    min_question_similarity: float = Field(default=0.4, ge=0, le=1)
    """In pair mode: paraphrases of one question with one long answer both stay below it."""
    numbers_differ: bool = True
    """Rows with different numbers are different facts, however alike the sentences are."""
    other_versions: list[int] = []
    """dataset_id of versions whose rows must not occur again."""


class QualityPolicy(Record):
    """What a row must be like."""

    max_answer_characters: int = Field(default=20_000, ge=1)
    max_toxicity: float = Field(default=0.7, ge=0, le=1)
    """Score, 0 to 1, from which a row is removed as toxic (a scale, no probability: docs/data/quality.md)."""
    min_korean_share: float = Field(default=0.0, ge=0, le=1)
    """Share of Hangul among the answer's letters; 0 lets other languages pass."""
    remove_refusals: bool = False
    """Take out answers that refuse ("답변해 드릴 수 없습니다")."""
    remove_truncated: bool = False
    """Take out answers that break off in the middle of a sentence."""
    language_model: str | None = None
    """Folder of a local causal model whose perplexity judges fluency; None for the character n-gram model that ships."""
    toxicity_model: str | None = None
    """Folder of a larger local text classifier (transformers) for toxicity; None for the model that ships."""


class DataPolicy(Record):
    """A policy file. What changes from run to run stands in PrepareRequest instead."""

    masking: MaskingPolicy = MaskingPolicy()
    duplicates: DuplicatePolicy = DuplicatePolicy()
    quality: QualityPolicy = QualityPolicy()
