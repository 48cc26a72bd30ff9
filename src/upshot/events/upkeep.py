"""Compaction and merging, again and again, in one of the processes that share a data directory."""

import logging
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic

from upshot.errors import ConflictError
from upshot.events.compaction import Report, compact
from upshot.events.deletion import Deleted, finish_deletions
from upshot.events.merge import Merged, merge

log = logging.getLogger("upshot.events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round did."""

    compacted: Report
    deleted: Deleted
    merged: Merged


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepState:
    """How upkeep is.

    Attributes:
        rounds: that this process did.
        seconds: that the last one took.
        fault: why the last one failed; None: it did not.
    """

    rounds: int = 0
    seconds: float = 0.0
    fault: str | None = None


def tidy(directory: Path) -> Round:
    """One round: compact what is sealed, finish deletions that were cut off, merge what is due.

    Raises:
        ConflictError: another process is at it. OSError: the disk does not take it; what was done stays done.
    """
    return Round(compacted=compact(directory), deleted=finish_deletions(directory), merged=merge(directory))


class Upkeep:
    """A thread that tidies a data directory. Where several processes do, one at a time does, and the others wait.

    Args:
        directory: the data directory. every: seconds between rounds.
    """

    def __init__(self, directory: Path, every: float = 5.0) -> None:
        self._directory = directory
        self._every = every
        self._stop = Event()
        self._mutex = Lock()
        self._state = UpkeepState()
        self._thread = Thread(target=self._run, name="upshot-upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, after the round that runs."""
        self._stop.set()
        self._thread.join()

    @property
    def state(self) -> UpkeepState:
        """How it is, for health checks and metrics."""
        with self._mutex:
            return self._state

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            started = monotonic()
            try:
                tidy(self._directory)
            except ConflictError:
                continue
            except Exception as error:  # the next round may find a disk with space, or a mended file
                log.exception("Upshot cannot compact events in %s", self._directory)
                self._note(monotonic() - started, f"events cannot be compacted: {error}")
            else:
                self._note(monotonic() - started, None)

    def _note(self, seconds: float, fault: str | None) -> None:
        with self._mutex:
            self._state = UpkeepState(rounds=self._state.rounds + 1, seconds=seconds, fault=fault)
