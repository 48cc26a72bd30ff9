"""Connections to the control store: SQLite in a file, or PostgreSQL by URL, with the same promises.

A transaction *reads* (one snapshot, whatever others write meanwhile) or *writes* (alone: one writer over all
threads and processes, so that the audit chain is a line and what was checked still holds when it is written).
What was committed is on the disk.
"""

import fcntl
import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from upshot.errors import InputError, UnavailableError

PATIENCE = 30.0
"""Seconds that a writer waits for the others before it gives up."""

WAL_LIMIT = 4 * 2**20
"""Bytes of write-ahead log beyond which a writer copies it into the database before it leaves."""

_WRITES = "upshot_writes"
_LOCK_KEY = 0x75707368  # "upsh": names the one writer among PostgreSQL's advisory locks

_PRAGMAS = (
    "wal_autocheckpoint=0",  # checkpoints are made under the writers' lock, see `_checkpoint`
    "synchronous=FULL",  # NORMAL loses the last commits when the power fails
    "fullfsync=ON",  # on macOS fsync alone does not reach the disk; elsewhere it changes nothing
    "foreign_keys=ON",
)


def open_engine(url: str) -> Engine:
    """The store that a URL names: ``sqlite:///upshot-data/upshot.db`` or ``postgresql://user@host/name``.

    A SQLite file is made where there is none, readable by its owner only; its tables come by `migrate`.

    Raises:
        InputError: the URL names no store that can be used.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    if find_spec("psycopg") is None:
        raise InputError(f"the store {shown(url)} needs a driver: pip install 'upshot[postgresql]'")
    return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)


def sqlite_url(path: Path | str) -> str:
    """The URL of a SQLite file.

    >>> sqlite_url("upshot-data/upshot.db")
    'sqlite:///upshot-data/upshot.db'
    """
    return URL.create("sqlite", database=str(path)).render_as_string()


def shown(url: str | URL) -> str:
    """A URL as messages may show it: without its password."""
    return make_url(url).render_as_string(hide_password=True)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the store, whatever others write meanwhile.

    Raises:
        UnavailableError: the store cannot answer.
    """
    options: dict[str, Any] = {} if _file(engine) else {"isolation_level": "REPEATABLE READ"}
    with _told(engine), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes, alone; it is on the disk when the block ends, and gone when the block raises.

    Raises:
        UnavailableError: others wrote for `PATIENCE` seconds, or the store cannot write; nothing was written.
    """
    path = _file(engine)
    with _told(engine), _alone(path), engine.connect() as plain:
        connection = plain.execution_options(**{_WRITES: True})
        with connection.begin():
            if path is None:
                connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE:.0f}s'"))
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
            yield connection
        if path is not None:
            _checkpoint(connection, path)


# SQLite


def _open_sqlite(url: URL) -> Engine:
    path = _path(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise InputError(
            f"the store {path} cannot be opened ({error.strerror}): make its directory writable, or name another"
        ) from error
    _to_wal(path)
    engine = create_engine(url, connect_args={"timeout": PATIENCE})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    _leave_to_parent(engine)
    return engine


def _to_wal(path: Path) -> None:
    """Write ahead from now on, which the file remembers; two who switch at once would meet a lock."""
    try:
        with _alone(path), closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        raise UnavailableError(f"the store {path} cannot answer: {error}") from error
    except sqlite3.DatabaseError as error:
        raise InputError(
            f"the store {path} is no SQLite database ({error}): restore it from a backup, or name another"
        ) from error


def _path(url: URL) -> Path:
    if not url.database or url.database == ":memory:" or url.query:
        raise InputError(
            f"the store {shown(url)} names no file: write sqlite:///DIRECTORY/upshot.db, without options after it"
        )
    return Path(url.database)


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # `_begin` says BEGIN, so that DDL is part of transactions, too
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _leave_to_parent(engine: Engine) -> None:
    """A forked child opens connections of its own: SQLite's are of one process."""
    known = weakref.ref(engine)

    def forget() -> None:
        mine = known()
        if mine is not None:
            mine.dispose(close=False)

    os.register_at_fork(after_in_child=forget)


@contextmanager
def _alone(path: Path | None) -> Iterator[None]:
    """Hold the writers' lock of a SQLite file; PostgreSQL (None) has its own.

    SQLite's own locks would keep writers apart, too; but up to 3.51.2 a checkpoint beside a commit may lose
    commits (the WAL-reset bug), so writers and checkpoints of all processes are held apart here.
    """
    if path is None:
        yield
        return
    held = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(held, path)
        try:
            yield
        finally:
            fcntl.flock(held, fcntl.LOCK_UN)  # a child forked meanwhile has the file open, too
    finally:
        os.close(held)


def _lock(held: int, path: Path) -> None:
    until = time.monotonic() + PATIENCE
    pause = 0.0005
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise UnavailableError(
                    f"others have been writing to {path} for {PATIENCE:.0f} seconds: try again, and if it goes on "
                    "look for a stopped upshot process"
                ) from None
            time.sleep(pause)
            pause = min(pause * 1.5, 0.01)
        else:
            return


def _checkpoint(connection: Connection, path: Path) -> None:
    """Copy the write-ahead log into the database where it has grown; readers go on meanwhile."""
    try:
        size = Path(f"{path}-wal").stat().st_size
    except FileNotFoundError:
        return
    if size > WAL_LIMIT:
        raw: Any = connection.connection.driver_connection
        raw.execute("PRAGMA wal_checkpoint(PASSIVE)")  # outside of transactions, which SQLAlchemy would begin


# What goes wrong


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("sqlite", "postgresql"):
        name = parsed.get_backend_name() if parsed else "this"
        raise InputError(
            f"the store's URL cannot be used ({name} is no kind of store): write sqlite:///DIRECTORY/upshot.db or "
            "postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return parsed


def _file(engine: Engine) -> Path | None:
    """The file of a SQLite store; None where it is PostgreSQL."""
    return Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """What the database cannot do now, in one sentence; mistakes of ours stay what they are."""
    try:
        yield
    except OperationalError as error:
        raise UnavailableError(
            f"the store {shown(engine.url)} cannot answer: {_first_line(error)}"
        ) from error


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
