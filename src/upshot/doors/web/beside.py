"""What runs beside the server: work that is done again and again, off the event loop."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

_log = logging.getLogger("upshot")


@dataclass(frozen=True, slots=True)
class Beside:
    """Work that is done in a thread, with so many seconds between its end and its next begin."""

    work: Callable[[], None]
    every: float

    async def run(self) -> None:
        """Do it until cancelled. A fault in it is logged, and ends nothing."""
        while True:
            try:
                await asyncio.to_thread(self.work)
            except Exception:
                _log.exception("what runs beside the server failed, and will be tried again")
            await asyncio.sleep(self.every)
