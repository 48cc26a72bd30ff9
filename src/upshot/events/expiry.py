"""What was received before a moment, gone: events, rejected messages, and the names of units that have no event left.

Each file is replaced in one transaction of the manifest, so a crash leaves some files done and the others as they were,
and doing it again does the rest. Keys stay: what was forgotten and is sent again is known, and is not new.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from upshot.events.compaction import alone, clean, compact, now, write_events
from upshot.events.layout import DataDirectory, existing
from upshot.events.manifest import Change, EventFile, Manifest, RejectedFile, open_manifest
from upshot.events.message import Rejection
from upshot.events.rejected import read_rejections, without
from upshot.events.table import SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What was removed: events, rejected messages, and units of which nothing is left."""

    events: int = 0
    rejections: int = 0
    units: int = 0


def is_due(directory: Path, before: int) -> bool:
    """Whether anything that is in files was received before a moment.

    Raises:
        InputError: there is no such directory.
    """
    place = existing(directory)
    with open_manifest(place.manifest) as manifest:
        names = [str(place.events / file.name) for file in manifest.event_files() if file.first_time < before]
        rejected = manifest.rejected_files()
    if any(
        _received(one, file) < before
        for file in rejected
        for one in read_rejections(place.rejected / file.name)
    ):
        return True
    if not names:
        return False
    with duckdb.connect(":memory:") as database:
        database.read_parquet(names).create_view("old")
        asked = "SELECT 1 FROM old WHERE epoch_us(received_at) < ? LIMIT 1"
        return database.execute(asked, [before]).fetchone() is not None


def expire(directory: Path, before: int) -> Expired:
    """Remove what was received before a moment (microseconds), for good; nothing that came later is touched.

    Raises:
        InputError: there is no such directory. ConflictError: a compaction runs. OSError: the disk does not take it;
            doing it again does the rest.
    """
    place = existing(directory)
    compact(directory)
    with alone(place), open_manifest(place.manifest) as manifest:
        old = [file for file in manifest.event_files() if file.first_time < before]
        events = sum(_rewrite(place, manifest, file, before) for file in old)
        rejections = sum(_reject(place, manifest, file, before) for file in manifest.rejected_files())
        units = _forget(place, manifest)
        clean(place, manifest)
        if events:
            for derived in place.derived.glob("*.duckdb*"):  # it can be made again
                derived.unlink(missing_ok=True)
    return Expired(events=events, rejections=rejections, units=units)


def _rewrite(place: DataDirectory, manifest: Manifest, file: EventFile, before: int) -> int:
    """Replace a file by one of what came later; how many events that leaves out. An event is received no sooner than it
    happened, so a file of later events needs no look."""
    with duckdb.connect(":memory:") as database:
        database.read_parquet(str(place.events / file.name)).create_view("one")
        left = (
            database.execute("SELECT * FROM one WHERE epoch_us(received_at) >= ?", [before])
            .to_arrow_table()
            .cast(SCHEMA)
        )
    gone: int = file.rows - left.num_rows
    if gone:
        written = (
            (write_events(left, place.events, day=file.day, bucket=file.bucket),) if left.num_rows else ()
        )
        manifest.commit(Change(files=written, dropped=(file.name,), tally={"expired": gone}), now())
    return gone


def _reject(place: DataDirectory, manifest: Manifest, file: RejectedFile, before: int) -> int:
    """Replace a file of rejections by one of those that came later; how many that leaves out."""
    found = list(read_rejections(place.rejected / file.name))
    left = [one for one in found if _received(one, file) >= before]
    if len(left) < len(found):
        manifest.commit(without(place, file, left), now())
    return len(found) - len(left)


def _received(one: Rejection, file: RejectedFile) -> int:
    """When it came; of damaged bytes that is unknown, and they count as when their file was made."""
    return one.received_at or int(file.name.partition("-")[0]) // 1_000


def _forget(place: DataDirectory, manifest: Manifest) -> int:
    """Delete the names of units that no file knows; how many they were. One that comes again gets another number."""
    files = [str(place.events / file.name) for file in manifest.event_files()]
    names = set(manifest.units()) - _units(files)
    manifest.commit(Change(forgotten=tuple(names)), now())
    return len(names)


def _units(files: Sequence[str]) -> set[str]:
    if not files:
        return set()
    with duckdb.connect(":memory:") as database:
        database.read_parquet(list(files)).create_view("kept")
        return {unit for (unit,) in database.execute("SELECT DISTINCT unit FROM kept").fetchall()}
