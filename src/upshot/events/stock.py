"""What is in a data directory, counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time

from upshot.events.disk import free_bytes
from upshot.events.layout import DataDirectory, existing
from upshot.events.manifest import open_manifest
from upshot.events.reader import connect
from upshot.events.segment import segments


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStock:
    """The events of one source.

    Attributes:
        events: how many. without_id: of them came without a message id, so that a retry of a changed copy counts twice.
        first, last: microseconds when the first and the last were received.
    """

    events: int
    without_id: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What is kept.

    Attributes:
        sources: the events, by source, compacted or not.
        files, bytes: of compacted events.
        segments, segment_bytes: that are not compacted yet. lag: seconds since the oldest of them was begun.
        rejected: messages that are kept and are no events.
        free_bytes: where the directory lies.
        tally: what happened since the beginning: `events`, `duplicates`, `deleted`, `erased`, `rejected`, `damaged`
            (bytes), `torn` (bytes), `segments`.
    """

    sources: Mapping[str, SourceStock]
    files: int
    bytes: int
    segments: int
    segment_bytes: int
    lag: float
    rejected: int
    free_bytes: int
    tally: Mapping[str, int]

    @property
    def events(self) -> int:
        """How many events are kept."""
        return sum(source.events for source in self.sources.values())


def take_stock(directory: Path) -> Stock:
    """Count what is in a data directory."""
    place = existing(directory)
    segments = {path: size for path in _segments(place) if (size := _size(path)) is not None}
    with open_manifest(place.manifest) as manifest:
        files, rejected, tally = manifest.event_files(), manifest.rejected_files(), manifest.tally()
    return Stock(
        sources=_sources(directory),
        files=len(files),
        bytes=sum(file.bytes for file in files),
        segments=len(segments),
        segment_bytes=sum(segments.values()),
        lag=max((time() - _begun(path) for path in segments), default=0.0),
        rejected=sum(file.events for file in rejected),
        free_bytes=free_bytes(directory),
        tally=tally,
    )


def _sources(directory: Path) -> dict[str, SourceStock]:
    query = """
        SELECT source, count(*), count_if(hashed_id), epoch_us(min(received_at)), epoch_us(max(received_at))
        FROM events GROUP BY source ORDER BY source
    """
    with connect(directory) as database:
        found = database.execute(query).fetchall()
    return {
        source: SourceStock(events=events, without_id=without_id, first=first, last=last)
        for source, events, without_id, first, last in found
    }


def _segments(place: DataDirectory) -> list[Path]:
    return segments(place.log)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # sealed or compacted meanwhile
        return None


def _begun(path: Path) -> float:
    """Seconds since 1970 when a segment was begun: its name tells."""
    return int(path.name.partition("-")[0]) / 1e9
