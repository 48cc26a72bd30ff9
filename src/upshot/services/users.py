"""Users: made, changed and disabled by those who may; nobody is there before a command makes them."""

import secrets

from upshot.services.passwords import hashed
from upshot.store import attempts, users
from upshot.store.control import ControlStore
from upshot.store.users import User

__all__ = ["User", "create", "disable", "enable", "find", "listed", "set_password", "set_role"]


def create(
    store: ControlStore, name: str, role: str, password: str | None = None, *, actor: str, reason: str = ""
) -> tuple[User, str]:
    """A new user and their password.

    Args:
        password: None: a random one is made, to be shown once.

    Raises:
        ConflictError: there is one of this name.
        InputError: a name, a role or a password cannot be one.
    """
    given = password or secrets.token_urlsafe(16)
    with store.changing(actor, reason) as change:
        return users.create(change, name, role, hashed(given, name)), given


def set_password(
    store: ControlStore, name: str, password: str | None = None, *, actor: str, reason: str = ""
) -> tuple[User, str]:
    """Another password, which is given back; all sessions of the user end, and who was locked out may try again.

    Raises:
        NotFoundError: there is no such user. InputError: the password cannot be one.
    """
    given = password or secrets.token_urlsafe(16)
    made = hashed(given, name)
    with store.changing(actor, reason) as change:
        attempts.forgive(change, f"user/{name}")
        return users.set_password(change, name, made), given


def set_role(store: ControlStore, name: str, role: str, *, actor: str, reason: str = "") -> User:
    """Give a user another role.

    Raises:
        NotFoundError: there is no such user. InputError: there is no such role, or no admin would be left.
    """
    with store.changing(actor, reason) as change:
        return users.set_role(change, name, role)


def disable(store: ControlStore, name: str, *, actor: str, reason: str = "") -> User:
    """The user comes in no more, at once.

    Raises:
        NotFoundError: there is no such user. InputError: no admin would be left.
    """
    with store.changing(actor, reason) as change:
        return users.disable(change, name)


def enable(store: ControlStore, name: str, *, actor: str, reason: str = "") -> User:
    """The user may come in again.

    Raises:
        NotFoundError: there is no such user.
    """
    with store.changing(actor, reason) as change:
        return users.enable(change, name)


def find(store: ControlStore, name: str) -> User:
    """One user.

    Raises:
        NotFoundError: there is none of this name.
    """
    with store.reading() as connection:
        return users.find(connection, name)


def listed(store: ControlStore) -> tuple[User, ...]:
    """All users, by name."""
    with store.reading() as connection:
        return users.listed(connection)
