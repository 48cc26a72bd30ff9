"""A file of frames that one process appends to, and that nobody touches afterwards.

`<time>-<pid>-<random>.open` is locked by its process for as long as it lives; sealed, it is called `.seg`.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from time import time_ns

from upshot.events.disk import sync, sync_directory

OPEN, SEALED = ".open", ".seg"


class OpenSegment:
    """The segment that this process appends to.

    Attributes:
        path: of the file, as long as it is open.
        size: bytes that are on the disk.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size = 0
        self._descriptor = descriptor

    @classmethod
    def create(cls, directory: Path) -> "OpenSegment":
        """A new segment, locked, and its name on the disk.

        Raises:
            OSError: the disk does not take it.
        """
        while True:
            path = directory / f"{time_ns():020}-{os.getpid()}-{os.urandom(3).hex()}{OPEN}"
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if is_at(
                    descriptor, path
                ):  # or else a recovery took it for a dead process's before it was locked
                    sync_directory(directory)
                    return cls(path, descriptor)
            except BaseException:
                os.close(descriptor)
                path.unlink(missing_ok=True)
                raise
            os.close(descriptor)

    def append(self, data: bytes) -> None:
        """Write, and return when it is on the disk.

        Raises:
            OSError: nothing of it may be relied on, and the segment must be abandoned: a second sync of a file whose
                first one failed can succeed without the data.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        sync(self._descriptor)
        self.size += len(data)

    def seal(self) -> None:
        """Give the file its final name and let go of it; an empty one is removed.

        Raises:
            OSError: it keeps its name; `abandon` it.
        """
        if self.size:
            self.path.rename(self.path.with_suffix(SEALED))
        else:
            self.path.unlink()
        sync_directory(self.path.parent)
        os.close(self._descriptor)

    def abandon(self) -> None:
        """Cut off what was not synced, and leave the file to recovery. Nothing here fails: the disk may be ill."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, self.size)
        if not self.size:
            with suppress(OSError):
                self.path.unlink()
        with suppress(OSError):
            os.close(self._descriptor)


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file still has this path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def open_segments(directory: Path) -> list[Path]:
    """Files that are appended to, or were when their process died; oldest first."""
    return sorted(directory.glob(f"*{OPEN}"))


def sealed_segments(directory: Path) -> list[Path]:
    """Files that nobody appends to any more; oldest first."""
    return sorted(directory.glob(f"*{SEALED}"))


def segments(directory: Path) -> list[Path]:
    """All files, sealed ones first, oldest first.

    Open ones are looked for first, so that one that is sealed meanwhile is found there or as sealed, and never missed.
    """
    opened = open_segments(directory)
    sealed = sealed_segments(directory)
    known = {path.stem for path in sealed}
    return [*sealed, *(path for path in opened if path.stem not in known)]
