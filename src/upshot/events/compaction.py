"""Sealed segments become Parquet: every event once, and a crash at any step changes nothing that counts.

Files are written whole and synced, then one transaction of the manifest makes them count and their segments not,
then the segments are deleted. What a crash leaves over is deleted at the next start.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import time_ns

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from upshot.errors import ConflictError
from upshot.events.disk import sync_directory, written_whole
from upshot.events.intake import Intake, read_segments
from upshot.events.keys import Keys, as_keys, save_keys
from upshot.events.layout import DataDirectory, existing, new_name
from upshot.events.manifest import Change, EventFile, KeyFile, Manifest, open_manifest
from upshot.events.recovery import recover
from upshot.events.rejected import write_rejections
from upshot.events.segment import SEALED, sealed_segments
from upshot.events.table import ORDER, to_table

AT_ONCE = 64 << 20
"""Bytes of segments that are compacted in one go."""

GRACE = 600_000_000
"""Microseconds for which a file that was replaced can still be read by who began before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a compaction did.

    Attributes:
        segments, events: that were taken.
        duplicates: events that were kept already. deleted: events of deleted units.
        rejected: messages that are no events. damaged: bytes that nothing could be made of.
        torn: bytes of unfinished writes of processes that died.
    """

    segments: int = 0
    events: int = 0
    duplicates: int = 0
    deleted: int = 0
    rejected: int = 0
    damaged: int = 0
    torn: int = 0

    def __add__(self, other: "Report") -> "Report":
        fields = self.__dataclass_fields__
        return Report(**{name: getattr(self, name) + getattr(other, name) for name in fields})


def compact(directory: Path) -> Report:
    """Compact all that is sealed, of living and dead processes.

    Raises:
        InputError: there is no such directory. ConflictError: another process is at it. OSError: the disk does not
            take it; what was done stays done.
    """
    place = existing(directory)
    with alone(place):
        report = Report(torn=sum(found.torn for found in recover(place.log)))
        with open_manifest(place.manifest) as manifest:
            if report.torn:
                manifest.commit(Change(tally={"torn": report.torn}), now())
            clean(place, manifest)
            for segments in _batches(sealed_segments(place.log)):
                report += _compact(place, manifest, segments)
                clean(place, manifest)
    return report


@contextmanager
def alone(place: DataDirectory) -> Iterator[None]:
    """Only one process at a time changes what is kept.

    Raises:
        InputError: there is no such directory. ConflictError: another process is at it.
    """
    descriptor = os.open(place.path / "compaction.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConflictError(
            f"another process is compacting {place.path}: try again when it is done"
        ) from None
    finally:
        os.close(descriptor)


def clean(place: DataDirectory, manifest: Manifest, *, grace: int | None = None) -> None:
    """Delete what does not count: segments that are compacted, files that were replaced, what a crash left over.

    Args:
        grace: microseconds for which replaced files of events stay for who reads them; None: `GRACE`.
    """
    counted = manifest.names()
    retired = manifest.retired()
    kept = counted | {name for name, since in retired.items() if since > now() - _grace(name, grace)}
    compacted = manifest.segments()
    _delete(place.log, [path for path in sealed_segments(place.log) if path.name in compacted])
    for files in (place.events, place.rejected):
        _delete(files, [path for path in files.iterdir() if path.name not in kept])
    if compacted or retired.keys() - kept:
        manifest.forget(compacted, retired.keys() - kept)


def _grace(name: str, grace: int | None) -> int:
    """How long a replaced file stays, and the name of a segment; keys and names say nothing about anybody, so that they
    need not go sooner."""
    return GRACE if grace is None or name.endswith((".keys", SEALED)) else grace


def _delete(directory: Path, paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    if paths:
        sync_directory(directory)


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for path in paths:
        if batch and size + path.stat().st_size > AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += path.stat().st_size
    if batch:
        yield batch


def _compact(place: DataDirectory, manifest: Manifest, segments: Sequence[Path]) -> Report:
    key_paths = [place.events / file.name for file in manifest.key_files()]
    intake = read_segments((path.read_bytes() for path in segments), key_paths, manifest.deletions())
    report = Report(
        segments=len(segments),
        events=len(intake.events),
        duplicates=intake.duplicates,
        deleted=intake.deleted,
        rejected=len(intake.rejections),
        damaged=intake.damaged,
    )
    written = _written(place, manifest, intake)
    names = tuple(path.name for path in segments)
    manifest.commit(replace(written, segments=names, tally=_tally(report)), now())
    return report


def _written(place: DataDirectory, manifest: Manifest, intake: Intake) -> Change:
    """Files for what is new, on the disk and not counting yet."""
    change = Change()
    if intake.events:
        events = tuple(intake.events.values())
        numbers = manifest.intern({event.unit for event in events})
        arrival = manifest.tally().get("segments", 0) + 1
        table = to_table(events, numbers, arrival).sort_by(ORDER)
        change = replace(
            change,
            files=(write_events(table, place.events),),
            keys=(write_keys(as_keys(intake.events), place.events),),
        )
    if intake.rejections:
        file = write_rejections(intake.rejections, place.rejected / new_name("rejected"))
        change = replace(change, rejected=(file,))
    return change


def _tally(report: Report) -> dict[str, int]:
    return {name: value for name in report.__dataclass_fields__ if (value := getattr(report, name))}


def write_events(
    table: pa.Table, directory: Path, *, day: int | None = None, bucket: int | None = None
) -> EventFile:
    """Write events to a new Parquet file, durably."""
    path = directory / new_name("parquet")
    with written_whole(path) as part:
        parquet.write_table(table, part, compression="zstd", row_group_size=262_144)
    times = pc.min_max(table["time"].cast(pa.int64()))
    return EventFile(
        name=path.name,
        day=day,
        bucket=bucket,
        rows=table.num_rows,
        bytes=path.stat().st_size,
        first_time=times["min"].as_py(),
        last_time=times["max"].as_py(),
        last_arrival=pc.max(table["arrival"]).as_py(),
        made_at=now(),
    )


def write_keys(keys: Keys, directory: Path) -> KeyFile:
    """Write keys to a new file, durably."""
    path = directory / new_name("keys")
    with written_whole(path) as part:
        save_keys(keys, part)
    return KeyFile(name=path.name, rows=len(keys))


def now() -> int:
    """Microseconds since 1970."""
    return time_ns() // 1_000
