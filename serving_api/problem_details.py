"""An error as problem details (RFC 9457) with the four parts, without a framework."""

from typing import Any

from contracts.errors import TunewayError

MEDIA_TYPE = "application/problem+json"


def problem_details(error: TunewayError, status: int) -> dict[str, Any]:
    """The body of the answer."""
    return {
        "type": f"urn:tuneway:error:{error.code}",
        "title": error.what,
        "status": status,
        "detail": error.sentence(),
        **error.as_record(),
    }
