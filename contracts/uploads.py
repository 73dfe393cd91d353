"""Files on their way into a dataset."""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from contracts.datasets import DATASET_NAME_PATTERN, ColumnMapping, DatasetVersion
from contracts.record import JsonObject, Record

FILE_NAME_PATTERN = r"^[^/\\\x00-\x1f\x7f]{1,200}$"
UPLOAD_ID_PATTERN = r"^[0-9a-f]{32}$"
DESCRIPTION_LENGTH = 2000


class UploadState(StrEnum):
    """How far an upload is."""

    RECEIVING = "receiving"
    """Parts of the file arrive."""
    IMPORTING = "importing"
    """The file is whole; its rows are read and checked."""
    PREPARING = "preparing"
    """The rows are cleaned and masked: what becomes the dataset version."""
    READY = "ready"
    FAILED = "failed"


class UploadRequest(Record):
    """What is going to arrive."""

    name: str = Field(pattern=DATASET_NAME_PATTERN)
    """Of the dataset; a name that is there gets another version."""
    file_name: str = Field(pattern=FILE_NAME_PATTERN)
    """Its ending says the format: .jsonl, .json, .csv, .tsv, .txt, .parquet, .xlsx; texts also with .gz or .zst."""
    description: str | None = Field(default=None, max_length=DESCRIPTION_LENGTH)
    size_bytes: int | None = Field(default=None, ge=1)
    """Of the whole file; checked when it is whole."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Of the whole file; checked when it is whole."""
    columns: ColumnMapping = ColumnMapping()
    """What the columns hold, where they are not recognised by their names."""


class DatasetUpload(Record):
    """An upload as it is now."""

    upload_id: str
    state: UploadState
    name: str
    file_name: str
    description: str | None
    size_bytes: int | None
    received_bytes: int
    """Kept whatever happens; the next part begins here."""
    arriving_bytes: int
    """About so many more are on their way to be kept."""
    created_at: AwareDatetime
    expires_at: AwareDatetime
    """Then the upload is forgotten; a dataset that came of it stays."""
    sha256: str | None
    import_id: str | None
    rows: int | None
    """Rows that could be read."""
    broken_rows: int | None
    """Rows that could not be read, and are left out."""
    dataset: DatasetVersion | None
    """Null until it is ready."""
    error: JsonObject | None
    """Why it failed: `code`, `what`, `value`, `allowed`, `next_step`, `retryable`."""
