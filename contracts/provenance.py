"""What a model's folder says of where it comes from."""

from datetime import datetime

from contracts.enums import SignatureState
from contracts.record import Record
from contracts.registry import Verification
from contracts.watermark import MarkFound


class SignatureFound(Record):
    """A look at a folder's signature."""

    state: SignatureState
    signer: str | None = None
    """Name of the trusted key's file; None where no trusted key fits."""
    fingerprint: str | None = None
    """SHA-256 of the signer's public key."""
    changed: list[str] = []
    """Files that are not as they were signed."""


class Provenance(Record):
    """Signed, intact, whose."""

    folder: str
    signature: SignatureFound
    mark: MarkFound | None
    """None where no mark was laid, or its key is not here."""
    mark_missing: str = ""
    """Why no mark was looked for."""


class ModelCheck(Record):
    """What a version's files say of themselves, and how they compare with what was registered."""

    model_id: int
    provenance: Provenance
    files: Verification
    checked_at: datetime
    checked_by: str
