"""Files that arrive in parts and become dataset versions.

An upload is a folder of `uploads/`: `session.json` says how far it is, the file lies beside it in encrypted segments.
Whoever works on it holds the lock of the folder, so that it is known whether somebody does: what a killed process was
at is swept or gone on with by `sweep_uploads`.
"""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from contracts.access import ResourceKind
from contracts.audit import SubjectCategory
from contracts.datasets import DatasetVersion, ImportRequest, PrepareRequest
from contracts.errors import (
    ConflictError,
    InProgressError,
    InvalidDataError,
    InvalidRequestError,
    NotFoundError,
    TooLargeError,
    TunewayError,
)
from contracts.record import JsonObject, Record, utc_now
from contracts.uploads import DatasetUpload, UploadRequest, UploadState
from data_prep.imports.input_files import InputFile, format_of, require_disk_space
from storage.files import read_json, write_json_atomically
from storage.segments import (
    SegmentReader,
    SegmentWriter,
    arriving_bytes,
    received_bytes,
    remove_segments,
    remove_unfinished,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from contracts.datasets import ImportedDataset
    from settings import Settings
    from stages.services import Services

KEPT_RECEIVING = timedelta(hours=24)
KEPT_ENDED = timedelta(days=7)
MOST_OPEN = 20
"""Of one account."""
MOST_RATIO = 100
"""What an uploaded file may unpack to, as a multiple of its size, from `FREE_BYTES` on. Rows of text reach 20."""
FREE_BYTES = 256 << 20
IMPORT_MEMORY_BYTES = 4 << 30
"""Beyond what any file that is no bomb has needed, 0.4 GB."""
AT_ONCE = 2
"""Uploads that are read and prepared at the same time; others wait."""
SESSION_FILE, LOCK_FILE = "session.json", "lock"
_ENDED = frozenset({UploadState.READY, UploadState.FAILED})
_WORKING = frozenset({UploadState.IMPORTING, UploadState.PREPARING})


class _Session(Record):
    """What is known of an upload beside its bytes."""

    upload_id: str
    user_id: int
    username: str
    request: UploadRequest
    in_one_go: bool
    """Sent by one call: nobody can go on with it."""
    state: UploadState = UploadState.RECEIVING
    created_at: AwareDatetime
    sha256: str | None = None
    import_id: str | None = None
    rows: int | None = None
    broken_rows: int | None = None
    dataset: DatasetVersion | None = None
    error: JsonObject | None = None


def create_upload(
    request: UploadRequest,
    services: Services,
    *,
    user_id: int,
    username: str,
    upload_id: str | None = None,
    in_one_go: bool = False,
) -> DatasetUpload:
    """Make room for a file; with an `upload_id` that is there, that upload. Raises before a byte is sent where it can."""
    settings = services.settings
    _require_known_format(request.file_name)
    most = most_upload_bytes(settings)
    if request.size_bytes is not None and request.size_bytes > most:
        raise too_large(request.size_bytes, most)
    sweep_uploads(services)
    folder = settings.uploads_dir / (upload_id or uuid.uuid4().hex)
    if (present := _load(folder)) is not None:
        _require_owner(present, user_id, folder.name)
        return _told(present, folder)
    open_now = [found for found in _sessions(settings) if found.user_id == user_id and found.state not in _ENDED]
    if len(open_now) >= MOST_OPEN:
        raise ConflictError(
            "Too many uploads of this account are not ended",
            value=len(open_now),
            allowed=f"{MOST_OPEN}",
            next_step=f"end one: DELETE /api/v1/admin/training/uploads/{open_now[0].upload_id}",
        )
    # the file, its rows, and what is prepared of them
    require_disk_space(settings.uploads_dir, 3 * (request.size_bytes or 0), settings.min_free_disk_gb)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    session = _Session(
        upload_id=folder.name,
        user_id=user_id,
        username=username,
        request=request,
        in_one_go=in_one_go,
        created_at=utc_now(),
    )
    _save(session, folder)
    return _told(session, folder)


def read_upload(upload_id: str, services: Services, *, user_id: int | None = None) -> DatasetUpload:
    """The upload as it is now, for whoever made it. Raises NotFoundError."""
    folder = services.settings.uploads_dir / upload_id
    return _told(_found(folder, user_id), folder)


def list_uploads(services: Services, *, user_id: int) -> list[DatasetUpload]:
    """Those of the account that are not forgotten, the newest first."""
    found = []
    for folder in _folders(services.settings):
        session = _load(folder)
        if session is not None and session.user_id == user_id and not session.in_one_go:
            with suppress(NotFoundError):  # removed meanwhile
                found.append(_told(session, folder))
    return sorted(found, key=lambda upload: upload.created_at, reverse=True)


def arrived_file(upload_id: str, services: Services, *, user_id: int) -> InputFile:
    """The file of an upload that is whole and not made into anything yet, to be looked at. Raises ConflictError."""
    folder = services.settings.uploads_dir / upload_id
    session = _found(folder, user_id)
    received, wanted = received_bytes(folder), session.request.size_bytes
    if session.state is not UploadState.RECEIVING or received == 0 or wanted not in {None, received}:
        raise ConflictError(
            "The file is not there to be looked at",
            value=f"{session.request.file_name}, {session.state.value}, {received} bytes",
            allowed="a file that has arrived as a whole and is not imported yet",
            next_step="send it to its end, or look at the dataset that came of it",
        )
    return _input_file(session, folder, "")


@contextmanager
def receiving(
    upload_id: str, services: Services, *, user_id: int, offset: int | None = None
) -> Iterator[SegmentWriter]:
    """Where the next bytes are written; what has arrived is kept, also where the block ends by an error.

    Raises ConflictError where the file does not go on at `offset`, InProgressError where another call writes.
    """
    settings = services.settings
    folder = settings.uploads_dir / upload_id
    _found(folder, user_id)
    with _locked(folder):
        session = _found(folder, user_id)
        if session.state is not UploadState.RECEIVING:
            raise ConflictError(
                "The upload takes no more parts",
                value=session.state.value,
                allowed="parts before it is completed",
                next_step="begin another upload",
            )
        remove_unfinished(folder)
        writer = SegmentWriter(folder, lambda: require_disk_space(settings.uploads_dir, 0, settings.min_free_disk_gb))
        if offset is not None and offset != writer.place:
            raise ConflictError(
                "The part does not begin where the file ends so far",
                value=f"Upload-Offset {offset}",
                allowed=f"Upload-Offset {writer.place}",
                next_step=f"send on from byte {writer.place}",
            )
        try:
            yield writer
        finally:
            writer.close()


def describe_upload(upload_id: str, request: UploadRequest, services: Services, *, user_id: int | None = None) -> None:
    """Say what an upload is to become, which may be known only when the file has arrived. Raises ConflictError later."""
    folder = services.settings.uploads_dir / upload_id
    _require_known_format(request.file_name)
    with _locked(folder):
        session = _found(folder, user_id)
        if session.state is not UploadState.RECEIVING:
            raise ConflictError(
                "The upload is already being made into a dataset",
                value=session.state.value,
                allowed="a description before it is completed",
                next_step="begin another upload",
            )
        _save(session.model_copy(update={"request": request}), folder)


def complete_upload(upload_id: str, services: Services, *, user_id: int) -> bool:
    """The file is whole. Whether somebody must now `finish_upload` it: False where it is ended or being worked on.

    Raises ConflictError where bytes are missing.
    """
    folder = services.settings.uploads_dir / upload_id
    session = _found(folder, user_id)
    if session.state in _ENDED:
        return False
    try:
        with _locked(folder):
            session = _found(folder, user_id)
            if session.state is UploadState.RECEIVING:
                received, wanted = received_bytes(folder), session.request.size_bytes
                if received == 0 or (wanted is not None and received != wanted):
                    raise ConflictError(
                        "The file is not whole",
                        value=f"{received} bytes",
                        allowed="at least one byte" if wanted is None else f"{wanted} bytes",
                        next_step=f"send on from byte {received}",
                    )
                request = session.request.model_copy(update={"size_bytes": received})
                session = session.model_copy(update={"state": UploadState.IMPORTING, "request": request})
                _save(session, folder)
            return session.state not in _ENDED
    except InProgressError:
        if session.state is UploadState.RECEIVING:
            raise
        return False


def remove_upload(upload_id: str, services: Services, *, user_id: int | None) -> None:
    """Forget the upload with what has arrived. A dataset that came of it stays. Raises NotFoundError, InProgressError."""
    folder = services.settings.uploads_dir / upload_id
    _found(folder, user_id)
    with _locked(folder):
        shutil.rmtree(folder, ignore_errors=True)


def sweep_uploads(services: Services, *, at_start: bool = False) -> list[str]:
    """Remove what nobody can go on with; the uploads whose work was cut short and has to be gone on with.

    `at_start`: no call is under way yet, so that uploads in one go are over too.
    """
    settings = services.settings
    waiting = []
    for folder in _folders(settings):
        try:
            with _locked(folder):
                session = _load(folder)
                if session is None or _expiry(session, folder) < utc_now():
                    shutil.rmtree(folder, ignore_errors=True)
                elif session.state is UploadState.RECEIVING:
                    remove_unfinished(folder)
                    if session.in_one_go and at_start:
                        shutil.rmtree(folder, ignore_errors=True)
                elif session.state in _WORKING:
                    waiting.append(session.upload_id)
        except (InProgressError, FileNotFoundError):
            continue
    return waiting


def finish_upload(
    upload_id: str, services: Services, before_preparing: Callable[[], object] = lambda: None
) -> DatasetUpload:
    """Read, check and prepare a whole file, register the version and give it to whoever sent it.

    Killed and called again it goes on. What fails is told by the upload's `error`, and leaves nothing else behind.
    """
    settings = services.settings
    folder = settings.uploads_dir / upload_id
    try:
        with _locked(folder), _turn(settings):
            session = _found(folder, None)
            if session.state in _WORKING:
                session = _finished(session, folder, services, before_preparing)
            return _told(session, folder)
    except InProgressError:
        return read_upload(upload_id, services)


def waiting_files(settings: Settings) -> list[tuple[str, InputFile]]:
    """Files that have arrived, in whole or in part, and are not imported yet, with their uploads' ids."""
    waiting = []
    for session in _sessions(settings):
        folder = settings.uploads_dir / session.upload_id
        if session.state not in _ENDED and received_bytes(folder):
            waiting.append((session.upload_id, _input_file(session, folder, "")))
    return waiting


def most_upload_bytes(settings: Settings) -> int:
    """Of one file."""
    return int(settings.max_upload_mb * 1_000_000)


def too_large(size: object, most: int) -> TooLargeError:
    """The refusal of a file."""
    return TooLargeError(
        "The file is too large",
        value=f"{size} bytes",
        allowed=f"{most} bytes",
        next_step="cut it into several files, compress it, or raise TUNEWAY_MAX_UPLOAD_MB",
    )


def _finished(session: _Session, folder: Path, services: Services, before_preparing: Callable[[], object]) -> _Session:
    made: Path | None = None
    try:
        if session.state is UploadState.IMPORTING:
            digest = _checked_digest(session, folder)
            imports_dir = services.settings.datasets_dir / "imports"
            before = {path.name for path in imports_dir.glob("*")}
            with _bounded_memory():
                imported = _import(session, folder, digest, services)
            made = None if imported.import_id in before else imports_dir / imported.import_id
            session = session.model_copy(
                update={
                    "state": UploadState.PREPARING,
                    "sha256": digest,
                    "import_id": imported.import_id,
                    "rows": imported.total_rows,
                    "broken_rows": imported.broken_rows,
                }
            )
            _save(session, folder)
            remove_segments(folder)
        before_preparing()
        # what reads rows is loaded by the process that does, not by the service
        from stages.prepare import prepare

        version = prepare(PrepareRequest(import_id=str(session.import_id), dataset_name=session.request.name), services)
        with services.unit_of_work() as uow:
            uow.ownership.claim(ResourceKind.DATASET, version.dataset_id, session.user_id)
            uow.datasets.describe(version.dataset_id, session.request.description)
            uow.audit.append(
                session.username,
                "dataset.uploaded",
                f"dataset/{version.name}",
                {"version": version.version, "dataset_id": version.dataset_id, "rows": session.rows},
                category=SubjectCategory.TRAINING_DATA,
            )
        session = session.model_copy(update={"state": UploadState.READY, "dataset": version})
    except TunewayError as error:
        if error.retryable:
            raise
        session = session.model_copy(update={"state": UploadState.FAILED, "error": error.as_record()})
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
    remove_segments(folder)
    _save(session, folder)
    return session


def _checked_digest(session: _Session, folder: Path) -> str:
    digest = sha256()
    with SegmentReader(folder) as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    found = digest.hexdigest()
    if session.request.sha256 not in {None, found}:
        raise InvalidDataError(
            "The file is not the one that was announced",
            value=f"SHA-256 {found}",
            allowed=f"SHA-256 {session.request.sha256}",
            next_step="send it again from its beginning in another upload",
        )
    return found


def _import(session: _Session, folder: Path, digest: str, services: Services) -> ImportedDataset:
    from data_prep.imports.importing import import_opened

    settings = services.settings
    request = session.request
    return import_opened(
        [_input_file(session, folder, digest)],
        ImportRequest(dataset_name=request.name, input_files=[request.file_name], columns=request.columns),
        imports_dir=settings.datasets_dir / "imports",
        min_free_disk_gb=settings.min_free_disk_gb,
        most_rows=settings.max_upload_rows,
    )


def _input_file(session: _Session, folder: Path, digest: str) -> InputFile:
    size, name = received_bytes(folder), session.request.file_name
    file_format, compression = format_of(name)
    return InputFile(
        folder,
        name,
        file_format,
        size,
        digest,
        compression,
        origin=f"upload/{name}",
        most_unpacked_bytes=max(FREE_BYTES, MOST_RATIO * size),
    )


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """Whoever reads hostile files gets so much memory and no more: what needs more is refused like a damaged file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bound = IMPORT_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(IMPORT_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    try:
        yield
    except MemoryError as error:
        raise TooLargeError(
            "The file needs too much memory to be read",
            allowed=f"{IMPORT_MEMORY_BYTES >> 30} GiB",
            next_step="write it with smaller rows, or as JSONL",
        ) from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only one who works on the upload. Raises InProgressError, NotFoundError."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError as error:
        raise _not_there(folder.name) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InProgressError(
                "Another call works on this upload", value=folder.name, next_step="look at how far it is, and try again"
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _turn(settings: Settings) -> Iterator[None]:
    """Wait until less than `AT_ONCE` uploads are worked on."""
    descriptors = [
        os.open(settings.uploads_dir / f".turn-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for number in range(AT_ONCE)
    ]
    try:
        while True:
            for descriptor in descriptors:
                with suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield
                    return
            time.sleep(0.2)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _require_known_format(file_name: str) -> None:
    file_format, compression = format_of(file_name)
    if compression is not None and file_format in {"parquet", "xlsx"}:
        raise InvalidRequestError(
            "The file is compressed twice",
            value=file_name,
            allowed=f".{file_format} as it is",
            next_step="unpack it before sending it",
        )


def _folders(settings: Settings) -> list[Path]:
    return [path for path in settings.uploads_dir.glob("[!.]*") if path.is_dir()]


def _sessions(settings: Settings) -> list[_Session]:
    return [session for folder in _folders(settings) if (session := _load(folder)) is not None]


def _load(folder: Path) -> _Session | None:
    found = read_json(folder / SESSION_FILE)
    return None if found is None else _Session.model_validate(found)


def _save(session: _Session, folder: Path) -> None:
    write_json_atomically(folder / SESSION_FILE, session.model_dump(mode="json"))


def _found(folder: Path, user_id: int | None) -> _Session:
    session = _load(folder)
    if session is None:
        raise _not_there(folder.name)
    _require_owner(session, user_id, folder.name)
    return session


def _require_owner(session: _Session, user_id: int | None, upload_id: str) -> None:
    if user_id not in {None, session.user_id}:
        raise _not_there(upload_id)


def _not_there(upload_id: str) -> NotFoundError:
    return NotFoundError("There is no such upload of yours", value=upload_id, next_step="begin another one")


def _expiry(session: _Session, folder: Path) -> AwareDatetime:
    kept = KEPT_ENDED if session.state in _ENDED else KEPT_RECEIVING
    # each segment is a new name in the folder
    return datetime.fromtimestamp(folder.stat().st_mtime, tz=UTC) + kept


def _told(session: _Session, folder: Path) -> DatasetUpload:
    is_receiving = session.state is UploadState.RECEIVING
    try:
        received = received_bytes(folder) if is_receiving else (session.request.size_bytes or 0)
        return DatasetUpload(
            upload_id=session.upload_id,
            state=session.state,
            name=session.request.name,
            file_name=session.request.file_name,
            description=session.request.description,
            size_bytes=session.request.size_bytes,
            received_bytes=received,
            arriving_bytes=arriving_bytes(folder) if is_receiving else 0,
            created_at=session.created_at,
            expires_at=_expiry(session, folder),
            sha256=session.sha256,
            import_id=session.import_id,
            rows=session.rows,
            broken_rows=session.broken_rows,
            dataset=session.dataset,
            error=session.error,
        )
    except FileNotFoundError as error:  # removed meanwhile
        raise _not_there(session.upload_id) from error
