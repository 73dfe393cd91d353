"""What an encrypted file of this installation holds, for a person who says why they want it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from contracts.audit import SubjectCategory
from contracts.errors import InvalidRequestError
from stages.audit import record_action
from storage.encryption.container import RECORDS_FORMAT, is_encrypted, stored_format
from storage.journal import journal_entries
from storage.stored_files import open_stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stages.services import Services

_PIECE_BYTES = 1 << 20


def stored_content(path: Path, services: Services, *, actor: str, reason: str) -> Iterator[bytes]:
    """The content piece by piece, a journal's entries as JSON lines. Audited before the first byte is given out.

    Raises InvalidRequestError for a file that is not encrypted here, DamagedFileError or KeyUnavailableError.
    """
    place, root = path.resolve(), services.settings.data_dir.resolve()
    if not place.is_relative_to(root) or not place.is_file() or not is_encrypted(place):
        raise InvalidRequestError(
            "This is no encrypted file of the installation",
            value=path,
            allowed=f"an encrypted file below {root}",
            next_step="read it as it is, where it is not encrypted",
        )
    if not reason.strip():
        raise InvalidRequestError(
            "Reading an encrypted file needs a reason", value=reason, next_step="say why with --reason"
        )
    record_action(
        services,
        actor,
        "file.shown",
        f"file/{place.relative_to(root)}",
        category=SubjectCategory.TRAINING_DATA,
        purpose=reason.strip(),
    )
    return _pieces(place)


def _pieces(path: Path) -> Iterator[bytes]:
    if stored_format(path) == RECORDS_FORMAT:
        for key, entry in journal_entries(path):
            # escaped: a lone surrogate of a broken server stays readable
            yield json.dumps({"key": key, **entry}).encode() + b"\n"
        return
    with open_stored(path) as content:
        while piece := content.read(_PIECE_BYTES):
            yield piece
