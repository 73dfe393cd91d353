"""Refresh tokens in their families, and access tokens that were taken back."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from database.models import RefreshTokenRow, RevokedTokenRow, User


class RefreshUse(StrEnum):
    """What became of a refresh token that was shown."""

    GOOD = "good"
    REUSED = "reused"
    """It was used before: one of two holders has stolen it."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class UsedRefresh:
    """A refresh token that was shown; whose it is where it is known."""

    use: RefreshUse
    family: str = ""
    username: str = ""
    expires_at: datetime | None = None
    """When the login ends, however often it is refreshed."""


class TokenRepository:
    """Rows of refresh_tokens and revoked_tokens."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_refresh(self, token_hash: str, family: str, user_id: int, expires_at: datetime) -> None:
        """Store a refresh token."""
        self._session.add(RefreshTokenRow(token_hash=token_hash, family=family, user_id=user_id, expires_at=expires_at))
        self._session.flush()

    def use_refresh(self, token_hash: str, now: datetime) -> UsedRefresh:
        """Use a refresh token up. Of two at the same time one is good, the other one a reuse."""
        used = self._session.execute(
            update(RefreshTokenRow)
            .where(
                RefreshTokenRow.token_hash == token_hash,
                RefreshTokenRow.used_at.is_(None),
                RefreshTokenRow.expires_at > now,
            )
            .values(used_at=now)
            .returning(RefreshTokenRow.family, RefreshTokenRow.user_id, RefreshTokenRow.expires_at)
        ).one_or_none()
        if used is not None:
            # a session that another transaction is ending at this moment leaves its mark, though not its newest token
            use = RefreshUse.UNKNOWN if self.is_revoked(used.family) else RefreshUse.GOOD
            return UsedRefresh(use, used.family, self._username(used.user_id), used.expires_at)
        row = self._session.execute(
            select(RefreshTokenRow.family, RefreshTokenRow.user_id, RefreshTokenRow.used_at).where(
                RefreshTokenRow.token_hash == token_hash
            )
        ).one_or_none()
        if row is None or row.used_at is None:
            return UsedRefresh(RefreshUse.UNKNOWN)
        return UsedRefresh(RefreshUse.REUSED, row.family, self._username(row.user_id))

    def end_session(self, family: str, until: datetime) -> None:
        """End a login: its refresh tokens go, and whatever comes of it is refused `until` it would have ended by itself."""
        self._session.execute(delete(RefreshTokenRow).where(RefreshTokenRow.family == family))
        self.revoke(family, until)

    def end_sessions(self, user_id: int, until: datetime) -> int:
        """End every login of a user; how many there were."""
        families = (
            self._session.execute(select(RefreshTokenRow.family).where(RefreshTokenRow.user_id == user_id).distinct())
            .scalars()
            .all()
        )
        for family in families:
            self.end_session(family, until)
        return len(families)

    def revoke(self, token_id: str, expires_at: datetime) -> None:
        """Refuse an access token by its `jti` (or a session's by their `sid`) until then."""
        self._session.execute(
            insert(RevokedTokenRow)
            .values(token_id=token_id, expires_at=expires_at)
            .on_conflict_do_nothing(index_elements=["token_id"])
        )

    def is_revoked(self, *token_ids: str) -> bool:
        """One of them was taken back."""
        query = select(RevokedTokenRow.token_id).where(RevokedTokenRow.token_id.in_(token_ids)).limit(1)
        return self._session.execute(query).first() is not None

    def forget_expired(self, now: datetime) -> None:
        """Remove what would be refused anyway."""
        self._session.execute(delete(RefreshTokenRow).where(RefreshTokenRow.expires_at < now))
        self._session.execute(delete(RevokedTokenRow).where(RevokedTokenRow.expires_at < now))

    def _username(self, user_id: int) -> str:
        return self._session.execute(select(User.username).where(User.id == user_id)).scalar_one()
