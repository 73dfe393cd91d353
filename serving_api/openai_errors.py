"""Errors of /v1 in OpenAI's shape."""

import orjson

RETRY_AFTER_S = 2
"""After which a breaker has let a question through again."""


class RequestError(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        message: str,
        kind: str,
        code: str,
        param: str | None = None,
        *,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        wait_s = RETRY_AFTER_S if retry_after_s is None and status == 503 else retry_after_s
        self.status = status
        self.body = orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})
        self.headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
            *([] if wait_s is None else [(b"retry-after", str(wait_s).encode())]),
        ]


def invalid(message: str, param: str | None = None, status: int = 400) -> RequestError:
    """The request cannot be read or is not allowed."""
    return RequestError(status, message, "invalid_request_error", "invalid_request", param)


def unavailable() -> RequestError:
    """No server of the model answers."""
    return RequestError(
        503,
        "The model server does not answer at the moment; try again in a minute",
        "server_error",
        "upstream_unavailable",
    )


def broken_off() -> bytes:
    """An event for the middle of a stream, after which nothing comes."""
    error = {"message": "The answer broke off", "type": "server_error", "code": "upstream_broken"}
    return b"\n\ndata: " + orjson.dumps({"error": error}) + b"\n\n"
