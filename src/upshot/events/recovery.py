"""Segments of processes that died: cut where the last whole frame ends, and sealed."""

import fcntl
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from upshot.events.disk import sync, sync_directory
from upshot.events.frame import Gap, decode
from upshot.events.segment import SEALED, is_at, open_segments

log = logging.getLogger("upshot.events")


@dataclass(frozen=True, slots=True)
class Recovered:
    """A segment that its process left open.

    Attributes:
        path: of the sealed file; None where it held no whole frame, and was removed.
        kept: bytes of whole frames.
        torn: bytes behind them: a write that the process did not live to finish, and never answered.
    """

    path: Path | None
    kept: int
    torn: int


def recover(directory: Path) -> tuple[Recovered, ...]:
    """Seal the segments in a log directory whose processes are dead; several processes may do it at once.

    Raises:
        OSError: the disk does not let us; what is not done yet can be done later.
    """
    done = [found for path in open_segments(directory) if (found := _recover(path)) is not None]
    for found in done:
        if found.torn:
            log.warning("Upshot cut %d bytes of an unfinished write off %s", found.torn, found.path)
    return tuple(done)


def _recover(path: Path) -> Recovered | None:
    """Seal a segment; None where its process lives, or another recovery was first."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _seal(path, descriptor) if is_at(descriptor, path) else None
    except BlockingIOError:
        return None
    finally:
        os.close(descriptor)


def _seal(path: Path, descriptor: int) -> Recovered:
    size = os.fstat(descriptor).st_size
    kept = whole_bytes(path.read_bytes())
    if not kept:
        path.unlink()
        return Recovered(None, 0, size)
    if kept < size:
        os.ftruncate(descriptor, kept)
    sync(descriptor)
    sealed = path.with_suffix(SEALED)
    path.rename(sealed)
    sync_directory(path.parent)
    return Recovered(sealed, kept, size - kept)


def whole_bytes(data: bytes) -> int:
    """Where the last whole frame ends.

    >>> whole_bytes(b"torn")
    0
    """
    torn = 0
    for item in decode(data):
        torn = item.end - item.start if isinstance(item, Gap) else 0
    return len(data) - torn
