"""Which files count: the one place where what is kept changes, in one transaction each time.

A file that the manifest does not name does not exist, whatever lies on the disk; so a crash leaves either the state
before a change or the state after it. SQLite here runs with a rollback journal and `synchronous=EXTRA`: what a
change replaced is deleted after it, and so a committed change may never be rolled back by a power cut.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from upshot.errors import UpshotError

FORMAT = 1
_SCHEMA = """
CREATE TABLE file (
    name TEXT PRIMARY KEY, day INTEGER, bucket INTEGER, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
    first_time INTEGER NOT NULL, last_time INTEGER NOT NULL, last_arrival INTEGER NOT NULL, made_at INTEGER NOT NULL
) STRICT;
CREATE TABLE keys (name TEXT PRIMARY KEY, rows INTEGER NOT NULL) STRICT;
CREATE TABLE rejected (name TEXT PRIMARY KEY, events INTEGER NOT NULL) STRICT;
CREATE TABLE segment (name TEXT PRIMARY KEY) STRICT;
CREATE TABLE retired (name TEXT PRIMARY KEY, since INTEGER NOT NULL) STRICT;
CREATE TABLE unit (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE deletion (id BLOB PRIMARY KEY, until INTEGER NOT NULL, done INTEGER NOT NULL) STRICT;
CREATE TABLE tally (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFile:
    """A Parquet file of events.

    Attributes:
        name: in the directory of events.
        day, bucket: days since 1970 and the bucket of its units; None: as it was compacted, of all days and units.
        rows, bytes: its size.
        first_time, last_time: of its events, microseconds.
        last_arrival: the highest `arrival` of its events.
        made_at: microseconds.
    """

    name: str
    day: int | None
    bucket: int | None
    rows: int
    bytes: int
    first_time: int
    last_time: int
    last_arrival: int
    made_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """A file of keys of events."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFile:
    """A file of rejections."""

    name: str
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """That events of a unit until a time are never kept again.

    Attributes:
        id: a hash of the unit's id, so that the id itself is nowhere.
        until: microseconds. done: whether what was kept is rewritten.
    """

    id: bytes
    until: int
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changes together. Files that are added are on the disk already; those dropped may be deleted after it.

    Attributes:
        files, keys, rejected: added.
        dropped: names of files of any kind that count no more.
        segments: whose events are kept now.
        deletions: added, or replaced.
        forgotten: units whose names are deleted.
        tally: added to the counts of what happened.
    """

    files: tuple[EventFile, ...] = ()
    keys: tuple[KeyFile, ...] = ()
    rejected: tuple[RejectedFile, ...] = ()
    dropped: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    forgotten: tuple[str, ...] = ()
    tally: Mapping[str, int] = field(default_factory=dict)


class Manifest:
    """The manifest of a data directory. `open_manifest` opens it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def event_files(self) -> tuple[EventFile, ...]:
        """Parquet files, those made first before the others."""
        return tuple(
            EventFile(
                name=row[0],
                day=row[1],
                bucket=row[2],
                rows=row[3],
                bytes=row[4],
                first_time=row[5],
                last_time=row[6],
                last_arrival=row[7],
                made_at=row[8],
            )
            for row in self._connection.execute("SELECT * FROM file ORDER BY made_at, name")
        )

    def key_files(self) -> tuple[KeyFile, ...]:
        """Files of keys."""
        found = self._connection.execute("SELECT name, rows FROM keys ORDER BY name")
        return tuple(KeyFile(name=name, rows=rows) for name, rows in found)

    def rejected_files(self) -> tuple[RejectedFile, ...]:
        """Files of rejections, oldest first."""
        found = self._connection.execute("SELECT name, events FROM rejected ORDER BY name")
        return tuple(RejectedFile(name=name, events=events) for name, events in found)

    def names(self) -> frozenset[str]:
        """The names of all files that count."""
        found = "SELECT name FROM file UNION ALL SELECT name FROM keys UNION ALL SELECT name FROM rejected"
        return frozenset(name for (name,) in self._connection.execute(found))

    def segments(self) -> frozenset[str]:
        """Segments whose events are in files, and that may still lie in the log."""
        return frozenset(name for (name,) in self._connection.execute("SELECT name FROM segment"))

    def units(self) -> Iterator[str]:
        """The names of all units that have a number."""
        return (name for (name,) in self._connection.execute("SELECT name FROM unit"))

    def deletions(self) -> tuple[Deletion, ...]:
        """Units whose events are not kept."""
        found = self._connection.execute("SELECT id, until, done FROM deletion ORDER BY until, id")
        return tuple(Deletion(id=id_, until=until, done=bool(done)) for id_, until, done in found)

    def retired(self) -> dict[str, int]:
        """Files that count no more, and segments that are compacted, while somebody may still ask; since when."""
        return dict(self._connection.execute("SELECT name, since FROM retired ORDER BY name").fetchall())

    def tally(self) -> dict[str, int]:
        """Counts of what happened."""
        return dict(self._connection.execute("SELECT name, value FROM tally ORDER BY name").fetchall())

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read inside belongs together."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def numbers(self, units: Iterable[str]) -> dict[str, int]:
        """The numbers of the units that have one."""
        self._remember(units)
        return self._numbers()

    def intern(self, units: Iterable[str]) -> dict[str, int]:
        """The numbers of units; those that have none get the next ones, for ever."""
        self._remember(units)
        with self._transaction():
            self._connection.execute(
                "INSERT INTO unit (name) SELECT name FROM asked WHERE name NOT IN (SELECT name FROM unit) ORDER BY name"
            )
        return self._numbers()

    def commit(self, change: Change, now: int) -> None:
        """Make a change, durably and as a whole."""
        with self._transaction():
            run = self._connection.executemany
            run(
                "INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        f.name,
                        f.day,
                        f.bucket,
                        f.rows,
                        f.bytes,
                        f.first_time,
                        f.last_time,
                        f.last_arrival,
                        f.made_at,
                    )
                    for f in change.files
                ],
            )
            run("INSERT INTO keys VALUES (?, ?)", [(file.name, file.rows) for file in change.keys])
            run("INSERT INTO rejected VALUES (?, ?)", [(file.name, file.events) for file in change.rejected])
            for table in ("file", "keys", "rejected"):
                run(f"DELETE FROM {table} WHERE name = ?", [(name,) for name in change.dropped])  # noqa: S608
            left = (*change.dropped, *change.segments)
            run("INSERT OR REPLACE INTO retired VALUES (?, ?)", [(name, now) for name in left])
            run("INSERT INTO segment VALUES (?)", [(name,) for name in change.segments])
            run(
                "INSERT OR REPLACE INTO deletion VALUES (?, ?, ?)",
                [(deletion.id, deletion.until, deletion.done) for deletion in change.deletions],
            )
            run("DELETE FROM unit WHERE name = ?", [(name,) for name in change.forgotten])
            run(
                "INSERT INTO tally VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                list(change.tally.items()),
            )

    def forget(self, segments: Iterable[str], retired: Iterable[str]) -> None:
        """That files which counted no more are deleted."""
        with self._transaction():
            self._connection.executemany("DELETE FROM segment WHERE name = ?", [(name,) for name in segments])
            self._connection.executemany("DELETE FROM retired WHERE name = ?", [(name,) for name in retired])

    def _remember(self, units: Iterable[str]) -> None:
        self._connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS asked (name TEXT PRIMARY KEY) WITHOUT ROWID"
        )
        self._connection.execute("DELETE FROM asked")
        self._connection.executemany("INSERT OR IGNORE INTO asked VALUES (?)", ((unit,) for unit in units))

    def _numbers(self) -> dict[str, int]:
        return dict(
            self._connection.execute("SELECT name, number FROM asked JOIN unit USING (name)").fetchall()
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


@contextmanager
def open_manifest(path: Path) -> Iterator[Manifest]:
    """The manifest at a path, made where there is none.

    Raises:
        UpshotError: a newer Upshot wrote it.
    """
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        _make(connection, path)
        yield Manifest(connection)
    finally:
        connection.close()


def _make(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone() == (0,):  # no other process was first
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    elif version > FORMAT:
        raise UpshotError(f"{path} is of format {version}, and this Upshot reads {FORMAT}: use the newer one")
