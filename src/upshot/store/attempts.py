"""Attempts to come in that failed, counted by account and by address, so that nobody can go on guessing."""

from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import delete, insert, select, update

from upshot.store.audit import Change, record
from upshot.store.tables import ATTEMPTS

WINDOW = timedelta(minutes=15)
"""After the first of the failures that count; then all are forgotten."""


def count(change: Change, who: str, most: int) -> int:
    """Count an attempt, before it is known whether it fails.

    Args:
        who: an account or an address, as ``user/ann``. most: attempts in `WINDOW` that are let through.

    Returns:
        Seconds until the next is; 0: this one is.
    """
    change.connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.began <= change.at - WINDOW))
    mine = ATTEMPTS.c.who == who
    row = change.connection.execute(select(ATTEMPTS).where(mine)).one_or_none()
    if row is None:
        change.connection.execute(insert(ATTEMPTS).values(who=who, tries=1, began=change.at))
        return 0
    if row.tries <= most:
        change.connection.execute(update(ATTEMPTS).where(mine).values(tries=row.tries + 1))
    if row.tries == most:  # the chain hears of it once
        record(change, "login.locked", who)
    return 0 if row.tries < most else _left(row.began, change.at)


def forgive(change: Change, who: str) -> None:
    """Forget the attempts of somebody who came in, or got another password."""
    change.connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.who == who))


def _left(began: datetime, now: datetime) -> int:
    return max(ceil((began + WINDOW - now).total_seconds()), 1)
