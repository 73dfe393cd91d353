"""Uploads over HTTP: a file in one call, or in parts that can be gone on with."""

import asyncio
import contextlib
import hashlib
import subprocess
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Path, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from contracts.access import ResourceKind
from contracts.errors import InProgressError, InvalidRequestError, TunewayError, UnavailableError, error_from_record
from contracts.identity import Principal
from contracts.uploads import UPLOAD_ID_PATTERN, DatasetUpload, UploadRequest, UploadState
from serving_api.admin.routers import admin_router
from serving_api.apart import start_apart
from serving_api.authentication import Caller, ServicesParameter
from serving_api.idempotency import KEY_PATTERN, OnceParameter
from serving_api.multipart import FormReader
from serving_api.permissions import permit, require
from serving_api.problems import problem_responses
from stages import uploads
from stages.services import Services
from storage.segments import SegmentWriter

router = admin_router("datasets")

WRITTEN_AT_ONCE_BYTES = 1 << 20
LOOKED_EVERY_SECONDS = 0.1
FORGET_SECONDS, FORGET_POLL_SECONDS = 10.0, 0.05
_WORKING = frozenset({UploadState.IMPORTING, UploadState.PREPARING})

UploadId = Annotated[str, Path(pattern=UPLOAD_ID_PATTERN, description="`upload_id` of the upload.")]
Wait = Annotated[
    float,
    Query(ge=0, le=300, description="Seconds to wait for the dataset; it goes on after that, and the answer is 202."),
]
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["name", "file"],
                    "properties": {
                        "name": {"type": "string", "description": "Of the dataset."},
                        "file": {"type": "string", "format": "binary"},
                        "description": {"type": "string", "maxLength": 2000},
                    },
                }
            }
        },
    }
}
_BYTES = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/training/datasets",
    status_code=201,
    dependencies=[permit(ResourceKind.DATASET, "create")],
    responses={202: {"model": DatasetUpload}, **problem_responses(409, 413, 507)},
    openapi_extra=_FORM,
)
async def upload_dataset(
    request: Request,
    response: Response,
    services: ServicesParameter,
    caller: Caller,
    wait_seconds: Wait = 20,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern=KEY_PATTERN,
            description="The same key of the same account is one upload, whatever is sent with it.",
        ),
    ] = None,
) -> DatasetUpload:
    """Make a dataset of a file: 201 with the dataset, 202 while it is prepared. What breaks leaves nothing behind."""
    form = FormReader(request.headers.get("content-type", ""))
    most = uploads.most_upload_bytes(services.settings)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:15]) > most + WRITTEN_AT_ONCE_BYTES:
        raise uploads.too_large(declared[:15], most)
    mark = None if key is None else hashlib.sha256(f"{caller.user_id}\0{key}".encode()).hexdigest()[:32]
    if mark is not None and (present := await run_in_threadpool(_present, mark, services, caller)) is not None:
        async for _ in request.stream():
            pass
        return await _completed(present.upload_id, services, caller, wait_seconds, response)
    upload = await run_in_threadpool(
        uploads.create_upload,
        # what it is called stands in the form, perhaps behind the file
        UploadRequest(name="unnamed", file_name="unnamed.jsonl"),
        services,
        user_id=caller.user_id,
        username=caller.username,
        upload_id=mark,
        in_one_go=True,
    )
    try:
        async with _writing(upload.upload_id, services, caller) as writer:
            bounded = _Bounded(writer, most)
            await form.read(request.stream(), bounded.write)
            await bounded.flush()
        described = _described(form, writer.place)
        await _require_may_extend(request, described.name, services, caller)
        await run_in_threadpool(uploads.describe_upload, upload.upload_id, described, services)
        done = await _completed(upload.upload_id, services, caller, wait_seconds, response)
    except BaseException:
        with contextlib.suppress(TunewayError):
            await asyncio.shield(run_in_threadpool(_forget, upload.upload_id, services, caller))
        raise
    return done


@router.post(
    "/training/uploads",
    status_code=201,
    dependencies=[permit(ResourceKind.DATASET, "create")],
    responses=problem_responses(409, 413, 507),
)
async def begin_upload(
    request: Request, services: ServicesParameter, caller: Caller, once: OnceParameter, wanted: UploadRequest
) -> DatasetUpload:
    """Begin an upload in parts. It is kept for 24 hours after its last part."""
    await _require_may_extend(request, wanted.name, services, caller)

    def begin() -> DatasetUpload:
        return uploads.create_upload(
            wanted, services, user_id=caller.user_id, username=caller.username, upload_id=once.mark
        )

    return await run_in_threadpool(once, DatasetUpload, begin)


@router.patch(
    "/training/uploads/{upload_id}",
    dependencies=[permit(ResourceKind.DATASET, "create")],
    responses=problem_responses(404, 409, 413, 507),
    openapi_extra=_BYTES,
)
async def send_part(
    request: Request,
    response: Response,
    services: ServicesParameter,
    caller: Caller,
    upload_id: UploadId,
    offset: Annotated[
        int, Header(alias="Upload-Offset", ge=0, lt=2**53, description="Where the part begins in the file.")
    ],
) -> DatasetUpload:
    """Send the next part, of any size. What has arrived is kept also where the connection breaks: ask where to go on."""
    async with _writing(upload_id, services, caller, offset) as writer:
        bounded = _Bounded(writer, await run_in_threadpool(_most, upload_id, services))
        with contextlib.suppress(ClientDisconnect):
            async for piece in request.stream():
                await bounded.write(piece)
        await bounded.flush()
    return _with_offset(response, await run_in_threadpool(_read, upload_id, services, caller))


@router.get(
    "/training/uploads/{upload_id}",
    dependencies=[permit(ResourceKind.DATASET, "create")],
    responses=problem_responses(404),
)
@router.head(
    "/training/uploads/{upload_id}",
    dependencies=[permit(ResourceKind.DATASET, "create")],
    responses=problem_responses(404),
    include_in_schema=False,
)
def get_upload(response: Response, services: ServicesParameter, caller: Caller, upload_id: UploadId) -> DatasetUpload:
    """How far the upload is; the header Upload-Offset says where the next part begins."""
    return _with_offset(response, _read(upload_id, services, caller))


@router.post(
    "/training/uploads/{upload_id}/complete",
    dependencies=[permit(ResourceKind.DATASET, "create")],
    responses={202: {"model": DatasetUpload}, **problem_responses(404, 409, 413)},
)
async def complete_upload(
    response: Response, services: ServicesParameter, caller: Caller, upload_id: UploadId, wait_seconds: Wait = 20
) -> DatasetUpload:
    """The file is whole: make a dataset of it. 202 while that goes on; the same call again waits on, or answers alike."""
    return await _completed(upload_id, services, caller, wait_seconds, response)


@router.delete(
    "/training/uploads/{upload_id}",
    status_code=204,
    dependencies=[permit(ResourceKind.DATASET, "create")],
    responses=problem_responses(404, 409),
)
def remove_upload(services: ServicesParameter, caller: Caller, upload_id: UploadId) -> None:
    """Forget an upload and what has arrived of it. A dataset that came of it stays."""
    uploads.remove_upload(upload_id, services, user_id=caller.user_id)


def go_on_with_uploads(services: Services) -> None:
    """What an earlier service left: swept, or gone on with."""
    for upload_id in uploads.sweep_uploads(services, at_start=True):
        _start(upload_id, services)


class _Bounded:
    """Writes in pieces of a megabyte, each in a thread; raises TooLargeError beyond the most bytes."""

    def __init__(self, writer: SegmentWriter, most: int) -> None:
        self._writer = writer
        self._most = most
        self._waiting = bytearray()

    async def write(self, content: bytes) -> None:
        self._waiting += content
        if self._writer.place + len(self._waiting) > self._most:
            raise uploads.too_large(f"more than {self._most}", self._most)
        if len(self._waiting) >= WRITTEN_AT_ONCE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        content = bytes(self._waiting)
        self._waiting.clear()
        await run_in_threadpool(self._writer.write, content)


@contextlib.asynccontextmanager
async def _writing(
    upload_id: str, services: Services, caller: Principal, offset: int | None = None
) -> AsyncIterator[SegmentWriter]:
    """`receiving` from a coroutine: opening and closing write to the disk."""
    held = uploads.receiving(upload_id, services, user_id=caller.user_id, offset=offset)
    writer = await run_in_threadpool(held.__enter__)
    try:
        yield writer
    finally:
        await asyncio.shield(run_in_threadpool(held.__exit__, None, None, None))


async def _completed(
    upload_id: str, services: Services, caller: Principal, wait_seconds: float, response: Response
) -> DatasetUpload:
    """Begin what is to be done and wait for it. Raises what it fails by."""
    process = None
    if await run_in_threadpool(_complete, upload_id, services, caller):
        process = await run_in_threadpool(_start, upload_id, services)
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_seconds
    while True:
        has_ended = process is not None and process.poll() is not None
        upload = await run_in_threadpool(_read, upload_id, services, caller)
        if upload.state not in _WORKING or loop.time() >= until:
            break
        if has_ended:
            raise UnavailableError(
                "The file was received, and what was to be made of it is not made yet",
                value=upload_id,
                next_step=f"POST /api/v1/admin/training/uploads/{upload_id}/complete goes on with it",
            )
        await asyncio.sleep(LOOKED_EVERY_SECONDS)
    if upload.error is not None:
        raise error_from_record(upload.error)
    response.status_code = 201 if upload.state is UploadState.READY else 202
    return _with_offset(response, upload)


async def _require_may_extend(request: Request, name: str, services: Services, caller: Principal) -> None:
    """A dataset that is there gets another version from those only who may change it. Raises ForbiddenError."""

    def newest() -> int | None:
        with services.unit_of_work() as uow:
            return next((version.dataset_id for version in reversed(uow.datasets.of_name(name))), None)

    dataset_id = await run_in_threadpool(newest)
    if dataset_id is not None:
        await require(request, caller, ResourceKind.DATASET, "extend", dataset_id)


def _described(form: FormReader, size: int) -> UploadRequest:
    try:
        return UploadRequest.model_validate({**form.fields, "file_name": form.file_name, "size_bytes": size or None})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidRequestError(
            f"The form is not valid: {place}: {first['msg']}",
            value=str(first.get("input"))[:100],
            allowed="name: small letters, digits, . _ -; file; description: up to 2,000 characters",
            next_step=f"correct {place}",
        ) from error


def _with_offset(response: Response, upload: DatasetUpload) -> DatasetUpload:
    response.headers["Upload-Offset"] = str(upload.received_bytes)
    return upload


def _start(upload_id: str, services: Services) -> "subprocess.Popen[bytes]":
    return start_apart("finish_upload", {"upload_id": upload_id}, services, subprocess.DEVNULL)


def _present(upload_id: str, services: Services, caller: Principal) -> DatasetUpload | None:
    with contextlib.suppress(TunewayError):
        return _read(upload_id, services, caller)
    return None


def _read(upload_id: str, services: Services, caller: Principal) -> DatasetUpload:
    return uploads.read_upload(upload_id, services, user_id=caller.user_id)


def _complete(upload_id: str, services: Services, caller: Principal) -> bool:
    return uploads.complete_upload(upload_id, services, user_id=caller.user_id)


def _forget(upload_id: str, services: Services, caller: Principal) -> None:
    """Nobody can go on with it; what is being made of it goes on."""
    if _read(upload_id, services, caller).state not in {UploadState.RECEIVING, UploadState.FAILED}:
        return None
    deadline = time.monotonic() + FORGET_SECONDS
    while True:
        try:
            return uploads.remove_upload(upload_id, services, user_id=caller.user_id)
        except InProgressError:
            # the process that has just said why it failed still holds the upload
            if time.monotonic() > deadline:
                raise
            time.sleep(FORGET_POLL_SECONDS)


def _most(upload_id: str, services: Services) -> int:
    """Bytes of the whole file: as it was announced, else what is taken at all."""
    return uploads.read_upload(upload_id, services).size_bytes or uploads.most_upload_bytes(services.settings)
