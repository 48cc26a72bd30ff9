"""The audit chain: a row for each change, written in the change's own transaction and chained by hash.

A row's hash covers all its columns and the hash of the row before; the head, kept apart, covers the last row, so
that cutting rows off the end is found, too. Somebody who rewrites the whole chain and the head is found by comparing
the head with one that was noted elsewhere (`upshot audit verify --head`).
"""

import hashlib
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, insert, select, update
from sqlalchemy.exc import DBAPIError

from upshot.formats.canonical import canonical_json
from upshot.store.tables import AUDIT, AUDIT_HEAD, time_text

START = "sha256:" + "0" * 64
"""What the first row follows."""

_HASHED = [column.name for column in AUDIT.columns if column.name != "hash"]
_HEAD_ID = 1
_HEAD = select(AUDIT_HEAD.c.number, AUDIT_HEAD.c.hash).where(AUDIT_HEAD.c.id == _HEAD_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A transaction that changes the store: all of it happens, with its audit rows, or nothing.

    Attributes:
        connection: the open transaction.
        at: when. actor: who. reason: why; may be empty.
    """

    connection: Connection
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of the chain.

    Attributes:
        number: from 1 on, without gaps.
        at, actor, reason: when, who and why.
        action: what was done, as ``key.created``. subject: to what, as ``key/7f3a9c1e02b4``.
        before, after: JSON of it before and after; None where there was nothing.
        previous, hash: of the row before and of this one.
    """

    number: int
    at: str
    actor: str
    action: str
    subject: str
    before: str | None
    after: str | None
    reason: str
    previous: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a walk over the chain found.

    Attributes:
        rows: rows that follow from each other, from the first on. head: the hash of the last of them.
        broken: what is wrong with the next one, in a sentence; None where the chain is whole.
    """

    rows: int
    head: str
    broken: str | None = None


def record(
    change: Change, action: str, subject: str, *, before: object | None = None, after: object | None = None
) -> None:
    """Add a row to the chain.

    Args:
        change: the transaction in which it happens.
        action, subject: as of `Entry`.
        before, after: plain values, or JSON texts as they are stored; None: there was nothing.
    """
    number, previous = _head(change.connection)
    row: dict[str, Any] = {
        "number": number + 1,
        "at": time_text(change.at),
        "actor": change.actor,
        "action": action,
        "subject": subject,
        "before": _json(before),
        "after": _json(after),
        "reason": change.reason,
        "previous": previous,
    }
    digest = _digest(row)
    change.connection.execute(insert(AUDIT).values(**row, hash=digest))
    _move_head(change.connection, number + 1, digest)


def entries(
    connection: Connection, *, subject: str | None = None, limit: int = 100, before: int | None = None
) -> tuple[Entry, ...]:
    """The last rows, or the last before a number, the oldest first; ``subject`` is whole or a kind, as ``key/``."""
    query = select(AUDIT).order_by(AUDIT.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(AUDIT.c.number < before)
    if subject is not None:
        is_kind = subject.endswith("/")
        matches = (
            AUDIT.c.subject.startswith(subject, autoescape=True) if is_kind else AUDIT.c.subject == subject
        )
        query = query.where(matches)
    rows = connection.execute(query).mappings().all()
    return tuple(Entry(**row) for row in reversed(rows))


def verify(connection: Connection, noted: str | None = None) -> Verified:
    """Walk the whole chain; any edit of any row, of its order or of its end is found.

    Args:
        noted: a head that was noted elsewhere earlier; it must be in the chain.
    """
    number, previous, seen = 0, START, noted is None
    with closing(_rows(connection)) as rows:
        for row in rows:
            broken = _broken(row, number + 1, previous)
            if row is None or broken:
                return Verified(rows=number, head=previous, broken=broken)
            number, previous = number + 1, row["hash"]
            seen = seen or previous == noted
    return Verified(rows=number, head=previous, broken=_broken_end(connection, number, previous, seen))


def _rows(connection: Connection) -> Generator[RowMapping | None, None, None]:
    """Each row in order; None for one that the driver cannot read, which ends them."""
    query = select(AUDIT).order_by(AUDIT.c.number)
    last = 0
    try:
        with connection.execute(query.execution_options(yield_per=500)) as result:
            for row in result.mappings():
                last = row["number"]
                yield row
    except DBAPIError:  # one of several that were read at once
        yield from _one_by_one(connection, query.limit(1), last)


def _one_by_one(connection: Connection, query: Select[Any], last: int) -> Iterator[RowMapping | None]:
    try:
        while (row := connection.execute(query.where(AUDIT.c.number > last)).mappings().first()) is not None:
            last = row["number"]
            yield row
    except DBAPIError:
        yield None


def _broken(row: RowMapping | None, number: int, previous: str) -> str | None:
    if row is None:
        return f"row {number} cannot be read"
    if row["number"] != number:
        return f"row {number} is missing: row {row['number']} follows row {number - 1}"
    if row["previous"] != previous:
        return f"row {number} does not follow row {number - 1}: it names another row before it"
    columns = {name: row[name] for name in _HASHED}
    is_text = all(isinstance(value, str | None) for name, value in columns.items() if name != "number")
    if not is_text or row["hash"] != _digest(columns):
        return f"row {number} was edited: its columns give another hash than the one it has"
    return None


def _broken_end(connection: Connection, number: int, last: str, seen: bool) -> str | None:
    try:
        head = _head(connection)
    except DBAPIError:
        return "the head of the chain cannot be read"
    if head != (number, last):
        return f"the chain ends at row {number}, and its head speaks of row {head[0]}: rows or the head were edited"
    return (
        None
        if seen
        else "the head that was noted is not in this chain: it was written anew from somewhere before"
    )


def _digest(row: dict[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(canonical_json(row).encode(errors="surrogatepass")).hexdigest()


def _json(value: object | None) -> str | None:
    return value if value is None or isinstance(value, str) else canonical_json(value)


def _head(connection: Connection) -> tuple[int, str]:
    row = connection.execute(_HEAD).one_or_none()
    return (row.number, row.hash) if row else (0, START)


def _move_head(connection: Connection, number: int, digest: str) -> None:
    if number == 1:
        connection.execute(insert(AUDIT_HEAD).values(id=_HEAD_ID, number=number, hash=digest))
    else:
        connection.execute(
            update(AUDIT_HEAD).where(AUDIT_HEAD.c.id == _HEAD_ID).values(number=number, hash=digest)
        )
