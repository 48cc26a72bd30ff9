"""The log that events are accepted into: an answer may be given when the future of its group is done.

Any thread appends; one thread writes. It takes all that waits, writes it as one and syncs once, so that under load
many requests share the price of a sync. Where the disk fails, nothing is answered with success: the group fails, the
file is abandoned, and appends are refused until a new segment can be made.
"""

import logging
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic

from upshot.errors import UnavailableError
from upshot.events.disk import check_place, free_bytes
from upshot.events.frame import Frame, encode
from upshot.events.layout import DataDirectory
from upshot.events.recovery import recover
from upshot.events.segment import OpenSegment

log = logging.getLogger("upshot.events")


class QueueFullError(UnavailableError):
    """As much waits for the disk as may wait."""


class LogUnhealthyError(UnavailableError):
    """The disk does not take events, or the log is closed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the log allows itself.

    Attributes:
        queued_bytes: that may wait for the disk, those being written included.
        segment_bytes, segment_seconds: a segment is sealed when it reaches either.
        free_bytes: of the disk that are left to the control store and to compaction.
        retry_seconds: between attempts to get well again.
    """

    queued_bytes: int = 64 << 20
    segment_bytes: int = 64 << 20
    segment_seconds: float = 60.0
    free_bytes: int = 200 << 20
    retry_seconds: float = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """How the log is.

    Attributes:
        fault: why it refuses; None: it accepts.
        queued_bytes: that wait for the disk.
        frames, bytes, groups: accepted since the start, and the syncs that took.
        refused: groups that failed.
        commit_seconds: of the last groups, at most 1,000.
    """

    fault: str | None
    queued_bytes: int
    frames: int
    bytes: int
    groups: int
    refused: int
    commit_seconds: tuple[float, ...]


class _Group:
    """Frames that are written and answered together."""

    __slots__ = ("frames", "future", "size")

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.size = 0
        self.future: Future[None] = Future()
        self.future.set_running_or_notify_cancel()  # it is shared: nobody cancels it for the others


class EventLog:
    """The log of this process in a data directory; several processes may each have one. `open` it, and `close` it."""

    def __init__(self, directory: DataDirectory, limits: Limits) -> None:
        self._path = directory.log
        self._limits = limits
        self._mutex = Lock()
        self._wake = Event()
        self._forming = _Group()
        self._queued = 0
        self._fault: str | None = None
        self._closing = False
        self._segment: OpenSegment | None = None
        self._segment_end = 0.0
        self._frames = self._bytes = self._groups = self._refused = 0
        self._commit_seconds: deque[float] = deque(maxlen=1_000)
        self._writer = Thread(target=self._write_on, name="upshot-log", daemon=True)
        self._recovery = Thread(target=_recover, args=(directory.log,), name="upshot-recovery", daemon=True)

    @classmethod
    def open(cls, directory: Path, limits: Limits | None = None) -> "EventLog":
        """The log of a data directory, which is made where it is missing. Segments of dead processes are recovered
        in the background.

        Raises:
            InputError: the directory lies on a network file system. OSError: it cannot be made.
        """
        place = DataDirectory(directory)
        place.make()
        warning = check_place(directory)
        if warning:
            log.warning("Upshot: %s", warning)
        opened = cls(place, limits or Limits())
        opened._writer.start()
        opened._recovery.start()
        return opened

    def append(self, frame: Frame) -> "Future[None]":
        """Take a request; the future is done when it is on the disk, and fails with `LogUnhealthyError` if it is not.

        Requests of one group share their future, so it cannot be cancelled.

        Raises:
            QueueFullError, LogUnhealthyError: nothing was taken. ValueError: as `frame.encode`.
        """
        data = encode(frame)
        with self._mutex:
            self._refuse_unless_ready(len(data))
            group = self._forming
            group.frames.append(data)
            group.size += len(data)
            self._queued += len(data)
            if len(group.frames) == 1:
                self._wake.set()
        return group.future

    @property
    def state(self) -> LogState:
        """How the log is, for health checks and metrics."""
        with self._mutex:
            return LogState(
                fault="the event log is closed" if self._closing else self._fault,
                queued_bytes=self._queued,
                frames=self._frames,
                bytes=self._bytes,
                groups=self._groups,
                refused=self._refused,
                commit_seconds=tuple(self._commit_seconds),
            )

    def close(self) -> None:
        """Write what waits, seal the segment, and take nothing more."""
        with self._mutex:
            self._closing = True
        self._wake.set()
        self._writer.join()
        self._recovery.join()

    def _refuse_unless_ready(self, size: int) -> None:
        if self._closing:
            raise LogUnhealthyError("the event log is closed")
        if self._fault is not None:
            raise LogUnhealthyError(self._fault)
        if self._queued + size > self._limits.queued_bytes:
            raise QueueFullError(f"{self._queued:,} bytes of events wait for the disk: send them again later")

    def _write_on(self) -> None:
        """The writer's thread."""
        while not (self._closing and not self._forming.frames):
            self._wake.wait(self._pause())
            self._wake.clear()
            was_ill = self._fault is not None  # a disk that failed this moment gets a pause
            self._commit(self._take())
            try:
                if was_ill:
                    self._get_well()
                self._seal_if_due()
            except OSError as error:
                self._fail(error)
        try:
            self._seal()
        except OSError as error:
            self._fail(error)

    def _pause(self) -> float | None:
        """Seconds that the writer may sleep if nothing comes."""
        if self._fault is not None:
            return self._limits.retry_seconds
        return None if self._segment is None else max(self._segment_end - monotonic(), 0.0)

    def _take(self) -> _Group:
        with self._mutex:
            group, self._forming = self._forming, _Group()
        return group

    def _commit(self, group: _Group) -> None:
        """Bring a group to the disk and answer it, one way or the other."""
        if not group.frames:
            return
        started = monotonic()
        try:
            self._write(group)
        except Exception as error:  # whatever it was, those who wait must hear it
            self._fail(error)
            self._settle(group, monotonic() - started, accepted=False)
            group.future.set_exception(LogUnhealthyError(self._fault or "the event log failed"))
        else:
            self._settle(group, monotonic() - started, accepted=True)
            group.future.set_result(None)

    def _write(self, group: _Group) -> None:
        self._check_space(group.size)
        segment = self._segment or self._begin()
        segment.append(b"".join(group.frames))

    def _settle(self, group: _Group, seconds: float, *, accepted: bool) -> None:
        with self._mutex:
            self._queued -= group.size
            self._commit_seconds.append(seconds)
            self._groups += 1
            if accepted:
                self._frames += len(group.frames)
                self._bytes += group.size
            else:
                self._refused += 1

    def _begin(self) -> OpenSegment:
        self._segment = OpenSegment.create(self._path)
        self._segment_end = monotonic() + self._limits.segment_seconds
        return self._segment

    def _check_space(self, size: int) -> None:
        free = free_bytes(self._path)
        if free < self._limits.free_bytes + size:
            raise _NoSpaceError(
                f"{free:,} bytes are free where {self._path} lies, and {self._limits.free_bytes:,} stay free"
            )

    def _fail(self, error: Exception) -> None:
        """Refuse until it is well again. What was written and not synced is not relied on, nor is the file."""
        fault = f"the event log cannot be written: {error}"
        log.error("Upshot: %s", fault)
        with self._mutex:
            self._fault = fault
        if self._segment is not None and not isinstance(error, _NoSpaceError):
            self._segment.abandon()
            self._segment = None

    def _get_well(self) -> None:
        """Accept again if there is space and a segment can be made."""
        try:
            self._check_space(0)
            if self._segment is None:
                self._begin()
        except OSError:
            return
        log.warning("Upshot: the event log can be written again")
        with self._mutex:
            self._fault = None

    def _seal_if_due(self) -> None:
        segment = self._segment
        if segment is not None and (
            segment.size >= self._limits.segment_bytes or monotonic() >= self._segment_end
        ):
            self._seal()

    def _seal(self) -> None:
        if self._segment is not None:
            self._segment.seal()
            self._segment = None


class _NoSpaceError(OSError):
    """The space that must stay free would not."""


def _recover(path: Path) -> None:
    try:
        recover(path)
    except OSError as error:
        log.error("Upshot cannot recover the segments in %s yet: %s", path, error)  # noqa: TRY400 - no traceback
