"""Flags in force: what people wrote becomes a ruleset that evaluators read, or is refused with every mistake.

`publish` is the one way from a store to evaluators; `Flags` keeps the last good state while files are edited.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from upshot.assignment.ledger import Ledger
from upshot.assignment.payload import NewSalt, compile_flags
from upshot.errors import InputError, PlanError
from upshot.model.flag import FlagSet
from upshot.store.flag_store import FlagStore, Stored
from upshot_sdk import Ruleset

__all__ = ["FlagStore", "Flags", "Published", "Stored", "publish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One state of the flags, ready to be served.

    Attributes:
        revision: names it; the same flags and draws have the same revision everywhere.
        body: the ruleset as JSON, what ``/v1/ruleset`` answers. ruleset: the same, compiled.
    """

    revision: str
    body: bytes
    ruleset: Ruleset


def publish(store: FlagStore, new_salt: NewSalt) -> Published:
    """Put into force what a store holds, and remember the draws.

    Raises:
        PlanError: mistakes, or edits that would spoil a running experiment; all are named, nothing was written.
        InputError: the store cannot be read or written.
    """
    with store.alone():
        stored = store.read()
        if stored.problems:
            raise PlanError(stored.problems, store.name)
        published, ledger = compiled(stored.flags, stored.ledger, new_salt)
        if ledger != stored.ledger or stored.flags != stored.applied:
            store.write(ledger, stored.flags)
    return published


def compiled(flags: FlagSet, ledger: Ledger, new_salt: NewSalt) -> tuple[Published, Ledger]:
    """A set of flags with the draws given out so far, ready to be served, and the draws after it."""
    payload, after = compile_flags(flags, ledger, new_salt)
    revision = hashlib.sha256(_json(payload)).hexdigest()[:16]
    payload["revision"] = revision
    return Published(revision=revision, body=_json(payload), ruleset=Ruleset.from_dict(payload)), after


def _json(payload: Mapping[str, object]) -> bytes:
    """The same payload is the same bytes; a 1.0 stays one, since it makes a number flag one of floats."""
    text = json.dumps(payload, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


class Flags:
    """The flags of a store, kept fresh: a bad edit is told and leaves the last good state in force.

    Attributes:
        current: what is served. problems: why what is written now is not; empty where it is.
    """

    def __init__(self, store: FlagStore, new_salt: NewSalt) -> None:
        """Publish the store; where it holds mistakes, what was applied last comes into force again.

        Raises:
            InputError: the store holds mistakes (or cannot be read), and nothing was applied before.
        """
        self._store, self._new_salt = store, new_salt
        self._version = store.version()
        self.problems: tuple[str, ...] = ()
        try:
            self.current = publish(store, new_salt)
        except InputError as error:
            self.problems = _told(error)
            self.current = _last_applied(store, new_salt, error)

    def refresh(self) -> bool:
        """Look whether something was edited, and publish it. True where what is served has changed."""
        version = self._store.version()
        if version == self._version:
            return False
        self._version = version
        before = self.current.revision
        try:
            self.current, self.problems = publish(self._store, self._new_salt), ()
        except InputError as error:
            self.problems = _told(error)
        return self.current.revision != before


def _told(error: InputError) -> tuple[str, ...]:
    return error.problems if isinstance(error, PlanError) else (str(error),)


def _last_applied(store: FlagStore, new_salt: Callable[[], str], error: InputError) -> Published:
    stored = store.read()
    if stored.applied is None:
        raise error
    return compiled(stored.applied, stored.ledger, new_salt)[0]
