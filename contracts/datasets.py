"""Datasets: from files to a version that may be trained on."""

from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from contracts.enums import DatasetStatus, QualityCheckType, SplitUnit
from contracts.record import JsonObject, Record

DATASET_NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
"""Names that are safe as a folder, a URL segment and a tag."""


_COLUMN = r"^[^{}\n]{1,100}$"


class ColumnMapping(Record):
    """Which columns of a table hold what, where they are not recognised by name."""

    question: str | None = Field(default=None, pattern=_COLUMN)
    """Column of the user's turn. For documents (no question column) leave it empty and give `question_template`."""
    answer: str | None = Field(default=None, pattern=_COLUMN)
    """Column of the assistant's turn."""
    category: str | None = Field(default=None, pattern=_COLUMN)
    """Column by which splits are stratified."""
    source: str | None = Field(default=None, pattern=_COLUMN)
    """Column that names the source document of a row."""
    question_template: str | None = Field(default=None, max_length=300)
    """A question with column names in braces, e.g. `{bill_name}의 제안 이유를 알려 주세요.`"""
    context: str | None = Field(default=None, pattern=_COLUMN)
    """Column of a text that the question is about; it follows the question, after an empty line."""
    system: str | None = Field(default=None, pattern=_COLUMN)
    """Column of the system's turn."""
    messages: str | None = Field(default=None, pattern=_COLUMN)
    """Column of a list of turns, as `role`/`content` or `from`/`value`."""
    text: str | None = Field(default=None, pattern=_COLUMN)
    """Column of plain text without a question. It answers `question_template`; with `{beginning}` in the template its
    first sentence stands in the question, and the rest is the answer. Without a template the user asks to go on."""
    id: str | None = Field(default=None, pattern=_COLUMN)
    """Column by which a row is known again in the next version."""


class ImportRequest(Record):
    """Bring files in."""

    dataset_name: str = Field(pattern=DATASET_NAME_PATTERN)
    input_files: list[str] = Field(min_length=1, max_length=100)
    """Files below one of the allowed input folders (settings: input_roots), absolute or relative to the repository."""
    columns: ColumnMapping = ColumnMapping()
    max_rows: int | None = Field(default=None, ge=1)
    """Take this many rows of each file at most: a slice for a trial."""


class SourceFile(Record):
    """One imported file."""

    path: str
    sha256: str
    format: str
    encoding: str | None
    rows: int
    broken_rows: int
    notes: list[str] = []
    """What a person should know of the reading, e.g. a sheet that was passed over."""


class ProposedColumn(Record):
    """One column of a file, and what it probably holds."""

    name: str
    role: str | None
    """A field of ColumnMapping, `quality_score`, `metadata`, or None where the column is not used."""
    reason: str
    filled: float
    """Share of the sampled rows in which it is not empty, 0 to 1."""
    mean_characters: float
    distinct: int
    """Different values among the sampled rows."""


class MappingProposal(Record):
    """What a file would become: to be looked at, corrected, and put into ImportRequest.columns."""

    file: str
    format: str
    encoding: str | None
    shape: str | None
    """The shape that is recognised, e.g. `question and answer`; None where the rows need the mapping."""
    columns: list[ProposedColumn]
    mapping: ColumnMapping
    """Empty where the shape is recognised without one."""
    sampled_rows: int
    sample_rows: list[JsonObject]
    """Up to five rows as they are in the file, long texts cut."""
    becomes: list[JsonObject]
    """The same rows as `messages`, `metadata`, `key`, or `rejected` with the reason."""
    usable: float
    """Share of the sampled rows that would be taken, 0 to 1."""


class ImportedDataset(Record):
    """The files' rows in canonical form, before cleaning."""

    import_id: str
    """Content address: same files and mapping, same id."""
    dataset_name: str
    rows_path: str
    """Parquet file of canonical rows: messages (JSON text), metadata (JSON text), source_file, line, key; 10,000 a row group."""
    quarantine_path: str
    """JSONL file of broken rows: source_file, line, reason, raw. Only its owner may read it: raw text is not masked."""
    total_rows: int
    broken_rows: int
    files: list[SourceFile]


class PrepareRequest(Record):
    """Clean imported rows and cut them into a dataset version."""

    import_id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$")
    dataset_name: str = Field(pattern=DATASET_NAME_PATTERN)
    train_ratio: float = Field(default=0.9, gt=0, lt=1)
    val_ratio: float = Field(default=0.05, ge=0, lt=1)
    test_ratio: float = Field(default=0.05, ge=0, lt=1)
    near_duplicate_threshold: float = Field(default=0.9, gt=0.5, le=1)
    """Jaccard similarity of character 5-gram sets from which two rows count as the same."""
    min_quality_score: float = Field(default=0.7, ge=0, le=1)
    min_answer_characters: int = Field(default=5, ge=1)
    test_suites: list[str] = []
    """Test case files whose questions must not occur in the dataset."""
    split_unit: SplitUnit = SplitUnit.DOCUMENT
    policy: str = Field(default="default", pattern=r"^[^\x00-\x1f]{1,500}$")
    """A policy that ships (data_prep/policies), or a YAML file below one of the allowed input folders."""
    tokenizer: str | None = Field(default=None, max_length=500)
    """Model whose tokenizer counts the tokens of the statistics; what it says changes nothing of the version."""
    seed: int = 0
    branch: str = Field(default="main", pattern=DATASET_NAME_PATTERN)
    """Branch of the dataset's versions that goes on with this one; a new one starts without a past."""

    @model_validator(mode="after")
    def _ratios_sum_to_one(self) -> Self:
        total = self.train_ratio + self.val_ratio + self.test_ratio
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"train_ratio + val_ratio + test_ratio is {total:g}, must be 1; for example 0.8, 0.1 and 0.1"
            )
        return self


class DatasetVersion(Record):
    """A clean, immutable dataset version; one row of training_datasets."""

    dataset_id: int
    name: str
    version: str
    content_hash: str
    file_path: str
    """Folder with train.parquet, validation.parquet, test.parquet, removed.jsonl, manifest.json."""
    total_samples: int
    train_samples: int
    val_samples: int
    test_samples: int
    removed: dict[str, int]
    """Rows removed, by RemovalReason."""
    masked: dict[str, int]
    """Personal data replaced, by kind (name in brackets as it stands in the text)."""
    quality_score: float
    """Mean quality score of the kept rows, 0 to 1."""
    categories: dict[str, int]


class ListedDataset(DatasetVersion):
    """A dataset version as lists show it."""

    status: DatasetStatus
    description: str | None
    owner: str | None
    """Null: nobody in particular, a pipeline made it."""
    created_at: AwareDatetime


class QualityRequest(Record):
    """Check a dataset version before GPU time is spent on it."""

    dataset_id: int = Field(ge=1)
    min_samples: int = Field(default=20, ge=1)
    min_quality_score: float = Field(default=0.7, ge=0, le=1)
    test_suites: list[str] = []


class QualityCheck(Record):
    """One check's outcome."""

    check_type: QualityCheckType
    passed: bool
    issues: list[JsonObject]


class QualityReport(Record):
    """All checks of one dataset version."""

    dataset_id: int
    passed: bool
    quality_score: float
    checks: list[QualityCheck]
