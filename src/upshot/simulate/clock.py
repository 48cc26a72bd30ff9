"""A clock that a simulation moves, in a file, so that all its processes tell the same time."""

import math
import mmap
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from struct import Struct
from time import time
from typing import Self

from upshot.errors import InputError

_MARK = b"upshot clock\x00\x00\x00\x00"
_MOMENT = Struct("<d")


class SharedClock:
    """A clock that stands until it is moved. It never runs ahead of the system's, and follows that once let go.

    Moves of one process are seen by all others that have opened the file, without any call to the system.
    """

    __slots__ = ("_memory", "_system")

    def __init__(self, memory: mmap.mmap, system: Callable[[], float]) -> None:
        self._memory, self._system = memory, system

    @classmethod
    def create(cls, path: Path, at: datetime, system: Callable[[], float] = time) -> Self:
        """A new clock in a file, which stands at a moment (with its offset from UTC)."""
        path.write_bytes(_MARK + _MOMENT.pack(at.timestamp()))
        return cls.open(path, system)

    @classmethod
    def open(cls, path: Path, system: Callable[[], float] = time) -> Self:
        """The clock that is in a file.

        Args:
            system: gives the seconds since 1970 that it follows when let go.

        Raises:
            InputError: there is none.
        """
        try:
            with path.open("r+b") as file:
                memory = mmap.mmap(file.fileno(), len(_MARK) + _MOMENT.size)
        except (OSError, ValueError):
            raise InputError(f"{path} is no clock of a simulation: leave UPSHOT_CLOCK out") from None
        if memory[: len(_MARK)] != _MARK:
            raise InputError(f"{path} is no clock of a simulation: leave UPSHOT_CLOCK out")
        return cls(memory, system)

    def seconds(self) -> float:
        """Now, in seconds since 1970."""
        (at,) = _MOMENT.unpack_from(self._memory, len(_MARK))
        return min(float(at), self._system())

    def now(self) -> datetime:
        """Now, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def move(self, to: datetime) -> None:
        """Put it to a moment, with its offset from UTC. A clock does not go back.

        Raises:
            ValueError: the moment is before the one that it shows.
        """
        if to.timestamp() < self.seconds():
            raise ValueError(
                f"the clock is at {self.now().isoformat()} and cannot go back to {to.isoformat()}"
            )
        _MOMENT.pack_into(self._memory, len(_MARK), to.timestamp())

    def let_go(self) -> None:
        """From now on it is the system's."""
        _MOMENT.pack_into(self._memory, len(_MARK), math.inf)
