"""People and programs."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from database.models import User


class UserRepository:
    """Rows of users."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def ensure(self, username: str, role: str = "engineer") -> int:
        """The user's id; the row is made when it is not there."""
        self._session.execute(
            insert(User).values(username=username, role=role).on_conflict_do_nothing(index_elements=["username"])
        )
        return self._session.execute(select(User.id).where(User.username == username)).scalar_one()
