"""People and programs."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.errors import ConflictError, NotFoundError
from contracts.identity import Account, AccountKind, Role
from contracts.lists import ListRequest, Page
from database.models import User
from database.repositories.paging import Column, read_page


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a login compares."""

    account: Account
    password_hash: str | None


class UserRepository:
    """Rows of users."""

    SORTED_BY: ClassVar[dict[str, Column]] = {
        "username": User.username,
        "created_at": User.created_at,
        "role": User.role,
    }

    def __init__(self, session: Session) -> None:
        self._session = session

    def ensure(self, username: str, role: Role = Role.VIEWER) -> int:
        """The user's id; the row is made when it is not there."""
        self._session.execute(
            insert(User).values(username=username, role=role.value).on_conflict_do_nothing(index_elements=["username"])
        )
        return self._session.execute(select(User.id).where(User.username == username)).scalar_one()

    def add(
        self, username: str, *, kind: AccountKind, role: Role, projects: list[str], password_hash: str | None
    ) -> Account:
        """A new account. Raises ConflictError where the name is taken."""
        made = self._session.execute(
            insert(User)
            .values(username=username, kind=kind.value, role=role.value, projects=projects, password_hash=password_hash)
            .on_conflict_do_nothing(index_elements=["username"])
            .returning(User.id)
        ).scalar_one_or_none()
        if made is None:
            raise ConflictError(
                "There is an account of that name already",
                value=username,
                next_step="choose another name, or change that account: `tuneway user grant`",
            )
        return self.get(username)

    def get(self, username: str) -> Account:
        """The account. Raises NotFoundError."""
        found = self.credentials(username)
        if found is None:
            raise NotFoundError("There is no such account", value=username, next_step="see `tuneway user list`")
        return found.account

    def credentials(self, username: str) -> Credentials | None:
        """The account with its password's hash; None where there is no such account."""
        row = self._session.execute(
            select(User).where(User.username == username).execution_options(populate_existing=True)
        ).scalar_one_or_none()
        return None if row is None else Credentials(_record(row), row.password_hash)

    def of_external(self, external_id: str) -> str | None:
        """The name of the account that belongs to a person of the site's provider."""
        return self._session.execute(select(User.username).where(User.external_id == external_id)).scalar_one_or_none()

    def link(self, username: str, external_id: str) -> None:
        """The account belongs to this person of the site's provider from now on."""
        self._session.execute(update(User).where(User.username == username).values(external_id=external_id))

    def all(self) -> list[Account]:
        """Every account, by name."""
        return [_record(row) for row in self._session.execute(select(User).order_by(User.username)).scalars()]

    def page(
        self,
        listing: ListRequest,
        *,
        role: Role | None = None,
        kind: AccountKind | None = None,
        is_active: bool | None = None,
    ) -> Page[Account]:
        """The accounts of that kind."""
        query = select(User)
        if role is not None:
            query = query.where(User.role == role.value)
        if kind is not None:
            query = query.where(User.kind == kind.value)
        if is_active is not None:
            query = query.where(User.is_active == is_active)
        return read_page(self._session, query, listing, self.SORTED_BY, User.id, _record)

    def has_admin(self, beside: str = "") -> bool:
        """Somebody, or somebody else than `beside`, may administer the platform and can log in."""
        query = select(User.id).where(
            User.role == Role.ADMIN.value, User.is_active, User.password_hash.is_not(None), User.username != beside
        )
        return self._session.execute(query.limit(1)).first() is not None

    def count_failure(self, username: str, limit: int, locked_until: datetime) -> bool:
        """Count a wrong password; at the limit the account is locked and the count begins anew. True: it is locked now."""
        reached = User.failed_logins + 1 >= limit
        row = self._session.execute(
            update(User)
            .where(User.username == username)
            .values(
                failed_logins=case((reached, 0), else_=User.failed_logins + 1),
                locked_until=case((reached, locked_until), else_=User.locked_until),
            )
            .returning(User.locked_until)
        ).scalar_one_or_none()
        return row == locked_until

    def accept_login(self, username: str, verified_hash: str, new_hash: str | None = None) -> bool:
        """A right password: nothing is counted any more. False where the password was changed meanwhile.

        With a new hash, that one is stored instead of the one that was verified.
        """
        accepted = self._session.execute(
            update(User)
            .where(User.username == username, User.password_hash == verified_hash, User.is_active)
            .values(failed_logins=0, locked_until=None, password_hash=new_hash or verified_hash)
            .returning(User.id)
        ).one_or_none()
        return accepted is not None

    def set_password(self, username: str, password_hash: str) -> None:
        """Store another password's hash, and take a lock away."""
        self._session.execute(
            update(User)
            .where(User.username == username)
            .values(failed_logins=0, locked_until=None, password_hash=password_hash)
        )

    def change(
        self,
        username: str,
        *,
        role: Role | None = None,
        projects: list[str] | None = None,
        is_active: bool | None = None,
    ) -> Account:
        """The account with what is given changed. Raises NotFoundError."""
        given = {"role": None if role is None else role.value, "projects": projects, "is_active": is_active}
        values = {name: value for name, value in given.items() if value is not None}
        if values:
            self._session.execute(update(User).where(User.username == username).values(values))
        return self.get(username)

    def lock_administration(self) -> None:
        """Until the end of the transaction no other one changes who administers the platform."""
        self._session.execute(select(func.pg_advisory_xact_lock(0x7477_6164)))


def _record(row: User) -> Account:
    # not validated: a name from before today's rules stays readable
    return Account.model_construct(
        user_id=row.id,
        username=row.username,
        kind=AccountKind(row.kind),
        # an unknown word is not somebody's right to anything
        role=Role(row.role) if row.role in set(Role) else Role.VIEWER,
        projects=list(row.projects),
        is_active=row.is_active,
        locked_until=row.locked_until,
        created_at=row.created_at,
    )
