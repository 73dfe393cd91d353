"""The audit trail for people: checked, searched, exported, signed, and shortened where its time is over."""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from contracts.audit import AuditEntry, AuditFilter, AuditProtection, AuditResult, SubjectCategory
from contracts.errors import ConflictError, InvalidRequestError
from contracts.record import JsonObject, Record, utc_now
from security.audit.export import ExportFormat, written
from security.audit.heads import SignedHead, append_head, is_genuine, read_heads, sign_head
from security.audit.keys import public_pem, read_public_key, read_signing_key
from security.audit.verify import ChainReport, Problem, Start, Tampering, verify_chain
from settings import SecretName, Settings
from stages.services import Services
from storage.files import fsync_path


class AuditCheck(Record):
    """What a check of the trail found."""

    is_whole: bool
    chain: ChainReport
    protection: AuditProtection
    """What keeps entries from being changed in PostgreSQL."""
    refused_head_lines: list[int]
    """Lines of the file of signed heads without a genuine signature, or out of their order."""
    checkpoint: int | None
    """Entries up to this one were taken away after their time, with a signature."""
    heads_file: str


class AuditExport(Record):
    """A written file of entries."""

    path: str
    entries: int
    sha256: str


class AuditRetirement(Record):
    """Old entries that were taken away."""

    entries: int
    through: int | None
    """None where no entry was old enough."""
    archive: str | None
    sha256: str | None


def heads_file(settings: Settings) -> Path:
    """The signed heads of this installation."""
    return settings.audit_dir / "heads.jsonl"


def record_action(
    services: Services,
    actor: str,
    action: str,
    subject: str,
    details: JsonObject | None = None,
    *,
    category: SubjectCategory | None = None,
    purpose: str | None = None,
    result: AuditResult = AuditResult.SUCCEEDED,
) -> None:
    """Write an entry now. Raises UnavailableError: what must not happen unaudited then does not happen."""
    with services.unit_of_work() as uow:
        uow.audit.append(actor, action, subject, details, category=category, purpose=purpose, result=result)


def verify_audit(
    services: Services,
    *,
    heads: Path | None = None,
    public_key: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> AuditCheck:
    """Check every entry against its neighbours and against the signed heads: the installation's, or a copy of them."""
    key = read_public_key(public_key or signing_key_file(services.settings))
    path = heads or heads_file(services.settings)
    if heads is not None and not heads.is_file():
        raise InvalidRequestError(
            "There is no such file of signed heads", value=heads, next_step="give its copy's path"
        )
    # read before the chain: a head that is signed meanwhile is not behind what is read
    signed, refused = read_heads(path, key)
    forged: list[Problem] = []
    with services.unit_of_work() as uow:
        checkpoint = uow.audit.checkpoint()
        start = None
        if checkpoint is not None:
            signed_checkpoint = SignedHead.model_validate_json(checkpoint.signed_head)
            if is_genuine(signed_checkpoint, key) and (signed_checkpoint.id, signed_checkpoint.hash) == (
                checkpoint.through_id,
                checkpoint.through_hash.hex(),
            ):
                start = Start(checkpoint.through_id, checkpoint.through_hash)
            else:
                place = checkpoint.through_id
                forged.append(Problem(kind=Tampering.FORGED_SIGNATURE, first=place, last=place))
        report = verify_chain(uow.audit.read_through(), signed, start=start, progress=progress)
        protection = uow.audit.protection()
    if forged:
        report = report.model_copy(
            update={"problems": [*forged, *report.problems], "problems_total": report.problems_total + len(forged)}
        )
    return AuditCheck(
        is_whole=report.is_whole and not refused,
        chain=report,
        protection=protection,
        refused_head_lines=refused,
        checkpoint=None if checkpoint is None else checkpoint.through_id,
        heads_file=str(path),
    )


def sign_audit_head(services: Services) -> SignedHead | None:
    """Sign the chain's end into the installation's file and its copy; None where nothing was added since."""
    settings = services.settings
    key = read_signing_key(signing_key_file(settings))
    with services.unit_of_work() as uow:
        head = uow.audit.head()
    if head.hash is None:
        return None
    signed = append_head(heads_file(settings), head.id, head.hash, key)
    if settings.audit_heads_copy is not None:
        append_head(settings.audit_heads_copy, head.id, head.hash, key)
    return signed


def audit_public_key(services: Services) -> str:
    """The key to check signed heads with, as PEM."""
    return public_pem(read_public_key(signing_key_file(services.settings)))


def search_audit(
    wanted: AuditFilter, services: Services, *, limit: int = 50, before: int | None = None
) -> list[AuditEntry]:
    """The newest entries that match, newest first."""
    with services.unit_of_work() as uow:
        return uow.audit.search(wanted, limit=limit, before=before)


def export_audit(
    wanted: AuditFilter, path: Path, export_format: ExportFormat, services: Services, *, actor: str, purpose: str
) -> AuditExport:
    """Write the entries that match to a file, which appears when it is whole. The export is an entry itself.

    Raises InvalidRequestError without a purpose or where the file is there.
    """
    if not purpose.strip():
        raise InvalidRequestError("An export needs a purpose", value=purpose, next_step="say why with --purpose")
    if path.exists():
        raise InvalidRequestError("The file is there already", value=path, next_step="give another name")
    # before the first byte leaves: an export that is not recorded does not happen
    record_action(
        services,
        actor,
        "audit.exported",
        "audit",
        {"file": path.name, "format": export_format.value, "filter": wanted.model_dump(mode="json", exclude_none=True)},
        category=SubjectCategory.STAFF,
        purpose=purpose,
    )
    with services.unit_of_work() as uow:
        return _write(path, uow.audit.matching(wanted), export_format)


def retire_audit(services: Services, *, actor: str, now: datetime | None = None) -> AuditRetirement:
    """Take entries away whose time of keeping is over: into an archive file, leaving a signed checkpoint.

    Only entries that are older than `audit_retention_days` go, and only those before all newer ones. The chain is
    checked up to there first. Raises ConflictError where it is not whole.
    """
    settings = services.settings
    key = read_signing_key(signing_key_file(settings))
    limit = (now or utc_now()) - timedelta(days=settings.audit_retention_days)
    with services.unit_of_work() as uow:
        last = uow.audit.last_before(limit)
    if last is None or last.hash is None:
        return AuditRetirement(entries=0, through=None, archive=None, sha256=None)
    check = verify_audit(services)
    if not check.is_whole:
        raise ConflictError(
            "The audit trail has been tampered with and is kept as it is",
            value=f"{check.chain.problems_total + len(check.refused_head_lines)} findings",
            next_step="look at them with `tuneway audit verify`",
        )
    archive = settings.audit_dir / "archive" / f"entries-to-{last.id:012d}.jsonl"
    with services.unit_of_work() as uow:
        file = _write(archive, uow.audit.matching(AuditFilter(), through=last.id), ExportFormat.JSONL)
    with services.unit_of_work() as uow:
        removed = uow.audit.retire(last.id, sign_head(last.id, last.hash, key).model_dump_json())
        uow.audit.append(
            actor,
            "audit.retired",
            "audit",
            {
                "through": last.id,
                "hash": last.hash.hex(),
                "entries": removed,
                "archive": archive.name,
                "sha256": file.sha256,
            },
        )
    return AuditRetirement(entries=removed, through=last.id, archive=str(archive), sha256=file.sha256)


def signing_key_file(settings: Settings) -> Path:
    """The key under which the installation says what was so."""
    return settings.secrets_dir / SecretName.AUDIT_SIGNING_KEY.value


def _write(path: Path, entries: Iterable[AuditEntry], export_format: ExportFormat) -> AuditExport:
    """The entries as a file that is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    digest, count = hashlib.sha256(), 0

    def counted() -> Iterator[AuditEntry]:
        nonlocal count
        for entry in entries:
            count += 1
            yield entry

    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            for piece in written(counted(), export_format):
                digest.update(piece)
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_path(path.parent)
    return AuditExport(path=str(path), entries=count, sha256=digest.hexdigest())
