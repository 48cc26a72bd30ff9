"""The keys that a server knows: asked at every request, so kept in memory, at most a second old."""

import logging
from collections.abc import Callable
from time import monotonic

from upshot.errors import UnavailableError
from upshot.store import keys
from upshot.store.control import ControlStore
from upshot.store.keys import Key

FRESH = 1.0
"""Seconds for which what is known counts; a revoked key opens nothing after them."""

_log = logging.getLogger("upshot.keys")


class KeyRing:
    """The keys of a store. Where the store cannot answer, what is known stays; threads may share it."""

    def __init__(self, store: ControlStore, ticks: Callable[[], float] = monotonic) -> None:
        """
        Args:
            store: whose keys. ticks: seconds that only grow.

        Raises:
            UnavailableError: the store cannot answer.
        """
        self._store, self._ticks = store, ticks
        self._known = self._read()
        self._read_at = ticks()

    def holder(self, secret: str) -> Key | None:
        """The key that somebody shows; None where there is none such, or it was revoked."""
        now = self._ticks()
        if now - self._read_at >= FRESH:
            self._read_at = now
            self._refresh()
        return self._known.get(keys.digest(secret))

    def _refresh(self) -> None:
        try:
            self._known = self._read()
        except UnavailableError as error:
            _log.warning("keys stay as they were: %s", error)

    def _read(self) -> dict[str, Key]:
        with self._store.reading() as connection:
            return keys.by_digest(connection)
