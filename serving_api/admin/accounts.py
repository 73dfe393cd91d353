"""Accounts and keys over HTTP: what `tuneway user` and `tuneway token` do."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from contracts.access import ResourceKind
from contracts.identity import Account, AccountKind, ApiKey, NewAccount, NewApiKey, Role
from contracts.lists import ListRequest, Page
from database.repositories.api_keys import ApiKeyRepository
from database.repositories.users import UserRepository
from serving_api.admin.lists import listed_by
from serving_api.authentication import Caller, ServicesParameter, no_store
from serving_api.permissions import permit
from serving_api.problems import problem_responses
from stages import accounts


class AccountRequest(BaseModel):
    """A new account; a person gets a random password, which the answer shows once."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(min_length=1, max_length=100)
    role: Role = Role.VIEWER
    kind: AccountKind = AccountKind.PERSON
    projects: list[str] = Field(default=[], max_length=100)


class AccountChange(BaseModel):
    """What is given is changed."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    projects: list[str] | None = Field(default=None, max_length=100)
    is_active: bool | None = None


class KeyRequest(BaseModel):
    """A new key of a service account; the answer shows it once."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(min_length=1, max_length=100)
    name: str = Field(min_length=1, max_length=255)
    scopes: list[str] = Field(min_length=1, max_length=100)
    days: float = Field(default=90, gt=0, le=366)


router = APIRouter(
    prefix="/api/v1/admin",
    tags=["accounts"],
    responses=problem_responses(401, 403, 404, 409, 422, 429, 503),
    dependencies=[Depends(no_store)],
)


@router.get("/users", dependencies=[permit(ResourceKind.USER, "read")])
def list_users(
    services: ServicesParameter,
    listing: Annotated[ListRequest, listed_by(UserRepository.SORTED_BY, "username")],
    role: Role | None = None,
    kind: AccountKind | None = None,
    is_active: bool | None = None,
) -> Page[Account]:
    """Accounts, by name."""
    with services.unit_of_work() as uow:
        return uow.users.page(listing, role=role, kind=kind, is_active=is_active)


@router.post("/users", status_code=201, dependencies=[permit(ResourceKind.USER, "create")])
def add_user(services: ServicesParameter, caller: Caller, request: AccountRequest) -> NewAccount:
    """Make an account."""
    return accounts.add_account(
        request.username, request.role, caller.username, services, kind=request.kind, projects=request.projects
    )


@router.patch("/users/{username}", dependencies=[permit(ResourceKind.USER, "update")])
def change_user(services: ServicesParameter, caller: Caller, username: str, change: AccountChange) -> Account:
    """Change role, projects, or whether the account is let in; at once, also for those logged in."""
    if change.is_active is None or change.role is not None or change.projects is not None:
        account = accounts.grant(username, caller.username, services, role=change.role, projects=change.projects)
        if change.is_active is None:
            return account
    return accounts.set_active(username, change.is_active, caller.username, services)


@router.post("/users/{username}/password", dependencies=[permit(ResourceKind.USER, "update")])
def reset_password(services: ServicesParameter, caller: Caller, username: str) -> NewAccount:
    """Give a person a random password, shown once; their sessions end and a lock goes away."""
    return accounts.set_password(username, caller.username, services)


@router.get("/tokens", dependencies=[permit(ResourceKind.TOKEN, "read")])
def list_tokens(
    services: ServicesParameter,
    listing: Annotated[ListRequest, listed_by(ApiKeyRepository.SORTED_BY)],
    username: str | None = None,
) -> Page[ApiKey]:
    """Keys without the keys themselves, newest first."""
    with services.unit_of_work() as uow:
        return uow.api_keys.page(listing, username=username)


@router.post("/tokens", status_code=201, dependencies=[permit(ResourceKind.TOKEN, "create")])
def create_token(services: ServicesParameter, caller: Caller, request: KeyRequest) -> NewApiKey:
    """Make a key for a service account."""
    lifetime = timedelta(days=request.days)
    return accounts.create_key(request.username, request.name, request.scopes, lifetime, caller.username, services)


@router.delete("/tokens/{prefix}", dependencies=[permit(ResourceKind.TOKEN, "revoke")])
def revoke_token(services: ServicesParameter, caller: Caller, prefix: str) -> ApiKey:
    """Refuse a key from now on; a second time changes nothing."""
    return accounts.revoke_key(prefix, caller.username, services)
