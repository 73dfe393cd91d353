"""Accounts and their keys: made, changed, taken back. Whoever gets in is here, and every change is audited."""

import re
from datetime import timedelta

from contracts.errors import ConflictError, InvalidRequestError
from contracts.identity import (
    PLATFORM_USER,
    PROJECT_PATTERN,
    SCOPE_PATTERN,
    USERNAME_PATTERN,
    Account,
    AccountKind,
    ApiKey,
    NewAccount,
    NewApiKey,
    Role,
)
from contracts.record import utc_now
from database.unit_of_work import UnitOfWork
from security.identity.opaque_tokens import generate_key
from security.identity.passwords import hash_password, random_password, refuse_weak_password
from stages.logins import SESSION_LIFETIME
from stages.services import Services

FIRST_ADMIN = "admin"
LONGEST_KEY_LIFE = timedelta(days=366)


def ensure_first_admin(services: Services, actor: str) -> NewAccount | None:
    """The administrator with a random password, where nobody administers the platform yet; else None."""
    with services.unit_of_work() as uow:
        uow.users.lock_administration()
        if uow.users.has_admin():
            return None
        password = random_password()
        if uow.users.credentials(FIRST_ADMIN) is None:
            uow.users.add(FIRST_ADMIN, kind=AccountKind.PERSON, role=Role.ADMIN, projects=[], password_hash=None)
        uow.users.change(FIRST_ADMIN, role=Role.ADMIN, is_active=True)
        uow.users.set_password(FIRST_ADMIN, hash_password(password))
        uow.audit.append(actor, "user.added", f"user/{FIRST_ADMIN}", {"role": Role.ADMIN.value, "first": True})
        return NewAccount(account=uow.users.get(FIRST_ADMIN), password=password)


def add_account(
    username: str,
    role: Role,
    actor: str,
    services: Services,
    *,
    kind: AccountKind = AccountKind.PERSON,
    projects: list[str] | None = None,
    password: str | None = None,
) -> NewAccount:
    """A new account; a person without a password gets a random one, which is answered once.

    Raises InvalidRequestError for a name, project or password that may not be, ConflictError where the name is taken.
    """
    _refuse_name(username)
    _refuse_projects(projects or [])
    if kind is AccountKind.SERVICE and password is not None:
        raise InvalidRequestError(
            "A service account has no password", value=username, next_step="give it a key: `tuneway token create`"
        )
    chosen = random_password() if password is None and kind is AccountKind.PERSON else None
    if password is not None:
        refuse_weak_password(password, username)
    given = password or chosen
    hashed = None if given is None else hash_password(given)
    with services.unit_of_work() as uow:
        account = uow.users.add(username, kind=kind, role=role, projects=projects or [], password_hash=hashed)
        uow.audit.append(
            actor,
            "user.added",
            f"user/{username}",
            {"kind": kind.value, "role": role.value, "projects": list(projects or [])},
        )
    return NewAccount(account=account, password=chosen)


def list_accounts(services: Services) -> list[Account]:
    """Every account, by name."""
    with services.unit_of_work() as uow:
        return uow.users.all()


def grant(
    username: str,
    actor: str,
    services: Services,
    *,
    role: Role | None = None,
    projects: list[str] | None = None,
) -> Account:
    """Change what an account is and whose work it sees; at once, also for those logged in.

    Raises NotFoundError, and ConflictError where nobody would administer the platform any more.
    """
    if role is None and projects is None:
        raise InvalidRequestError(
            "There is nothing to change", value=username, allowed="a role, or projects", next_step="give one of them"
        )
    _refuse_projects(projects or [])
    with services.unit_of_work() as uow:
        before = uow.users.get(username)
        _keep_an_admin(uow, before, role=role)
        account = uow.users.change(username, role=role, projects=projects)
        uow.audit.append(
            actor,
            "user.granted",
            f"user/{username}",
            {
                "role": account.role.value,
                "projects": list(account.projects),
                "role_before": before.role.value,
                "projects_before": list(before.projects),
            },
        )
        return account


def set_active(username: str, is_active: bool, actor: str, services: Services) -> Account:
    """Let an account in, or out at once: its sessions end and its keys are refused.

    Raises NotFoundError, and ConflictError where nobody would administer the platform any more.
    """
    with services.unit_of_work() as uow:
        before = uow.users.get(username)
        if not is_active:
            _keep_an_admin(uow, before, is_active=False)
            uow.tokens.end_sessions(before.user_id, utc_now() + SESSION_LIFETIME)
        account = uow.users.change(username, is_active=is_active)
        uow.audit.append(actor, "user.enabled" if is_active else "user.disabled", f"user/{username}")
        return account


def set_password(username: str, actor: str, services: Services, password: str | None = None) -> NewAccount:
    """Another password, a random one where none is given; ends the account's sessions and takes a lock away.

    Raises NotFoundError, InvalidRequestError for a weak one or a service account.
    """
    chosen = random_password() if password is None else None
    if password is not None:
        refuse_weak_password(password, username)
    hashed = hash_password(password or chosen or "")
    with services.unit_of_work() as uow:
        account = uow.users.get(username)
        if account.kind is AccountKind.SERVICE:
            raise InvalidRequestError(
                "A service account has no password", value=username, next_step="give it a key: `tuneway token create`"
            )
        uow.users.set_password(username, hashed)
        ended = uow.tokens.end_sessions(account.user_id, utc_now() + SESSION_LIFETIME)
        uow.audit.append(actor, "user.password_set", f"user/{username}", {"sessions_ended": ended})
        return NewAccount(account=uow.users.get(username), password=chosen)


def create_key(
    username: str, name: str, scopes: list[str], lifetime: timedelta, actor: str, services: Services
) -> NewApiKey:
    """A key for a service account, readable this once.

    Raises NotFoundError, InvalidRequestError for a person's account, a scope that is none, or a life over 366 days.
    """
    if wrong := [scope for scope in scopes if not re.fullmatch(SCOPE_PATTERN, scope)] or (not scopes):
        raise InvalidRequestError(
            "A key's scopes say what it may be used for",
            value=wrong if scopes else "none",
            allowed="resource:action, where each may be *; e.g. job:read, ab_test:*",
            next_step="name at least one",
        )
    if not timedelta(minutes=1) <= lifetime <= LONGEST_KEY_LIFE:
        raise InvalidRequestError(
            "A key lives too long or too short",
            value=lifetime,
            allowed=f"one minute to {LONGEST_KEY_LIFE.days} days",
            next_step="make another one before it expires",
        )
    generated = generate_key()
    with services.unit_of_work() as uow:
        account = uow.users.get(username)
        if account.kind is not AccountKind.SERVICE:
            raise InvalidRequestError(
                "Only service accounts have keys",
                value=username,
                next_step="make one: `tuneway user add NAME --service --role ROLE`",
            )
        details = uow.api_keys.add(
            prefix=generated.prefix,
            key_hash=generated.hashed,
            user_id=account.user_id,
            name=name,
            scopes=scopes,
            expires_at=utc_now() + lifetime,
        )
        uow.audit.append(
            actor,
            "token.created",
            f"key/{generated.prefix}",
            {"user": username, "scopes": list(scopes), "expires_at": details.expires_at.isoformat()},
        )
    return NewApiKey(key=generated.text, details=details)


def list_keys(services: Services, username: str | None = None) -> list[ApiKey]:
    """Keys, newest first; of one account where it is named."""
    with services.unit_of_work() as uow:
        return uow.api_keys.all(username)


def revoke_key(prefix: str, actor: str, services: Services) -> ApiKey:
    """The key is refused from now on. Raises NotFoundError."""
    with services.unit_of_work() as uow:
        key = uow.api_keys.revoke(prefix, utc_now())
        uow.audit.append(actor, "token.revoked", f"key/{prefix}", {"user": key.username})
        return key


def _keep_an_admin(
    uow: UnitOfWork, account: Account, *, role: Role | None = None, is_active: bool | None = None
) -> None:
    if account.role is not Role.ADMIN or (is_active is not False and role in {None, Role.ADMIN}):
        return
    uow.users.lock_administration()
    if not uow.users.has_admin(beside=account.username):
        raise ConflictError(
            "Nobody would administer the platform any more",
            value=account.username,
            next_step="make somebody else an administrator first: `tuneway user grant NAME --role admin`",
        )


def may_be_named(username: str) -> bool:
    """Whether an account may have the name."""
    return re.fullmatch(USERNAME_PATTERN, username) is not None and username != PLATFORM_USER


def _refuse_name(username: str) -> None:
    if not may_be_named(username):
        raise InvalidRequestError(
            "The user name cannot be used",
            value=username[:100],
            allowed="2 to 63 small letters, digits, dots, hyphens and underscores; a letter or digit first; not "
            f"{PLATFORM_USER}, which is the platform's own",
            next_step="choose another one",
        )


def _refuse_projects(projects: list[str]) -> None:
    wrong = [project for project in projects if not re.fullmatch(PROJECT_PATTERN, project)]
    if wrong:
        raise InvalidRequestError(
            "A project's name cannot be used",
            value=wrong[0][:100],
            allowed="small letters, digits, hyphens and underscores; a letter or digit first",
            next_step="choose another one",
        )
