"""Sessions of users: what a browser shows instead of a password, for a while.

A token is 32 random bytes, kept as its SHA-256, as keys are (`upshot.store.keys`). Moments are of the store's clock.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, or_, select, update

from upshot.store.audit import Change, record
from upshot.store.keys import digest
from upshot.store.tables import SESSIONS, USERS
from upshot.store.users import User

IDLE = timedelta(hours=12)
"""A session that nobody uses for so long ends."""
LONGEST = timedelta(days=7)
"""Every session ends after so long, however it is used."""
NOTED = timedelta(minutes=5)
"""How far what is kept of a session's last use may be behind."""


def begin(change: Change, user: str, token: str) -> None:
    """A session of a user, opened by a token; those that have ended are swept away."""
    ended = or_(SESSIONS.c.seen < change.at - IDLE, SESSIONS.c.began < change.at - LONGEST)
    change.connection.execute(delete(SESSIONS).where(ended))
    row = {"digest": digest(token), "user_name": user, "began": change.at, "seen": change.at}
    change.connection.execute(insert(SESSIONS).values(**row))
    record(change, "session.began", f"user/{user}")


def end(change: Change, token: str) -> None:
    """The token opens nothing any more."""
    row = change.connection.execute(select(SESSIONS).where(SESSIONS.c.digest == digest(token))).one_or_none()
    if row is not None:
        change.connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == row.digest))
        record(change, "session.ended", f"user/{row.user_name}")


def find(connection: Connection, token: str, now: datetime) -> tuple[User, bool] | None:
    """Whose session a token opens, and whether its use is to be noted; None where it opens none."""
    query = (
        select(SESSIONS.c.began, SESSIONS.c.seen, USERS)
        .join(USERS, SESSIONS.c.user_name == USERS.c.name)
        .where(SESSIONS.c.digest == digest(token), USERS.c.disabled_at.is_(None))
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None or now - row["seen"] >= IDLE or now - row["began"] >= LONGEST:
        return None
    user = User(name=row["name"], role=row["role"], created_at=row["created_at"])
    return user, now - row["seen"] >= NOTED


def note(change: Change, token: str) -> None:
    """Note that a session is used; nothing that anybody decided."""
    query = update(SESSIONS).where(SESSIONS.c.digest == digest(token))
    change.connection.execute(query.values(seen=change.at))
