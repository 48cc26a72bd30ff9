"""Events as they become durable: each call reads what was appended since the one before, and nothing else.

It reads segments by itself, where the views of `reader` would read all that is not compacted each time. A segment that
is compacted away meanwhile can be read to its end, since it is held open.
"""

import os
from pathlib import Path

from upshot.events.frame import Frame, Gap, decode
from upshot.events.intake import read_frame
from upshot.events.keys import key
from upshot.events.layout import DataDirectory
from upshot.events.message import Event
from upshot.events.segment import SEALED, open_segments, sealed_segments

REMEMBERED = 200_000


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

    __slots__ = ("descriptor", "offset")

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)
        self.offset = 0

    def more(self, *, whole: bool) -> list[Frame]:
        """Frames that were added; bytes at the end that are none may become one, unless the file is whole."""
        size = os.fstat(self.descriptor).st_size
        data = os.pread(self.descriptor, max(size - self.offset, 0), self.offset)
        found = list(decode(data))
        rest = found[-1] if found and not whole else None
        self.offset += rest.start if isinstance(rest, Gap) else len(data)
        return [item for item in found if isinstance(item, Frame)]


class Following:
    """The events of a data directory in the order in which they come, each once as far as `Recent` remembers."""

    def __init__(self, directory: Path, recent: Recent | None = None) -> None:
        """
        Args:
            directory: the data directory; its log is read from its beginning.
            recent: what is not told again.
        """
        self._log = DataDirectory(directory).log
        self._recent = recent or Recent()
        self._reading: dict[str, _Reading] = {}
        self._done: set[str] = set()

    def more(self) -> list[Event]:
        """What came since the last call."""
        sealed = {path.stem: path for path in sealed_segments(self._log)}
        paths = {path.stem: path for path in open_segments(self._log)} | sealed
        self._done &= paths.keys()
        for stem in sorted(paths.keys() - self._done - self._reading.keys()):
            found = _opened(paths[stem])
            if found is not None:
                self._reading[stem] = found
        events: list[Event] = []
        for stem, reading in sorted(self._reading.items()):
            ended = stem in sealed or stem not in paths
            for frame in reading.more(whole=ended):
                events += (
                    one for one in read_frame(frame)[0] if self._recent.first(one.source, one.message_id)
                )
            if ended:
                self._end(stem)
        return events

    def close(self) -> None:
        """Let go of the segments."""
        for stem in list(self._reading):
            self._end(stem)

    def _end(self, stem: str) -> None:
        os.close(self._reading.pop(stem).descriptor)
        self._done.add(stem)


def _opened(path: Path) -> _Reading | None:
    for name in (path, path.with_suffix(SEALED)):
        try:
            return _Reading(name)
        except FileNotFoundError:  # sealed, or compacted, meanwhile
            continue
    return None
