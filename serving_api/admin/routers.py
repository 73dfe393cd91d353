"""What the endpoints of every resource of the admin API share."""

from fastapi import APIRouter, Depends

from serving_api.authentication import principal_of
from serving_api.problems import problem_responses

PREFIX = "/api/v1/admin"


def admin_router(tag: str) -> APIRouter:
    """A resource's router: nobody enters unknown, and the errors of every call are in its OpenAPI."""
    return APIRouter(
        prefix=PREFIX,
        tags=[tag],
        dependencies=[Depends(principal_of)],
        responses=problem_responses(401, 403, 422, 429, 503),
    )
