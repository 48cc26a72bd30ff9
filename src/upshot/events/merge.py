"""Small files become larger ones: by day and bucket of units, each sorted by unit.

Compaction writes a file for what it takes at once, with events of all days and units. `merge` cuts those into
partitions, joins the files of a partition when they are many, and joins key files of like size. Events are not
deduplicated here: no event is kept twice to begin with.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from upshot.events.compaction import alone, clean, now, write_events, write_keys
from upshot.events.keys import merged
from upshot.events.layout import DataDirectory, existing
from upshot.events.manifest import Change, EventFile, KeyFile, Manifest, open_manifest
from upshot.events.table import DAY, ORDER

BUCKETS = 16
HOUR = 3_600_000_000
ROWS_AT_ONCE = 1_000_000
"""About 1 GB of memory; a file of half as many is large enough to be left alone."""

FILES_OF_PARTITION = 8
KEY_FILES = 8
MOST_KEYS = 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge did: files that were replaced, and files that replaced them; of events, and of keys."""

    read: int = 0
    written: int = 0
    keys_read: int = 0
    keys_written: int = 0


def merge(directory: Path, *, after: int = HOUR) -> Merged:
    """Merge what is due.

    Args:
        after: microseconds that a file as it was compacted waits for others.

    Raises:
        InputError: there is no such directory. ConflictError: another process is at it. OSError: the disk does not
            take it; what was done stays done.
    """
    place = existing(directory)
    read = written = keys_read = keys_written = 0
    with alone(place), open_manifest(place.manifest) as manifest:
        clean(place, manifest)
        for group in _due(manifest.event_files(), now() - after):
            written += len(_rewrite(place, manifest, group))
            read += len(group)
        for keys in _due_keys(manifest.key_files()):
            _join_keys(place, manifest, keys)
            keys_read += len(keys)
            keys_written += 1
    return Merged(read=read, written=written, keys_read=keys_read, keys_written=keys_written)


def _due(files: Sequence[EventFile], before: int) -> Iterator[list[EventFile]]:
    """Files to rewrite together: those as compacted, if they waited or are many rows, and partitions of many files."""
    loose = [file for file in files if file.day is None]
    if loose and (loose[0].made_at <= before or sum(file.rows for file in loose) >= ROWS_AT_ONCE):
        yield from _lots(loose)
    small = sorted(
        (file for file in files if file.day is not None and file.rows < ROWS_AT_ONCE // 2), key=_partition
    )
    for _, found in groupby(small, key=_partition):
        group = list(found)
        if len(group) > FILES_OF_PARTITION:
            yield from (lot for lot in _lots(group) if len(lot) > 1)


def _partition(file: EventFile) -> tuple[int, int]:
    return file.day or 0, file.bucket or 0


def _lots(files: Iterable[EventFile]) -> Iterator[list[EventFile]]:
    """Files in lots that fit into memory."""
    lot: list[EventFile] = []
    for file in files:
        if lot and sum(one.rows for one in lot) + file.rows > ROWS_AT_ONCE:
            yield lot
            lot = []
        lot.append(file)
    if lot:
        yield lot


def _rewrite(place: DataDirectory, manifest: Manifest, group: Sequence[EventFile]) -> tuple[EventFile, ...]:
    """Write the events of some files into one file for each partition, which take their place."""
    table = pa.concat_tables([parquet.read_table(place.events / file.name) for file in group])
    files = tuple(
        write_events(part, place.events, day=day, bucket=bucket) for day, bucket, part in partitioned(table)
    )
    manifest.commit(Change(files=files, dropped=tuple(file.name for file in group)), now())
    return files


def partitioned(table: pa.Table) -> Iterator[tuple[int, int, pa.Table]]:
    """The events of each day and bucket, by unit."""
    days = pc.divide(table["time"].cast(pa.int64()), DAY)
    buckets = pc.bit_wise_and(table["unit_number"], BUCKETS - 1)
    place = pc.add(pc.multiply(days, BUCKETS), buckets)
    ordered = table.append_column("partition", place).sort_by([("partition", "ascending"), *ORDER])
    column = ordered["partition"].to_numpy()
    ordered = ordered.drop_columns("partition")
    for number in sorted(set(column.tolist())):
        start, end = column.searchsorted(number), column.searchsorted(number, side="right")
        yield number // BUCKETS, number % BUCKETS, ordered.slice(start, end - start)


def _due_keys(files: Sequence[KeyFile]) -> Iterator[list[KeyFile]]:
    """Key files of like size, where there are many: each key is rewritten a few times only, and few files are asked."""
    small = sorted((file for file in files if file.rows < MOST_KEYS), key=_tier)
    for _, found in groupby(small, key=_tier):
        group = list(found)
        if len(group) >= KEY_FILES:
            yield group


def _tier(file: KeyFile) -> int:
    """Files within a factor of eight are of like size."""
    return len(f"{file.rows:o}")


def _join_keys(place: DataDirectory, manifest: Manifest, files: Sequence[KeyFile]) -> None:
    joined = write_keys(merged(place.events / file.name for file in files), place.events)
    manifest.commit(Change(keys=(joined,), dropped=tuple(file.name for file in files)), now())
