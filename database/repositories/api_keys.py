"""Keys of service accounts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from contracts.errors import NotFoundError
from contracts.identity import ApiKey
from contracts.lists import ListRequest, Page
from database.models import ApiKeyRow, User
from database.repositories.paging import Column, read_page

USE_RECORDED_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with the hash that proves it."""

    details: ApiKey
    key_hash: str


class ApiKeyRepository:
    """Rows of api_keys."""

    SORTED_BY: ClassVar[dict[str, Column]] = {
        "created_at": ApiKeyRow.created_at,
        "expires_at": ApiKeyRow.expires_at,
        "name": ApiKeyRow.name,
    }

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, *, prefix: str, key_hash: str, user_id: int, name: str, scopes: list[str], expires_at: datetime
    ) -> ApiKey:
        """Store a key by its hash."""
        self._session.add(
            ApiKeyRow(
                prefix=prefix, key_hash=key_hash, user_id=user_id, name=name, scopes=scopes, expires_at=expires_at
            )
        )
        self._session.flush()
        return self.get(prefix).details

    def find(self, prefix: str) -> StoredKey | None:
        """The key of that prefix, whatever its state."""
        row = self._session.execute(
            select(ApiKeyRow, User.username)
            .join(User, User.id == ApiKeyRow.user_id)
            .where(ApiKeyRow.prefix == prefix)
            .execution_options(populate_existing=True)
        ).one_or_none()
        return None if row is None else StoredKey(_record(row[0], row[1]), row[0].key_hash)

    def get(self, prefix: str) -> StoredKey:
        """The key of that prefix. Raises NotFoundError."""
        found = self.find(prefix)
        if found is None:
            raise NotFoundError("There is no such key", value=prefix, next_step="see `tuneway token list`")
        return found

    def all(self, username: str | None = None) -> list[ApiKey]:
        """Keys, newest first; of one account where it is named."""
        query = select(ApiKeyRow, User.username).join(User, User.id == ApiKeyRow.user_id)
        if username is not None:
            query = query.where(User.username == username)
        rows = self._session.execute(query.order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.prefix))
        return [_record(row, owner) for row, owner in rows]

    def page(self, listing: ListRequest, *, username: str | None = None) -> Page[ApiKey]:
        """Keys, of one account where it is named."""
        query = select(ApiKeyRow, User.username).join(User, User.id == ApiKeyRow.user_id)
        if username is not None:
            query = query.where(User.username == username)
        return read_page(self._session, query, listing, self.SORTED_BY, ApiKeyRow.prefix, _record)

    def good(self, now: datetime) -> list[StoredKey]:
        """Keys of active accounts that are neither revoked nor expired."""
        query = (
            select(ApiKeyRow, User.username)
            .join(User, User.id == ApiKeyRow.user_id)
            .where(ApiKeyRow.revoked_at.is_(None), ApiKeyRow.expires_at > now, User.is_active)
        )
        return [StoredKey(_record(row, owner), row.key_hash) for row, owner in self._session.execute(query)]

    def revoke(self, prefix: str, now: datetime) -> ApiKey:
        """The key is not good any more; a second time changes nothing. Raises NotFoundError."""
        self._session.execute(
            update(ApiKeyRow).where(ApiKeyRow.prefix == prefix, ApiKeyRow.revoked_at.is_(None)).values(revoked_at=now)
        )
        return self.get(prefix).details

    def record_use(self, prefix: str, now: datetime) -> None:
        """Note that the key is in use; once an hour, so that a call costs no write."""
        self._session.execute(
            update(ApiKeyRow)
            .where(
                ApiKeyRow.prefix == prefix,
                or_(ApiKeyRow.last_used_at.is_(None), ApiKeyRow.last_used_at < now - USE_RECORDED_EVERY),
            )
            .values(last_used_at=now)
        )


def _record(row: ApiKeyRow, username: str) -> ApiKey:
    return ApiKey(
        prefix=row.prefix,
        username=username,
        name=row.name,
        scopes=list(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
