"""Who acts, in which role, and by which proof."""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from contracts.record import Record

USERNAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{1,62}$"
PLATFORM_USER = "tuneway"
"""Airflow's user for what the platform itself triggers; no account may have its name."""
PROJECT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
SCOPE_PATTERN = r"^(\*|[a-z_]+):(\*|[a-z_]+)$"


class Role(StrEnum):
    """What somebody is on this platform; the policies say what they may do."""

    ADMIN = "admin"
    ML_ENGINEER = "ml_engineer"
    ANALYST = "analyst"
    VIEWER = "viewer"


class AccountKind(StrEnum):
    """Who is behind an account."""

    PERSON = "person"
    SERVICE = "service"
    """A program: it has keys and no password."""


class Account(Record):
    """One account, without anything secret."""

    user_id: int
    username: str = Field(pattern=USERNAME_PATTERN)
    kind: AccountKind
    role: Role
    projects: list[str] = []
    """A person sees and changes what members of a common project made."""
    is_active: bool = True
    locked_until: AwareDatetime | None = None
    """Too many wrong passwords: until then no password is accepted."""
    created_at: AwareDatetime


class Principal(Record):
    """Who makes a call, as of this moment in the database."""

    user_id: int
    username: str
    kind: AccountKind
    role: Role
    projects: list[str] = []
    scopes: list[str] | None = None
    """What the key may be used for, `resource:action`; None: all that the role may."""
    token_id: str
    """The access token's `jti`, or the key's prefix."""
    session_id: str | None = None
    """The family of the refresh token with which a person is logged in; None for keys."""


class ApiKey(Record):
    """A service account's key, without the key."""

    prefix: str
    """Its public part, by which it is named."""
    username: str
    name: str
    scopes: list[str]
    created_at: AwareDatetime
    expires_at: AwareDatetime
    revoked_at: AwareDatetime | None = None
    last_used_at: AwareDatetime | None = None
    """To the hour."""


class NewApiKey(Record):
    """A key at the only moment when it can be read."""

    key: str
    details: ApiKey


class NewAccount(Record):
    """An account just made, with the password where the platform chose it."""

    account: Account
    password: str | None = None


class TokenPair(Record):
    """What a login or a refresh answers."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int
    """Seconds."""
    refresh_token: str
    """Good for one refresh; used a second time, it ends the whole session."""
    refresh_expires_in: int
    """Seconds."""
