"""The runner's HTTP door."""

import secrets
from typing import TYPE_CHECKING, Annotated

from fastapi import Body, Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse

from contracts.errors import (
    CapacityError,
    ConflictError,
    InvalidDataError,
    InvalidRequestError,
    NotFoundError,
    TunewayError,
    UnavailableError,
)
from contracts.jobs import JOB_KEY_PATTERN, JobSubmission, JobView, LogChunk
from contracts.record import JsonObject
from runner.service import RunnerService
from stages.call_log import CallLog
from storage.exposition import CONTENT_TYPE
from storage.job_state import read_log

if TYPE_CHECKING:
    from stages.span_export import Tracer

STATUS_OF_ERROR: dict[type[TunewayError], int] = {
    InvalidRequestError: 422,
    NotFoundError: 404,
    ConflictError: 409,
    InvalidDataError: 500,
    CapacityError: 507,
    UnavailableError: 503,
}


class _UnauthorisedError(TunewayError):
    code = "unauthorised"


def create_app(service: RunnerService, token: str, tracer: "Tracer | None" = None) -> FastAPI:
    """The application over a service. Every path but /health and /metrics asks for the bearer token."""
    app = FastAPI(title="Tuneway runner", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(CallLog, reads=False, tracer=tracer)

    def check_token(authorization: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise _UnauthorisedError(
                "The runner's token is missing or wrong",
                allowed="Authorization: Bearer <token>",
                next_step="read it from secrets/runner_token in the data folder",
            )

    guarded = [Depends(check_token)]

    @app.exception_handler(TunewayError)
    async def _error(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, TunewayError)
        status = 401 if isinstance(error, _UnauthorisedError) else STATUS_OF_ERROR.get(type(error), 500)
        return JSONResponse(error.as_record(), status_code=status)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        invalid = InvalidRequestError(
            f"The request is not valid: {first['msg']}",
            value=".".join(str(part) for part in first["loc"]),
            next_step="correct this field",
        )
        return JSONResponse(invalid.as_record(), status_code=422)

    def key_is_safe(job_key: str) -> str:
        import re

        if not re.fullmatch(JOB_KEY_PATTERN, job_key):
            raise InvalidRequestError("The job's key is not valid", value=job_key, allowed=JOB_KEY_PATTERN)
        return job_key

    key = Annotated[str, Depends(key_is_safe)]

    @app.get("/health")
    def health() -> JsonObject:
        """Alive, and how busy."""
        return service.health()

    @app.get("/metrics")
    def metrics() -> PlainTextResponse:
        """For Prometheus: counts and times, no names and no words."""
        return PlainTextResponse(service.metrics(), media_type=CONTENT_TYPE)

    @app.post("/jobs", dependencies=guarded)
    def submit(submission: JobSubmission) -> JobView:
        """Accept a job, or a further attempt at it."""
        return service.submit(submission)

    @app.get("/jobs", dependencies=guarded)
    def views() -> list[JobView]:
        """Every job."""
        return service.views()

    @app.get("/jobs/{job_key}", dependencies=guarded)
    def view(job_key: key) -> JobView:
        """One job."""
        return service.view(job_key)

    @app.get("/jobs/{job_key}/log", dependencies=guarded)
    def log(
        job_key: key,
        offset: Annotated[int, Query(ge=0)] = 0,
        attempt: Annotated[int | None, Query(ge=1)] = None,
    ) -> LogChunk:
        """Output of an attempt from a byte offset on; the newest attempt where none is given."""
        return read_log(service.folder(job_key), offset, attempt)

    @app.get("/jobs/{job_key}/result", dependencies=guarded)
    def result(job_key: key) -> JsonObject:
        """The job's record."""
        return service.result(job_key)

    @app.post("/jobs/{job_key}/stop", dependencies=guarded)
    def stop(job_key: key, attempt: Annotated[int, Body(ge=1, embed=True)]) -> JobView:
        """Ask this attempt, and no other, to end."""
        return service.stop(job_key, attempt)

    return app
