"""Events as they become durable: each call reads what was appended since the one before, and nothing else.

It reads segments by itself, where the views of `reader` would read all that is not compacted each time. A segment that
is compacted away meanwhile can be read to its end, since it is held open; one that was compacted before it was seen is
read from the files.
"""

import os
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from pyarrow import parquet

from upshot.events.frame import Frame, Gap, decode
from upshot.events.intake import read_frame
from upshot.events.keys import key
from upshot.events.layout import existing
from upshot.events.manifest import open_manifest
from upshot.events.message import Event
from upshot.events.segment import SEALED, open_segments, sealed_segments
from upshot.events.table import from_table

REMEMBERED = 200_000
HELD = 200
"""Segments that are read and wait for compaction are held open, up to so many."""


class Recent:
    """The keys of events that were met lately, in memory that does not grow: at least ``kept`` of them."""

    def __init__(self, kept: int = REMEMBERED) -> None:
        self._kept = kept
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def first(self, source: str, message_id: str) -> bool:
        """Whether an event is met for the first time; from now on it is not."""
        entry = key(source, message_id)
        if entry in self._young or entry in self._old:
            return False
        if len(self._young) >= self._kept:
            self._old, self._young = self._young, set()
        self._young.add(entry)
        return True


class _Reading:
    """A segment, and how far it was read."""

    __slots__ = ("descriptor", "ended", "offset")

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)
        self.offset = 0
        self.ended = False

    def more(self, *, whole: bool) -> list[Frame]:
        """Frames that were added; bytes at the end that are none may become one, unless the file is whole."""
        data = self._bytes(self.offset)
        found = list(decode(data))
        rest = found[-1] if found and not whole else None
        self.offset += rest.start if isinstance(rest, Gap) else len(data)
        self.ended = whole
        return [item for item in found if isinstance(item, Frame)]

    def keys(self) -> set[bytes]:
        """The keys of all its events."""
        frames = (item for item in decode(self._bytes(0)) if isinstance(item, Frame))
        return {key(one.source, one.message_id) for frame in frames for one in read_frame(frame)[0]}

    def _bytes(self, offset: int) -> bytes:
        size = os.fstat(self.descriptor).st_size
        return os.pread(self.descriptor, max(size - offset, 0), offset)


class Following:
    """The events of a data directory as they come, each once as far as `Recent` remembers."""

    def __init__(self, directory: Path, recent: Recent | None = None) -> None:
        """
        Args:
            directory: the data directory; its log is read from its beginning.
            recent: what is not told again.
        """
        self._place = existing(directory)
        self._recent = recent or Recent()
        self._reading: dict[str, _Reading] = {}
        self._known: set[str] = set()
        self._arrival, self._compacted = self._compactions()

    def more(self) -> list[Event]:
        """What came since the last call."""
        sealed = {path.stem: path for path in sealed_segments(self._place.log)}
        paths = {path.stem: path for path in open_segments(self._place.log)} | sealed
        self._open(paths)
        found = self._missed(paths.keys())
        for stem, reading in sorted(self._reading.items()):
            if not reading.ended:
                for frame in reading.more(whole=stem in sealed or stem not in paths):
                    found += read_frame(frame)[0]
        self._let_go(paths.keys())
        return [one for one in found if self._recent.first(one.source, one.message_id)]

    def close(self) -> None:
        """Let go of the segments."""
        while self._reading:
            os.close(self._reading.popitem()[1].descriptor)

    def _open(self, paths: Mapping[str, Path]) -> None:
        for stem in sorted(paths.keys() - self._known):
            found = _opened(paths[stem])
            if found is not None:
                self._reading[stem] = found
                self._known.add(stem)

    def _let_go(self, there: AbstractSet[str]) -> None:
        """Close what was read to its end, but keep what may be needed to tell its events from those of a segment that
        was missed: the newest of those that are not compacted."""
        ended = [stem for stem in sorted(self._reading) if self._reading[stem].ended]
        waiting = [stem for stem in ended if stem in there and stem not in self._compacted]
        for stem in {*ended} - {*waiting[-HELD:]}:
            os.close(self._reading.pop(stem).descriptor)
        self._known &= there | self._compacted | self._reading.keys()

    def _missed(self, there: AbstractSet[str]) -> list[Event]:
        """Events of segments that were made, sealed and compacted since the last call: in files, where compaction
        counts a segment that was never seen here."""
        before, already = self._arrival, self._compacted
        self._arrival, self._compacted = self._compactions()
        told = (self._compacted - already) & self._known
        if self._arrival - before <= len(told):
            return []
        gone = {*self._compacted, *(self._reading.keys() - there)}
        read = [reading.keys() for stem, reading in self._reading.items() if stem in gone]
        return [
            one
            for one in self._arrived_after(before)
            if not any(key(one.source, one.message_id) in keys for keys in read)
        ]

    def _compactions(self) -> tuple[int, frozenset[str]]:
        """How many segments were compacted ever, and which of late."""
        with open_manifest(self._place.manifest) as manifest, manifest.snapshot():
            names = (Path(name) for name in manifest.retired())
            compacted = frozenset(name.stem for name in names if name.suffix == SEALED)
            return manifest.tally().get("segments", 0), compacted

    def _arrived_after(self, arrival: int) -> Iterator[Event]:
        with open_manifest(self._place.manifest) as manifest:
            files = [file.name for file in manifest.event_files() if file.last_arrival > arrival]
        for name in files:
            yield from from_table(
                parquet.read_table(self._place.events / name, filters=[("arrival", ">", arrival)])
            )


def _opened(path: Path) -> _Reading | None:
    for name in (path, path.with_suffix(SEALED)):
        try:
            return _Reading(name)
        except FileNotFoundError:  # sealed, or compacted, meanwhile
            continue
    return None
