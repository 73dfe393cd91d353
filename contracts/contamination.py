"""Overlap of training data with a test suite."""

from datetime import datetime

from pydantic import Field

from contracts.enums import OverlapKind, Split
from contracts.record import Record


class ContaminationSettings(Record):
    """From where on a row counts as holding a test case."""

    edited_share: float = Field(default=0.15, ge=0, le=0.5)
    """Characters of a question that may be changed, added or left out; spaces, case and punctuation do not count."""
    same_question_similarity: float = Field(default=0.8, gt=0, le=1)
    """Jaccard similarity of 3-grams from which a question is the same whatever its answer."""
    contained_characters: int = Field(default=20, ge=8)
    """A shorter question inside a longer text may be chance."""
    ngram_characters: int = Field(default=13, ge=8, le=64)
    ngram_share: float = Field(default=0.5, gt=0, le=1)
    """Share of a long case's n-grams that one row may have at most."""
    ngram_case_characters: int = Field(default=60, ge=20)
    """Only cases at least as long are looked at by n-grams."""
    documents_held_out: bool = False
    """The suite's documents must not be trained on at all: a row from one of them contaminates every case of it."""


class SoughtCase(Record):
    """What of a test case is looked for in rows."""

    id: str
    question: str
    accepted_answers: list[str] = []
    """Empty where nobody knows: a nearly equal question then counts whatever its answer."""
    choices: list[str] = []
    source_document: str | None = None


class ContaminationRequest(Record):
    """Look for a suite's cases in a dataset version's training rows."""

    dataset_id: int = Field(ge=1)
    suite: str = Field(min_length=1, max_length=500)
    """A managed suite, `name` or `name@version`, or a file of test cases."""
    settings: ContaminationSettings = ContaminationSettings()
    override_reason: str | None = Field(default=None, min_length=10, max_length=2000)
    """Why the cases that are found may count all the same; kept in the audit log."""
    actor: str = Field(default="command line", max_length=255)


class CaseOverlap(Record):
    """A test case and a training row that holds it."""

    case_id: str
    question: str
    kind: OverlapKind
    similarity: float
    """1 for the same; share of characters unchanged; for n-grams the share that the row has."""
    row_id: str
    split: Split
    row_text: str
    """The row's text where the case stands, cut to 300 characters."""
    source_document: str
    """The document that the row names, or an empty text."""


class ContaminationReport(Record):
    """Which cases of a suite a dataset version's training rows hold; one row of contamination_reports."""

    report_id: int
    dataset_id: int
    dataset_title: str
    """`regulations v1.2`."""
    suite_name: str
    suite_sha256: str
    settings: ContaminationSettings
    cases: int
    rows: int
    """Training and validation rows looked at."""
    contaminated_cases: list[str]
    by_kind: dict[OverlapKind, int]
    """Contaminated cases by the plainest way in which a row holds them."""
    overlaps: list[CaseOverlap]
    """At most 20 for a case and 2,000 in all, the plainest first."""
    overlaps_found: int
    same_document_cases: list[str]
    """Cases written from a document that training rows come from too. No contamination unless documents are held out."""
    seconds: float
    override_reason: str | None = None
    """Why these cases may count all the same."""
    override_by: str | None = None
    override_at: datetime | None = None

    @property
    def is_contaminated(self) -> bool:
        """At least one case is held by a training row."""
        return bool(self.contaminated_cases)

    @property
    def blocks(self) -> bool:
        """Results on this suite may not gate a model trained on these rows."""
        return self.is_contaminated and self.override_reason is None
