"""The archive of learnings, with full-text search: FTS5 in SQLite, a text-search index in PostgreSQL.

Both search the same words: letters and digits in lower case without accents, split at all else, brought to their
stems by each database. Learnings are written once and never changed.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, text

from upshot.errors import InputError, NotFoundError
from upshot.formats.values import read_value, write_value
from upshot.model.learning import Learning
from upshot.store.audit import Change, record
from upshot.store.control import storable
from upshot.store.tables import LEARNINGS

_STOPPED = """
    a an and are as at be because been but by did do does for from had has have if in into is it its no not of on or our
    so than that the their them then there these they this to was we were what when which who will with
"""
_STOP_WORDS = frozenset(_STOPPED.split())
"""Words that one database looks for and the other does not; nobody means them."""


def add(change: Change, learning: Learning) -> Learning:
    """Keep a learning, as of the time and by the actor of the change.

    Raises:
        InputError: it says nothing, or what cannot be kept.
    """
    if not learning.text.strip():
        raise InputError("the learning says nothing: write what was learnt")
    number = _next(change.connection)
    kept = replace(learning, id=number, at=change.at, actor=change.actor)
    body = storable(write_value(kept), "the learning")
    words = " ".join(_words(_searched(kept)))
    row = {"id": number, "experiment": kept.experiment, "at": change.at, "body": body, "words": words}
    change.connection.execute(insert(LEARNINGS).values(**row))
    if change.connection.dialect.name == "sqlite":
        change.connection.execute(_INDEXED, {"id": number, "words": words})
    record(change, "learning.added", f"learning/{number}", after=body)
    return kept


def find(connection: Connection, number: int) -> Learning:
    """One learning.

    Raises:
        NotFoundError: there is no such learning.
    """
    row = connection.execute(select(LEARNINGS).where(LEARNINGS.c.id == number)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"there is no learning {number}: `upshot learnings list` names them")
    return _learning(row)


def listed(connection: Connection, experiment: str | None = None) -> tuple[Learning, ...]:
    """All learnings, or those of one experiment, the newest first."""
    query = select(LEARNINGS).order_by(LEARNINGS.c.id.desc())
    if experiment is not None:
        query = query.where(LEARNINGS.c.experiment == experiment)
    return tuple(_learning(row) for row in connection.execute(query).mappings())


def search(connection: Connection, asked: str, limit: int = 20) -> tuple[Learning, ...]:
    """The learnings that have all the words that are asked for, in some form of them, the best first.

    Raises:
        InputError: no word is asked for.
    """
    words = [word for word in _words(asked) if word not in _STOP_WORDS]
    if not words:
        raise InputError(f"{asked!r} has no word to look for: name some, such as onboarding retention")
    is_sqlite = connection.dialect.name == "sqlite"
    wanted = " ".join(f'"{word}"' for word in words) if is_sqlite else " ".join(words)
    query = _SQLITE if is_sqlite else _POSTGRESQL
    rows = connection.execute(query, {"wanted": wanted, "limit": limit}).mappings().all()
    return tuple(_learning(row) for row in rows)


def _next(connection: Connection) -> int:
    last: int | None = connection.execute(select(func.max(LEARNINGS.c.id))).scalar_one()
    return (last or 0) + 1


def _learning(row: Mapping[str, Any] | RowMapping) -> Learning:
    return read_value(Learning, row["body"])


# Search

_INDEXED = text("INSERT INTO learning_words (rowid, words) VALUES (:id, :words)")
_SQLITE = text(
    "SELECT body FROM learning_words JOIN learnings ON learnings.id = learning_words.rowid "
    "WHERE learning_words MATCH :wanted ORDER BY bm25(learning_words), learnings.id DESC LIMIT :limit"
)
_POSTGRESQL = text(
    "SELECT body FROM learnings, plainto_tsquery('english', :wanted) AS wanted "
    "WHERE to_tsvector('english', words) @@ wanted "
    "ORDER BY ts_rank(to_tsvector('english', words), wanted) DESC, id DESC LIMIT :limit"
)


def _searched(learning: Learning) -> str:
    named = (
        learning.experiment,
        learning.name,
        learning.hypothesis,
        learning.type or "",
        learning.verdict or "",
    )
    metrics = (effect.metric for effect in learning.effects)
    return " ".join((*named, *learning.tags, learning.text, *metrics))


def _words(written: str) -> list[str]:
    bare = unicodedata.normalize("NFKD", written.casefold())
    plain = "".join(letter for letter in bare if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", plain)
