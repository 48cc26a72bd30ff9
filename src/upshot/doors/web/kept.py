"""Processes that a server keeps running: where one dies, whatever it dies of, another takes its place."""

import logging
import threading
from collections.abc import Callable
from multiprocessing import get_context
from time import monotonic
from typing import Any

FORMAT = "%(asctime)s %(levelname)s %(message)s"
"""Of the log of every process of a server."""
STEADY = 5.0
"""Seconds that a process must have lived for another to take its place at once."""
AGAIN = 1.0
"""Seconds until another takes the place of one that died sooner."""
PATIENCE = 10.0
"""Seconds that a process has to end in after SIGTERM."""

_spawn = get_context("spawn")  # no threads, locks or connections of this process are in it
_log = logging.getLogger("upshot")


class Kept(threading.Thread):
    """A process that is kept running until this is closed.

    with closing(Kept("worker 1", work, serving)): ...
    """

    def __init__(self, name: str, work: Callable[..., None], *arguments: Any) -> None:
        """
        Args:
            name: what the log calls it. work: what it does, of the top level of a module. arguments: that it gets.
        """
        super().__init__(name=f"upshot-kept-{name}", daemon=True)
        self._called, self._work, self._arguments = name, work, arguments
        self._alone = threading.Lock()
        self._ending = threading.Event()
        self._process: Any = None
        self.start()

    def run(self) -> None:
        while self._begin():
            began = monotonic()
            self._process.join()
            if self._ending.is_set():
                return
            _log.error("%s ended (%s): another takes its place", self._called, self._process.exitcode)
            if monotonic() - began < STEADY:
                self._ending.wait(AGAIN)

    def end(self) -> None:
        """Let it end; nothing takes its place."""
        with self._alone:
            self._ending.set()
            if self._process is not None:
                self._process.terminate()

    def close(self) -> None:
        """End it, and wait for that."""
        self.end()
        self.join(PATIENCE)
        if self.is_alive():
            self._process.kill()
            self.join()

    def _begin(self) -> bool:
        """Start a process; False where all is to end."""
        with self._alone:
            if self._ending.is_set():
                return False
            self._process = _spawn.Process(
                target=self._work, args=self._arguments, name=self._called, daemon=True
            )
            self._process.start()
            return True
