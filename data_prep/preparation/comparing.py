"""The rows of whole versions, as they are compared with others."""

from pathlib import Path

from contracts.data_policy import DuplicatePolicy
from contracts.enums import Split
from data_prep.duplicates.fingerprints import Fingerprints, fingerprint_rows
from data_prep.rows import Row, messages_from_json
from data_prep.stored_rows import StoredRows
from data_prep.versions.names import SPLIT_FILES
from storage.split_files import split_files


def version_rows(folder: Path) -> StoredRows:
    """All rows of a version: train, validation, test."""
    return StoredRows([path for split in Split for path in split_files(folder / SPLIT_FILES[split])])


def fingerprints_of(rows: StoredRows, policy: DuplicatePolicy) -> list[Fingerprints]:
    """Fingerprints of each file's rows."""
    return [
        fingerprint_rows(
            [Row("", messages_from_json(text)) for text in rows.table(file, ["messages"])["messages"].to_pylist()],
            policy,
        )
        for file in range(len(rows.files))
    ]
