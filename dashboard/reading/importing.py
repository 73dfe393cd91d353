"""Files that can be brought in, and what their rows would become."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.datasets import ColumnMapping, ImportedDataset, MappingProposal
from dashboard.reading.keeping import HEALTH_SECONDS, kept
from dashboard.visits import Visit
from data_prep.imports.input_files import list_input_files, open_input_files
from data_prep.imports.proposing import propose_mapping
from data_prep.masking.masker import mask
from stages import uploads
from stages.services import Services
from storage.stored_files import open_stored_text

if TYPE_CHECKING:
    from contracts.record import JsonObject
    from contracts.uploads import DatasetUpload
    from data_prep.imports.input_files import InputFile

PROPOSAL_SECONDS = 600.0
"""A file that changes has another time, and so another proposal."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that may be imported."""

    path: str
    modified_ns: int
    size_bytes: int


@kept(HEALTH_SECONDS)
def input_files(services: Services) -> list[ListedFile]:
    """Files in the folders from which files may be imported, the newest first; those that start a run by themselves not."""
    settings = services.settings
    found = []
    for path in list_input_files(settings.allowed_input_roots, besides=settings.drop_dir):
        status = path.stat()
        found.append(ListedFile(str(path), status.st_mtime_ns, status.st_size))
    return found


def import_proposal(visit: Visit, file: ListedFile, columns: ColumnMapping | None) -> MappingProposal:
    """What the file's rows would become, under a corrected mapping where one is given; personal data is masked.

    Raises ForbiddenError for somebody who may not import.
    """
    visit.require(ResourceKind.DATASET, "create")
    return _import_proposal(visit, file, columns)


@kept(PROPOSAL_SECONDS)
def _import_proposal(services: Services, file: ListedFile, columns: ColumnMapping | None) -> MappingProposal:
    settings = services.settings
    (opened,) = open_input_files(
        [file.path], relative_to=settings.repository_root, allowed_roots=settings.allowed_input_roots
    )
    return _masked_proposal(opened, columns)


def my_uploads(visit: Visit) -> list[DatasetUpload]:
    """Files that the reader has sent and that are not forgotten, the newest first. Raises ForbiddenError."""
    who = visit.require(ResourceKind.DATASET, "create")
    return uploads.list_uploads(visit, user_id=who.user_id)


def upload_proposal(visit: Visit, upload: DatasetUpload, columns: ColumnMapping | None) -> MappingProposal:
    """What the rows of a file that has arrived would become. Raises ForbiddenError, ConflictError, InvalidDataError."""
    visit.require(ResourceKind.DATASET, "create")
    return _upload_proposal(visit, upload.upload_id, columns)


@kept(PROPOSAL_SECONDS)
def _upload_proposal(visit: Visit, upload_id: str, columns: ColumnMapping | None) -> MappingProposal:
    return _masked_proposal(uploads.arrived_file(upload_id, visit, user_id=visit.principal.user_id), columns)


def _masked_proposal(opened: InputFile, columns: ColumnMapping | None) -> MappingProposal:
    proposal = propose_mapping(opened, columns)
    return proposal.model_copy(update={"sample_rows": [], "becomes": [_masked_turns(row) for row in proposal.becomes]})


def _masked_turns(row: JsonObject) -> JsonObject:
    turns = row.get("messages")
    if not isinstance(turns, list):
        return row
    spoken = [(str(turn.get("role")), str(turn.get("content"))) for turn in turns if isinstance(turn, dict)]
    masked = mask([text for _, text in spoken])
    return {
        "messages": [{"role": role, "content": one.text} for (role, _), one in zip(spoken, masked, strict=True)],
    }


def broken_rows(imported: ImportedDataset, listed: int) -> list[tuple[str, int, str]]:
    """File, line and reason of the first broken rows; never their text, which is not masked."""
    with open_stored_text(Path(imported.quarantine_path)) as lines:
        rows = [json.loads(line) for line in islice(lines, listed)]
    return [(str(row["source_file"]), int(row["line"]), str(row["reason"])) for row in rows]
