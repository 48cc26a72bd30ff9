"""Messages on disk between the application and the server: what a process cannot deliver, the next one does.

    spool/<process>.lock            held for as long as the process lives
    spool/<process>/00000001.jsonl  a segment: one message a line; deleted when the server has it
    spool/<process>/00000002.set-aside   a segment that the server refused for good

A process writes one segment at a time and seals it; any process adopts the segments of those that are dead. Lines
reach the operating system at once, so a killed process loses none; a machine that loses power may.
"""

import json
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

log = logging.getLogger("upshot_sdk")

SEGMENT_BYTES = 400_000  # a batch may have 500 KB


class SpoolFullError(Exception):
    """As much waits as may wait."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Messages that are sent together: JSON texts, the bytes they take, and their file if they have one."""

    messages: tuple[bytes, ...]
    size: int
    path: Path | None = None


class MemorySpool:
    """Segments in memory, for where there is no disk. It and `DiskSpool` are used alike.

    Args:
        limit: bytes that may wait.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting = 0
        self._segments: deque[Segment] = deque()
        self._mutex = Lock()

    def append(self, messages: Sequence[bytes]) -> None:
        """Keep messages as segments.

        Raises:
            SpoolFullError: none of them was kept.
        """
        size = _size(messages)
        with self._mutex:
            if self._waiting + size > self._limit:
                raise SpoolFullError
            self._waiting += size
            self._segments.extend(_segments(messages))

    def seal(self) -> None:
        """Nothing to do: a segment is sealed as it is made."""

    def take(self) -> Segment | None:
        """The oldest segment, which stays until `done`; None where none waits."""
        return self._segments[0] if self._segments else None

    def done(self, segment: Segment) -> None:
        """The server has the segment."""
        with self._mutex:
            self._segments.remove(segment)
            self._waiting -= segment.size

    def set_aside(self, segment: Segment) -> None:
        """The server will never take the segment, and there is no place to keep it."""
        self.done(segment)

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._segments

    def close(self) -> None:
        """Nothing to let go."""


class DiskSpool:
    """The segments of this process on disk. Appending and taking may happen on different threads.

    Args:
        directory: holds the spools of all processes. process: a name that no other process has.
        limit: bytes that may wait.

    Raises:
        OSError: the directory cannot be used.
    """

    def __init__(self, directory: Path, process: str, limit: int) -> None:
        self._limit = limit
        self._waiting = self._aside = 0
        self._number = 0
        self._file: BinaryIO | None = None
        self._written = 0
        self._sealed: deque[tuple[Path, int]] = deque()
        self._mutex = Lock()
        self._home, self._lock = _settle(directory, process)
        self.adopt()

    def append(self, messages: Sequence[bytes]) -> None:
        """Write messages to the open segment; one that is full is sealed.

        Raises:
            SpoolFullError: none of them was kept. OSError: the disk takes them no more; some may have been kept.
        """
        with self._mutex:
            if self._waiting + _size(messages) > self._limit:
                raise SpoolFullError
            for segment in _segments(messages):
                if self._written and self._written + segment.size > SEGMENT_BYTES:
                    self._seal()
                self._write(segment)

    def seal(self) -> None:
        """Make what was appended so far ready to be taken."""
        with self._mutex:
            self._seal()

    def take(self) -> Segment | None:
        """The oldest sealed segment, which stays until `done` or `set_aside`; None where none waits."""
        while self._sealed:
            path, size = self._sealed[0]
            try:
                return Segment(_whole_lines(path.read_bytes()), size, path)
            except OSError as error:
                log.warning("Upshot cannot read the events in %s (%s): it leaves them there.", path, error)
                self._forget_first()
        return None

    def done(self, segment: Segment) -> None:
        """The server has the segment. If its file cannot be deleted, it is sent again, and the server knows it."""
        self._forget_first()
        _delete(segment)

    def set_aside(self, segment: Segment) -> None:
        """The server will never take the segment: it is kept under another name, as long as there is room for it."""
        self._forget_first()
        self._aside += segment.size
        if self._aside > self._limit:
            _delete(segment)
        elif segment.path is not None:
            with suppress(OSError):
                segment.path.rename(segment.path.with_suffix(".set-aside"))

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._sealed and not self._written

    def adopt(self) -> int:
        """Take over the segments of dead processes; how many there were."""
        found = 0
        for home in sorted(self._home.parent.glob("*/")):
            if home != self._home:
                with suppress(OSError):  # it lives, or another process is adopting it
                    found += self._adopt_from(home)
        return found

    def close(self) -> None:
        """Let go: what was not sent waits for the next process."""
        self.seal()
        self._lock.close()
        if not self._sealed:
            _remove(self._home)  # unless another process has adopted it meanwhile

    def abandon(self) -> None:
        """In a child that was forked: let go of what is the parent's, without touching it."""
        self._lock.close()
        if self._file is not None:
            self._file.close()

    def _write(self, segment: Segment) -> None:
        if self._file is None:
            self._file = self._next_path().open("ab", buffering=0)
        text = b"".join(message + b"\n" for message in segment.messages)
        done = self._file.write(text)
        if done != len(text):
            self._file.truncate(self._written)
            raise OSError(f"the disk took {done} of {len(text)} bytes")
        self._written += done
        self._waiting += done

    def _seal(self) -> None:
        if self._file is None:
            return
        self._file.close()
        self._sealed.append((Path(self._file.name), self._written))
        self._file, self._written = None, 0

    def _forget_first(self) -> None:
        with self._mutex:
            self._waiting -= self._sealed.popleft()[1]

    def _next_path(self) -> Path:
        self._number += 1
        return self._home / f"{self._number:08}.jsonl"

    def _adopt_from(self, home: Path) -> int:
        found = 0
        with _lock_of(home).open("ab", buffering=0) as lock, self._mutex:
            _hold(lock)
            for segment in sorted(home.glob("*.jsonl")):
                path, size = self._next_path(), segment.stat().st_size
                segment.rename(path)
                self._sealed.append((path, size))
                self._waiting += size
                found += 1
        _remove(home)
        return found


def _delete(segment: Segment) -> None:
    if segment.path is not None:
        with suppress(OSError):
            segment.path.unlink()


def _size(messages: Sequence[bytes]) -> int:
    return sum(map(len, messages)) + len(messages)


def _segments(messages: Sequence[bytes]) -> list[Segment]:
    """Messages in parts that a batch can hold."""
    parts: list[list[bytes]] = [[]]
    room = SEGMENT_BYTES
    for message in messages:
        room -= len(message) + 1
        if room < 0 and parts[-1]:
            parts.append([])
            room = SEGMENT_BYTES - len(message) - 1
        parts[-1].append(message)
    return [Segment(tuple(part), _size(part)) for part in parts if part]


def _whole_lines(text: bytes) -> tuple[bytes, ...]:
    """The messages of a segment; the last line is none where its process died while writing it."""
    lines = [line for line in text.split(b"\n") if line]
    if lines and not text.endswith(b"\n"):
        try:
            json.loads(lines[-1])
        except ValueError:
            lines.pop()
    return tuple(lines)


def _settle(directory: Path, process: str) -> tuple[Path, BinaryIO]:
    """The home of a process, which appears only when its lock is held."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    home = directory / process
    lock = _lock_of(home).open("ab", buffering=0)
    try:
        _hold(lock)
        home.mkdir(mode=0o700)
    except BaseException:
        lock.close()
        raise
    return home, lock


def _lock_of(home: Path) -> Path:
    """Beside the home and not in it, as some systems neither move nor remove what is open."""
    return home.with_name(f"{home.name}.lock")


def _hold(file: BinaryIO) -> None:
    """Lock a file for as long as it is open.

    Raises:
        OSError: a living process holds it.
    """
    try:
        import fcntl
    except ImportError:
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove(home: Path) -> None:
    with suppress(OSError):  # segments that were set aside stay, and so does their home
        home.rmdir()
        _lock_of(home).unlink()
