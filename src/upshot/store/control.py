"""The control store: what people decided, in one database, every change of it with its audit row.

store = ControlStore.open(sqlite_url("upshot-data/upshot.db"), clock)
with store.changing("ann", "launch of the shop") as change:
    key, secret = keys.create(change, "server", "shop")
with store.reading() as connection:
    keys.listed(connection)
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Self

from sqlalchemy import Connection, Engine

from upshot.errors import InputError
from upshot.store.audit import Change
from upshot.store.engine import open_engine, reading, shown, writing
from upshot.store.migration import migrate


class ControlStore:
    """A database with the tables of this Upshot. Threads may share it; each process opens its own."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine, self._clock = engine, clock

    @classmethod
    def open(cls, url: str, clock: Callable[[], datetime]) -> Self:
        """The store that a URL names, brought to the newest tables.

        Args:
            url: as of `open_engine`. clock: gives now, with its offset from UTC.

        Raises:
            InputError: the URL names no store that can be used, or one of a newer Upshot.
            UnavailableError: it cannot answer.
        """
        engine = open_engine(url)
        try:
            migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock)

    @property
    def name(self) -> str:
        """What messages call it."""
        return shown(self._engine.url)

    def now(self) -> datetime:
        """Now, by the clock that changes are dated by."""
        return self._clock()

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state. Raises UnavailableError."""
        return reading(self._engine)

    @contextmanager
    def changing(self, actor: str, reason: str = "") -> Iterator[Change]:
        """A transaction that changes the store, alone: all that is changed within it, or nothing.

        Args:
            actor: who changes it. reason: why.

        Raises:
            InputError: there is no actor, or a text that cannot be stored.
            UnavailableError: the store cannot be written now.
        """
        if not actor.strip():
            raise InputError("nobody is named who makes this change: give a name")
        for name, text in (("the actor", actor), ("the reason", reason)):
            storable(text, name)
        with writing(self._engine) as connection:
            yield Change(connection=connection, at=self._clock(), actor=actor, reason=reason)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


def storable(text: str, name: str) -> str:
    """The text, where both databases can keep it.

    Raises:
        InputError: it holds a null character or half a surrogate pair.
    """
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{name} is {text!r}: a character in it cannot be stored, leave it out")
    return text
