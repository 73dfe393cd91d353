"""Files that a browser sends to the datasets page, in parts: written into encrypted segments as they arrive.

Streamlit's own uploads would lie in clear in the temporary folder and then whole in memory. Of these one part is in
memory at a time, and a file that was cut short goes on where it ended.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

from contracts.errors import ConflictError, InvalidRequestError, NotFoundError, TunewayError, UnauthorizedError
from contracts.uploads import UploadRequest
from dashboard.sessions import cookie_name
from dashboard.visits import LOOPBACK, Visit
from dashboard.writing import begin_upload, take_part
from data_prep.imports.inbox import dataset_name_of
from security.limits.addresses import client_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from contracts.uploads import DatasetUpload
    from stages.services import Services

UPLOADS = "/uploads"
PART_BYTES = 8 << 20
"""Half a second at 16 MB/s: the bar moves, and a broken connection costs no more than that."""
REQUEST_BYTES = 10_000


def routes(services: Callable[[], Services]) -> list[Route]:
    """What the page's script calls. The guard has let through those only who are logged in."""

    async def begin(request: Request) -> Response:
        return await _answered(request, services, REQUEST_BYTES, _begin)

    async def part(request: Request) -> Response:
        return await _answered(request, services, PART_BYTES, _take_part)

    return [
        Route(UPLOADS, begin, methods=["POST"]),
        Route(f"{UPLOADS}/{{upload_id:str}}", part, methods=["PATCH"]),
    ]


async def _answered(
    request: Request,
    services: Callable[[], Services],
    most_bytes: int,
    work: Callable[[Visit, Request, bytes], DatasetUpload],
) -> Response:
    """How far the upload is, or the error's parts."""
    if urlsplit(request.headers.get("origin", "")).netloc != request.headers.get("host"):
        return JSONResponse({"what": "Another site sent this"}, 403)
    declared = request.headers.get("content-length", "")
    if not declared.isdigit() or not 0 < int(declared[:12]) <= most_bytes:
        return JSONResponse({"what": "The part has no length, or a larger one than is taken at once"}, 413)
    body = await request.body()
    try:
        visit = await run_in_threadpool(_visit, request, services)
        upload = await run_in_threadpool(work, visit, request, body)
    except TunewayError as error:
        return JSONResponse(error.as_record(), _status(error))
    return JSONResponse({"upload_id": upload.upload_id, "received_bytes": upload.received_bytes})


def _begin(visit: Visit, _: Request, body: bytes) -> DatasetUpload:
    try:
        asked = json.loads(body)
        file_name, size = str(asked["file_name"]), int(asked["size_bytes"])
        # the same file chosen again goes on where it ended; UploadRequest does not hold when it was changed
        modified = str(asked["modified"])[:20]
        wanted = UploadRequest(name=_proposed_name(file_name), file_name=file_name, size_bytes=size)
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise InvalidRequestError(
            "This is no file that can be sent",
            value=body[:200].decode(errors="replace"),
            allowed="a name of up to 200 characters without control characters or slashes, and at least one byte",
            next_step="rename the file and choose it again",
        ) from error
    told = f"{visit.principal.user_id}\0{file_name}\0{size}\0{modified}"
    return begin_upload(visit, wanted, sha256(told.encode()).hexdigest()[:32])


def _take_part(visit: Visit, request: Request, body: bytes) -> DatasetUpload:
    offset = request.headers.get("upload-offset", "")
    if not offset.isdigit():
        raise InvalidRequestError("The part does not say where it begins", value=offset[:50], allowed="Upload-Offset")
    return take_part(visit, str(request.path_params["upload_id"]), int(offset[:16]), body)


def _visit(request: Request, services: Callable[[], Services]) -> Visit:
    opened = services()
    peer = LOOPBACK if request.client is None else request.client.host
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    return Visit(
        opened.settings,
        session=request.cookies.get(cookie_name(opened), ""),
        address=client_address(peer, forwarded, opened.settings.trusted_proxies),
    )


def _proposed_name(file_name: str) -> str:
    """Until a person names the dataset."""
    try:
        return dataset_name_of(Path(file_name))
    except InvalidRequestError:
        return "unnamed"


def _status(error: TunewayError) -> int:
    """What the page's script tells apart: log in again, begin again, send on from elsewhere, try again, give up."""
    for kind, status in ((UnauthorizedError, 401), (NotFoundError, 404), (ConflictError, 409)):
        if isinstance(error, kind):
            return status
    return 503 if error.retryable else 422
