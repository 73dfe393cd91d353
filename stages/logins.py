"""Logging in, staying logged in, and telling who makes a call."""

import hmac
import secrets
from datetime import datetime, timedelta
from functools import cache

from contracts.errors import TooManyRequestsError, UnauthorizedError
from contracts.identity import AccountKind, Principal, TokenPair
from contracts.record import utc_now
from database.repositories.api_keys import StoredKey
from database.repositories.tokens import RefreshUse
from database.repositories.users import Credentials
from database.unit_of_work import UnitOfWork
from security.identity.access_tokens import LEEWAY, LIFETIME, AccessTokens, refused
from security.identity.opaque_tokens import generate_refresh_token, hash_token, key_prefix
from security.identity.passwords import hash_password, needs_rehash, random_password, verify_password
from security.limits.addresses import bucket_of
from settings import SecretName, Settings, read_secret
from stages.services import Services

MOST_FAILURES = 5
LOCKED_FOR = timedelta(minutes=15)
SESSION_LIFETIME = timedelta(hours=12)
"""A working day; after it the password is asked for again, however often the login was refreshed."""


LOGIN_PERIOD_SECONDS = 60.0


def count_login(address: str, services: Services) -> None:
    """One more attempt from this address, at whichever door. Raises TooManyRequestsError with the seconds to wait."""
    with services.unit_of_work() as uow:
        bucket = f"login:{bucket_of(address)}"
        wait = uow.limits.hit(bucket, services.settings.logins_per_minute, LOGIN_PERIOD_SECONDS)
    if wait > 0:
        raise TooManyRequestsError("This address logs in too often", value=round(wait) + 1)


def open_tokens(settings: Settings) -> AccessTokens:
    """What signs and verifies this installation's access tokens. Raises NotFoundError before the first `tuneway up`."""
    return AccessTokens(read_secret(settings.secrets_dir, SecretName.TOKEN_KEY))


def log_in(username: str, password: str, tokens: AccessTokens, services: Services, *, source: str = "") -> TokenPair:
    """A new session. Raises UnauthorizedError, the same one for an unknown name, a wrong password and a locked account.

    `source`: the address that the attempt came from, for the audit trail.
    """
    stored = confirm_password(username, password, services, source=source)
    renewed = hash_password(password) if needs_rehash(stored) else None
    with services.unit_of_work() as uow:
        if not uow.users.accept_login(username, stored, renewed):
            raise wrong_login()
        return open_session(uow, username, tokens, source=source, by="password")


def open_session(uow: UnitOfWork, username: str, tokens: AccessTokens, *, source: str, by: str) -> TokenPair:
    """A new session of somebody who has proved who they are; `by`: how, for the audit trail."""
    now = utc_now()
    uow.tokens.forget_expired(now)
    session_id = secrets.token_hex(16)
    pair = _issue(uow, username, session_id, now + SESSION_LIFETIME, tokens, now)
    uow.audit.append(username, "login.accepted", f"session/{session_id}", {"source": source, "by": by})
    return pair


def confirm_password(username: str, password: str, services: Services, *, source: str = "") -> str:
    """The stored hash that the password belongs to. Raises UnauthorizedError as `log_in` does, and counts the failure."""
    now = utc_now()
    with services.unit_of_work() as uow:
        found = uow.users.credentials(username)
    why = _why_closed(found, now)
    stored = None if found is None else found.password_hash
    # one hash is computed in any case: the time taken tells nothing
    is_right = verify_password(password, stored or _nobodys_hash())
    if stored is None or why is not None or not is_right:
        _record_refusal(found, why or "wrong password", source, now, services)
        raise wrong_login()
    return stored


def refresh(refresh_token: str, tokens: AccessTokens, services: Services, *, source: str = "") -> TokenPair:
    """New tokens of the same session for a refresh token, which is used up.

    Raises UnauthorizedError; for one that was used before, after ending the session: one of two holders stole it.
    """
    now = utc_now()
    with services.unit_of_work() as uow:
        used = uow.tokens.use_refresh(hash_token(refresh_token), now)
        if used.use is RefreshUse.GOOD:
            found = uow.users.credentials(used.username)
            if found is not None and found.account.is_active and used.expires_at is not None:
                return _issue(uow, used.username, used.family, used.expires_at, tokens, now)
        if used.use is RefreshUse.REUSED:
            uow.tokens.end_session(used.family, now + SESSION_LIFETIME)
            uow.audit.append(used.username, "login.refresh_reused", f"session/{used.family}", {"source": source})
    raise UnauthorizedError(
        "The refresh token is not good",
        value=used.use.value,
        allowed="the newest one of a session that has not ended",
        next_step="log in again",
    )


def log_out(principal: Principal, services: Services) -> None:
    """End the caller's session with all its tokens. Does nothing for a key."""
    if principal.session_id is None:
        return
    with services.unit_of_work() as uow:
        uow.tokens.end_session(principal.session_id, utc_now() + SESSION_LIFETIME)
        uow.audit.append(principal.username, "login.ended", f"session/{principal.session_id}")


def revoke_access(token: str, actor: str, tokens: AccessTokens, services: Services) -> str:
    """Take one access token back by its `jti`, which is answered; its session goes on. Raises UnauthorizedError."""
    claims = tokens.verify(token)
    with services.unit_of_work() as uow:
        uow.tokens.revoke(claims.token_id, claims.expires_at + LEEWAY)
        uow.audit.append(actor, "token.revoked", f"access/{claims.token_id}")
    return claims.token_id


def identify(bearer: str, tokens: AccessTokens, services: Services) -> Principal:
    """Who shows this access token or key, with role and projects as the database has them now.

    Raises UnauthorizedError for whatever is not good, revoked, expired, or of an account that was disabled.
    """
    prefix = key_prefix(bearer)
    with services.unit_of_work() as uow:
        return _by_token(bearer, tokens, uow) if prefix is None else _by_key(bearer, prefix, uow)


def still_admitted(username: str, services: Services, *, session_id: str | None = None, key: str = "") -> Principal:
    """Who was let in earlier, by a session or by the key of this prefix, as the database has them now.

    Raises UnauthorizedError where the session has ended, the key is revoked or has expired, or the account is disabled.
    """
    now = utc_now()
    with services.unit_of_work() as uow:
        if key:
            return _by_known_key(uow.api_keys.find(key), uow, now)
        found = uow.users.credentials(username)
        if session_id is None or found is None or not found.account.is_active or uow.tokens.is_revoked("", session_id):
            raise refused("revoked")
        return _principal(found, "", session_id=session_id)


def principal_named(username: str, services: Services) -> Principal | None:
    """The account of that name as one who acts, for what it set going earlier; None where there is none."""
    with services.unit_of_work() as uow:
        found = uow.users.credentials(username)
        return None if found is None else _principal(found, "")


def wrong_login() -> UnauthorizedError:
    """The one answer to every login that fails."""
    return UnauthorizedError(
        "User name or password are wrong, or the account is locked",
        allowed=f"{MOST_FAILURES} wrong passwords lock an account for {LOCKED_FOR.total_seconds() / 60:.0f} minutes",
        next_step="try again later, or have a new password set: `tuneway user set-password`",
    )


def _by_token(bearer: str, tokens: AccessTokens, uow: UnitOfWork) -> Principal:
    claims = tokens.verify(bearer)
    found = uow.users.credentials(claims.username)
    if found is None or not found.account.is_active or uow.tokens.is_revoked(claims.token_id, claims.session_id):
        raise refused("revoked")
    return _principal(found, claims.token_id, session_id=claims.session_id)


def _by_key(bearer: str, prefix: str, uow: UnitOfWork) -> Principal:
    now = utc_now()
    key = uow.api_keys.find(prefix)
    if key is None or not hmac.compare_digest(key.key_hash, hash_token(bearer)):
        raise refused("unknown key")
    principal = _by_known_key(key, uow, now)
    uow.api_keys.record_use(prefix, now)
    return principal


def _by_known_key(key: StoredKey | None, uow: UnitOfWork, now: datetime) -> Principal:
    found = None if key is None else uow.users.credentials(key.details.username)
    if (
        key is None
        or key.details.revoked_at is not None
        or key.details.expires_at <= now
        or found is None
        or not found.account.is_active
    ):
        raise refused("the key is revoked or has expired")
    return _principal(found, key.details.prefix, scopes=key.details.scopes)


def _principal(
    found: Credentials, token_id: str, *, session_id: str | None = None, scopes: list[str] | None = None
) -> Principal:
    account = found.account
    return Principal(
        user_id=account.user_id,
        username=account.username,
        kind=account.kind,
        role=account.role,
        projects=account.projects,
        scopes=scopes,
        token_id=token_id,
        session_id=session_id,
    )


def _issue(
    uow: UnitOfWork, username: str, session_id: str, session_ends: datetime, tokens: AccessTokens, now: datetime
) -> TokenPair:
    account = uow.users.get(username)
    refresh_token = generate_refresh_token()
    uow.tokens.add_refresh(hash_token(refresh_token), session_id, account.user_id, session_ends)
    return TokenPair(
        access_token=tokens.issue(username, account.role.value, account.projects, session_id, now),
        expires_in=int(LIFETIME.total_seconds()),
        refresh_token=refresh_token,
        refresh_expires_in=int((session_ends - now).total_seconds()),
    )


def _why_closed(found: Credentials | None, now: datetime) -> str | None:
    if found is None:
        return "unknown name"
    account = found.account
    if account.kind is not AccountKind.PERSON or found.password_hash is None:
        return "no password"
    if not account.is_active:
        return "disabled"
    if account.locked_until is not None and account.locked_until > now:
        return "locked"
    return None


def _record_refusal(found: Credentials | None, why: str, source: str, now: datetime, services: Services) -> None:
    # a name that does not exist may be a password in the wrong field
    name = "unknown" if found is None else found.account.username
    with services.unit_of_work() as uow:
        locked = why == "wrong password" and uow.users.count_failure(name, MOST_FAILURES, now + LOCKED_FOR)
        uow.audit.append(name, "login.refused", f"user/{name}", {"why": why, "source": source, "locked": locked})


@cache
def _nobodys_hash() -> str:
    return hash_password(random_password())
