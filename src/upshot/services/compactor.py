"""Compaction beside a server, in a process of its own, so that nobody who waits for an answer waits for it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path

from upshot.events.upkeep import Upkeep

_NICE = 10  # it gives way to the server


@contextmanager
def compacting(directory: Path, every: float) -> Iterator[None]:
    """Compact a data directory again and again for as long as the block runs.

    Where several servers share the directory, one of them compacts at a time, and the others find nothing to do. It
    may be stopped at any step, since a crash at any step changes nothing that counts.

    Args:
        directory: that a log has made.
        every: seconds from the end of a compaction to the next.
    """
    process = get_context("spawn").Process(
        target=_compact_on, args=(directory, every), name="upshot-compaction", daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()
        process.close()


def _compact_on(directory: Path, every: float) -> None:
    """What the process does until its parent ends, in whatever way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, which the server hears as well
    os.nice(_NICE)
    parent = parent_process()
    assert parent is not None
    Upkeep(directory, every).start()
    wait([parent.sentinel])
