"""Calls that start something, each under the key that its caller gave it."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.record import JsonObject
from database.models import IdempotencyKey


@dataclass(frozen=True, slots=True)
class CallUnderKey:
    """What is known of the call."""

    fingerprint: str
    answer: JsonObject | None
    """None: it has not been answered."""


class IdempotencyKeyRepository:
    """Rows of idempotency_keys."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def note(self, user_id: int, key: str, fingerprint: str) -> CallUnderKey:
        """The call of that key, which is this one where the key is new."""
        self._session.execute(
            insert(IdempotencyKey)
            .values(user_id=user_id, key=key, fingerprint=fingerprint)
            .on_conflict_do_nothing(index_elements=["user_id", "key"])
        )
        row = self._session.execute(
            select(IdempotencyKey.fingerprint, IdempotencyKey.answer).where(*_named(user_id, key))
        ).one()
        return CallUnderKey(row.fingerprint, row.answer)

    def hold(self, user_id: int, key: str) -> CallUnderKey | None:
        """The call, held until the transaction's end; None where another transaction holds it, or it is gone."""
        query = select(IdempotencyKey.fingerprint, IdempotencyKey.answer).where(*_named(user_id, key))
        row = self._session.execute(query.with_for_update(skip_locked=True)).one_or_none()
        return None if row is None else CallUnderKey(row.fingerprint, row.answer)

    def answer(self, user_id: int, key: str, answer: JsonObject) -> None:
        """What every further call under the key is answered."""
        self._session.execute(update(IdempotencyKey).where(*_named(user_id, key)).values(answer=answer))

    def forget(self, user_id: int, key: str) -> None:
        """Nothing was done under the key."""
        self._session.execute(delete(IdempotencyKey).where(*_named(user_id, key)))

    def forget_older(self, age: timedelta) -> None:
        """Drop keys noted so long ago, but those that somebody holds."""
        old = select(IdempotencyKey.user_id, IdempotencyKey.key).where(IdempotencyKey.created_at < func.now() - age)
        found = self._session.execute(old.limit(1000).with_for_update(skip_locked=True)).all()
        for user_id, key in found:
            self.forget(user_id, key)


def _named(user_id: int, key: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return IdempotencyKey.user_id == user_id, IdempotencyKey.key == key
