"""Our errors as problem details (RFC 9457) with the four parts. The only place where errors become status codes."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from contracts.errors import (
    CapacityError,
    ConflictError,
    ForbiddenError,
    InProgressError,
    InvalidDataError,
    InvalidRequestError,
    NotFoundError,
    TooLargeError,
    TooManyRequestsError,
    TunewayError,
    UnauthorizedError,
    UnavailableError,
)
from serving_api.problem_details import MEDIA_TYPE, problem_details

STATUS_CODES: dict[type[TunewayError], int] = {
    TooLargeError: 413,
    InvalidRequestError: 422,
    InvalidDataError: 422,
    NotFoundError: 404,
    ConflictError: 409,
    CapacityError: 507,
    UnavailableError: 503,
    UnauthorizedError: 401,
    ForbiddenError: 403,
    TooManyRequestsError: 429,
}


class Problem(BaseModel):
    """What every error of the admin API looks like."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """`urn:tuneway:error:` and the code."""
    title: str
    """What failed."""
    status: int
    detail: str
    """All parts in one sentence."""
    code: str
    what: str
    value: str | None
    allowed: str
    next_step: str
    retryable: bool


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a call, for its OpenAPI."""
    return {status: {"model": Problem} for status in statuses}


def status_of(error: TunewayError) -> int:
    """The status code of the nearest class in the table; 500 for what is not in it."""
    return next((STATUS_CODES[kind] for kind in type(error).__mro__ if kind in STATUS_CODES), 500)


def problem(error: TunewayError, status: int | None = None, retry_after_seconds: int | None = None) -> JSONResponse:
    """The error as an answer."""
    status = status or status_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if retry_after_seconds is not None:
        headers["Retry-After"] = str(retry_after_seconds)
    return JSONResponse(problem_details(error, status), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _with_media_type(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI with the media type that problems are sent under."""
    for path in document["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                content = response.get("content", {})
                for media_type, described in list(content.items()):
                    if described.get("schema", {}).get("$ref", "").endswith(f"/{Problem.__name__}"):
                        content[MEDIA_TYPE] = content.pop(media_type)
    return document


def install_problem_details(app: FastAPI) -> None:
    """Every error of the application leaves as problem details, and its OpenAPI says so."""
    described = app.openapi
    app.openapi = lambda: _with_media_type(described())  # type: ignore[method-assign]

    @app.exception_handler(TunewayError)
    async def _ours(_: Request, error: TunewayError) -> JSONResponse:
        return problem(error, retry_after_seconds=1 if isinstance(error, InProgressError) else None)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        # a password in the wrong place is not repeated
        value = None if request.url.path.startswith("/api/v1/auth/") else first.get("input")
        place = ".".join(str(part) for part in first["loc"])
        return problem(
            InvalidRequestError(
                f"The request is not valid: {place}: {first['msg']}",
                value=value,
                allowed="see /docs",
                next_step=f"correct {place}",
            )
        )

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:
            # the framework's only one: bytes that are no text, or numbers that no JSON has
            return problem(
                InvalidRequestError(
                    "The body cannot be read",
                    value=f"{request.method} {request.url.path}",
                    allowed="JSON in UTF-8 (RFC 8259)",
                    next_step="correct the body",
                )
            )
        kind = NotFoundError if error.status_code == 404 else InvalidRequestError
        return problem(
            kind(
                str(error.detail),
                value=f"{request.method} {request.url.path}",
                allowed="see /docs",
                next_step="check method and path",
            ),
            error.status_code,
        )
