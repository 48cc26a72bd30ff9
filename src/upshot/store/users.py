"""Users: people who come in with a name and a password. The password's hash is kept, and shown to nobody."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from upshot.errors import ConflictError, InputError, NotFoundError
from upshot.model.access import USER_ROLES, UserRole
from upshot.store.audit import Change, record
from upshot.store.control import storable
from upshot.store.tables import SESSIONS, USERS, time_text

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may come in.

    Attributes:
        name: by which they come in, and which the audit chain has. role: what they may do.
        created_at, disabled_at: since when and until when; None: they still may.
    """

    name: str
    role: UserRole
    created_at: datetime
    disabled_at: datetime | None = None


def create(change: Change, name: str, role: str, hashed: str) -> User:
    """A new user.

    Args:
        hashed: what a password hasher made of the password.

    Raises:
        ConflictError: there is one of this name.
        InputError: the name or the role cannot be one.
    """
    name = _name(name)
    row: dict[str, Any] = {"name": name, "role": _role(role), "created_at": change.at}
    if _row(change.connection, name) is not None:
        raise ConflictError(f"there is a user {name}: take another name, or give this one another password")
    change.connection.execute(insert(USERS).values(**row, password=hashed))
    user = User(**row)
    record(change, "user.created", f"user/{name}", after=_told(user))
    return user


def set_role(change: Change, name: str, role: str) -> User:
    """Give a user another role; sessions that they have go on with it.

    Raises:
        NotFoundError: there is no such user. InputError: there is no such role, or no admin would be left.
    """
    return _changed(change, name, "user.role", role=_role(role))


def disable(change: Change, name: str) -> User:
    """The user comes in no more, and their sessions end; their name stays in the chain.

    Raises:
        NotFoundError: there is no such user. InputError: no admin would be left.
    """
    if find(change.connection, name).disabled_at is not None:
        return find(change.connection, name)
    change.connection.execute(delete(SESSIONS).where(SESSIONS.c.user_name == name))
    return _changed(change, name, "user.disabled", disabled_at=change.at)


def enable(change: Change, name: str) -> User:
    """The user may come in again, with the password from before.

    Raises:
        NotFoundError: there is no such user.
    """
    return _changed(change, name, "user.enabled", disabled_at=None)


def set_password(change: Change, name: str, hashed: str) -> User:
    """Give a user another password; all sessions that the old one opened end.

    Raises:
        NotFoundError: there is no such user.
    """
    user = find(change.connection, name)
    change.connection.execute(update(USERS).where(USERS.c.name == name).values(password=hashed))
    change.connection.execute(delete(SESSIONS).where(SESSIONS.c.user_name == name))
    record(change, "user.password", f"user/{name}")
    return user


def keep_hash(change: Change, name: str, hashed: str) -> None:
    """Keep the same password under a stronger hash; nothing that anybody decided."""
    change.connection.execute(update(USERS).where(USERS.c.name == name).values(password=hashed))


def find(connection: Connection, name: str) -> User:
    """One user.

    Raises:
        NotFoundError: there is none of this name.
    """
    row = _row(connection, name)
    if row is None:
        raise NotFoundError(f"there is no user {name}: `upshot user list` shows the names")
    return _user(row)


def with_hash(connection: Connection, name: str) -> tuple[User, str] | None:
    """A user who may come in, with the hash of the password; None where there is none such."""
    row = _row(connection, name)
    return None if row is None or row["disabled_at"] is not None else (_user(row), row["password"])


def listed(connection: Connection) -> tuple[User, ...]:
    """All users, disabled ones too, by name."""
    return tuple(_user(row) for row in connection.execute(select(USERS).order_by(USERS.c.name)).mappings())


def _changed(change: Change, name: str, action: str, **values: Any) -> User:
    before = find(change.connection, name)
    change.connection.execute(update(USERS).where(USERS.c.name == name).values(**values))
    after = find(change.connection, name)
    if after == before:
        return before
    if not any(one.role == "admin" and one.disabled_at is None for one in listed(change.connection)):
        raise InputError(f"{name} is the last admin: make another one first")
    record(change, action, f"user/{name}", before=_told(before), after=_told(after))
    return after


def _row(connection: Connection, name: str) -> RowMapping | None:
    return connection.execute(select(USERS).where(USERS.c.name == name)).mappings().one_or_none()


def _user(row: RowMapping) -> User:
    return User(**{field: row[field] for field in ("name", "role", "created_at", "disabled_at")})


def _name(name: str) -> str:
    name = storable(name.strip(), "the name")
    if not name.isprintable() or " " in name or not 0 < len(name) <= LONGEST_NAME:
        raise InputError(
            f"the name is {name!r}: give one such as ann@example.org, without blanks and of at most "
            f"{LONGEST_NAME} characters"
        )
    return name


def _role(role: str) -> str:
    if role not in USER_ROLES:
        raise InputError(f"the role is {role!r}: use one of {', '.join(USER_ROLES)}")
    return role


def _told(user: User) -> dict[str, str | None]:
    return {
        "role": user.role,
        "disabled_at": time_text(user.disabled_at) if user.disabled_at else None,
    }
