"""Whether anything came: what is cheap enough to ask every second, before events are read."""

from collections.abc import Hashable
from pathlib import Path

from upshot.events.layout import DataDirectory
from upshot.events.segment import segments


def arrivals(directory: Path) -> Hashable:
    """Changes with every event that becomes durable, and now and then without one (compaction, deletion)."""
    place = DataDirectory(directory)
    return tuple(_stamp(path) for path in (*segments(place.log), place.manifest))


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:  # sealed or compacted meanwhile, or not made yet
        return path.stem, 0, 0
    return path.stem, found.st_size, found.st_mtime_ns
