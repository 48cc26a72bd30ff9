"""Coming in by name and password, and what a browser shows from then on."""

import secrets

from upshot.errors import InputError, UpshotError
from upshot.services.passwords import hashed, is_weak, matches
from upshot.store import attempts, sessions, users
from upshot.store.control import ControlStore, storable
from upshot.store.users import LONGEST_NAME, User

FOR_ACCOUNT, FOR_ADDRESS = 5, 30
"""Attempts within `attempts.WINDOW` that are let through for one account, and from one address."""

_ACTOR = "upshot login"


class LoginError(UpshotError):
    """The name or the password is wrong; which of them is not told."""

    exit_code = 2
    status = 401


class LockedError(UpshotError):
    """Too many attempts failed; the right password is not taken either until `retry_after` seconds have passed."""

    exit_code = 2
    status = 429

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"too many attempts failed: try again in {retry_after} seconds, or ask an admin")


def begin(
    store: ControlStore, name: str, password: str, address: str, old: str | None = None
) -> tuple[User, str]:
    """A session of a user, and the token that opens it.

    An attempt is counted before it is known to fail: many at once get no further than one after the other.

    Args:
        address: where it comes from. old: the token that came with it, which opens nothing from then on.

    Raises:
        LoginError: the name or the password is wrong.
        LockedError: too many attempts failed, of this account or from this address.
        UnavailableError: the store cannot answer.
    """
    name = _name(name)
    account, source = f"user/{name}", f"address/{address}"
    with store.changing(_ACTOR) as change:
        wait = attempts.count(change, source, FOR_ADDRESS) or attempts.count(change, account, FOR_ACCOUNT)
    if wait:
        raise LockedError(wait)
    with store.reading() as connection:
        known = users.with_hash(connection, name)
    if not matches(password, known[1] if known else None) or known is None:
        raise LoginError("the name or the password is wrong")
    stronger = hashed(password) if is_weak(known[1]) else None
    token = secrets.token_urlsafe(32)
    with store.changing(name) as change:
        if users.with_hash(change.connection, name) != known:
            raise LoginError("the name or the password is wrong")
        attempts.forgive(change, account)
        if stronger:
            users.keep_hash(change, name, stronger)
        if old:
            sessions.end(change, old)
        sessions.begin(change, name, token)
    return known[0], token


def holder(store: ControlStore, token: str) -> User | None:
    """Whose session a token opens; None where it opens none, or none any more."""
    with store.reading() as connection:
        found = sessions.find(connection, token, store.now())
    if found is None:
        return None
    user, is_to_note = found
    if is_to_note:
        with store.changing(user.name) as change:
            sessions.note(change, token)
    return user


def end(store: ControlStore, user: str, token: str) -> None:
    """The token opens nothing any more."""
    with store.changing(user) as change:
        sessions.end(change, token)


def _name(name: str) -> str:
    try:
        return storable(name.strip()[: LONGEST_NAME + 1], "the name")
    except InputError:
        raise LoginError("the name or the password is wrong") from None
