"""The file of an experiment's running totals: who holds it, whether it is of this log, and what it says of itself.

It can be made again from the log at any time, and is: where it is damaged, of another format, or where events were
deleted. One holds it at a time; whoever comes meanwhile reads the log. A database that it is attached to calls it
``kept``.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import duckdb

from upshot.events.layout import DataDirectory
from upshot.events.manifest import Manifest

FORMAT = "1"


@contextmanager
def held(directory: Path, experiment: str) -> Iterator[Path | None]:
    """The file of an experiment's totals, for as long as nobody else has it; None: somebody has."""
    place = DataDirectory(directory).derived
    place.mkdir(mode=0o700, exist_ok=True)
    name = blake2b(experiment.encode(), digest_size=12).hexdigest()
    descriptor = os.open(place / f"{name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield None
    else:
        yield place / f"{name}.duckdb"
    finally:
        os.close(descriptor)


def discard(path: Path) -> None:
    """Begin afresh: what is in the file can be made again."""
    for one in (path, path.with_name(path.name + ".wal")):
        with suppress(FileNotFoundError):
            one.unlink()


class Meta:
    """What the file says of itself, by names. Made anew, with all tables gone, where it is not of this log."""

    def __init__(self, database: duckdb.DuckDBPyConnection, epoch: str) -> None:
        """
        Args:
            database: the file is attached to it. epoch: what changes where something of the past changes.
        """
        self._database = database
        if self.get("format") == FORMAT and self.get("epoch") == epoch:
            return
        named = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'kept'"
        for (name,) in database.execute(named).fetchall():
            database.execute(f'DROP TABLE kept."{name}"')
        database.execute("CREATE TABLE kept.meta (name VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)")
        self.put(format=FORMAT, epoch=epoch)

    def get(self, name: str) -> str | None:
        """None: it says nothing."""
        with suppress(duckdb.CatalogException):
            row = self._database.execute("SELECT value FROM kept.meta WHERE name = ?", [name]).fetchone()
            return None if row is None else str(row[0])
        return None

    def put(self, **values: str) -> None:
        """Say something else."""
        self._database.executemany("INSERT OR REPLACE INTO kept.meta VALUES (?, ?)", list(values.items()))

    def forget(self, prefix: str) -> None:
        """Say nothing any more of what begins so."""
        self._database.execute("DELETE FROM kept.meta WHERE starts_with(name, ?)", [prefix])


def epoch_of(manifest: Manifest) -> str:
    """What changes where events of the past are deleted."""
    deletions = [(one.id.hex(), one.until, one.done) for one in manifest.deletions()]
    return json.dumps([deletions, manifest.tally().get("expired", 0)])


@contextmanager
def transaction(database: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All that is done within, or nothing."""
    database.execute("BEGIN")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def naive(moment: datetime) -> datetime:
    """In UTC without saying so, as events have times."""
    return moment.astimezone(UTC).replace(tzinfo=None)
