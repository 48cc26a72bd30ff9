"""The newest value of something, and those who wait for a newer one."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """A value that changes now and then.

    Who waits is woken by each change and sees the newest value only, so a slow reader holds up nobody and keeps
    nothing in memory.
    """

    def __init__(self, value: T) -> None:
        self.value = value
        self.ended = False
        self._changed = asyncio.Event()

    def put(self, value: T) -> None:
        """Change the value and wake who waits; the same value again changes nothing."""
        if value != self.value:
            self.value = value
            self._wake()

    def end(self) -> None:
        """No more values: wake who waits for good."""
        self.ended = True
        self._wake()

    async def after(self, seen: T, patience: float) -> T:
        """A value other than ``seen``, or after ``patience`` seconds or the end whatever it is by then."""
        if self.value == seen and not self.ended:
            changed = self._changed
            try:
                async with asyncio.timeout(max(patience, 0.0)):
                    await changed.wait()
            except TimeoutError:
                pass
        return self.value

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
