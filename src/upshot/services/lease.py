"""The lease by which one of the processes that share a control store runs its jobs.

A thread renews it for as long as the process lives. It is counted in real time, whatever clock the jobs follow: it is
about processes.
"""

import logging
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from time import monotonic
from typing import Self

from upshot.errors import UnavailableError
from upshot.store import jobs
from upshot.store.control import ControlStore

NAME = "jobs"
LASTS = timedelta(seconds=10)
"""After so long another process takes over from one that died."""

_ACTOR = "upshot jobs"
_log = logging.getLogger("upshot.jobs")


class Lease:
    """Held by one process at a time.

    with Lease(store) as lease:
        if lease.is_held: ...
    """

    def __init__(
        self,
        store: ControlStore,
        lasts: timedelta = LASTS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """
        Args:
            store: that processes share. lasts: for how long, unless it is renewed.
            clock: that they share, in real time.
        """
        self._store, self._lasts, self._clock = store, lasts, clock
        self.holder = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
        self._until = 0.0
        self._ended = Event()
        self._thread: Thread | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process holds it now; one that was stopped for a while does not."""
        return monotonic() < self._until

    def renew(self) -> bool:
        """Take it, or keep it; whether it is held."""
        until = monotonic() + self._lasts.total_seconds()
        had = self.is_held
        try:
            with self._store.changing(_ACTOR, "renewed") as change:
                taken = jobs.take(change, NAME, self.holder, self._clock(), self._lasts)
        except UnavailableError as error:  # it lasts for a while without
            _log.warning("the lease of the jobs could not be renewed (%s)", error)
            return self.is_held
        self._until = until if taken else 0.0
        if taken != had:
            _log.info("jobs are run by %s", "this process" if taken else "another process")
        return self.is_held

    def __enter__(self) -> Self:
        self.renew()
        self._thread = Thread(target=self._keep_on, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self.is_held:
            self._until = 0.0
            with suppress(UnavailableError), self._store.changing(_ACTOR, "ended") as change:
                jobs.release(change, NAME, self.holder)

    def _keep_on(self) -> None:
        while not self._ended.wait(self._lasts.total_seconds() / 3):
            self.renew()


def holder(store: ControlStore) -> str | None:
    """The process that runs the jobs of a store now, as ``host/pid/...``; None where none does."""
    with store.reading() as connection:
        return jobs.holder_of(connection, NAME, datetime.now(UTC))
