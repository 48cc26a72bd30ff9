"""Flags in force: what people wrote becomes a ruleset that evaluators read, or is refused with every mistake.

`publish` is the one way from a store to evaluators; `Flags` keeps the last good state while files are edited.
"""

import hashlib
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import sleep

from upshot.assignment.edits import Edit, classify
from upshot.assignment.ledger import Ledger
from upshot.assignment.payload import NewSalt, compile_flags
from upshot.errors import InputError, PlanError
from upshot.formats.flag_findings import Finding, Sources
from upshot.model.flag import FlagSet
from upshot.services.flag_reading import read_ruleset
from upshot.store.flag_store import FlagStore, Stored
from upshot_sdk import Ruleset

__all__ = ["FlagStore", "Flags", "Published", "Stored", "publish"]

REST = 0.1  # seconds without a write after which an edit is taken as done


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


def publish(store: FlagStore, new_salt: NewSalt, now: datetime | None = None) -> Published:
    """Put into force what a store holds, and remember the draws.

    Args:
        store: where the flags are kept.
        new_salt: gives a random salt for what has none yet.
        now: experiments that start later may be edited freely; None: all run.

    Raises:
        PlanError: mistakes, or edits that would spoil a running experiment; all are named, nothing was written.
        InputError: the store cannot be read or written.
    """
    return published_from(store, new_salt, now)[0]


def published_from(
    store: FlagStore, new_salt: NewSalt, now: datetime | None = None
) -> tuple[Published, Stored, Ledger]:
    """`publish`, with what the store held before and the draws after it."""
    with store.alone():
        stored = store.read()
        published, ledger = checked(stored, new_salt, store.name)
        refused = [edit for edit in edits(stored, now) if edit.kind != "safe"]
        if refused:
            raise PlanError(told(refused, stored.sources), store.name)
        if ledger != stored.ledger or stored.flags != stored.applied:
            store.write(ledger, stored.flags)
    return published, stored, ledger


def checked(stored: Stored, new_salt: NewSalt, where: str = "flags") -> tuple[Published, Ledger]:
    """What is written, ready to be served, with the draws after it.

    Raises:
        PlanError: everything that is wrong with it, in all files and to the evaluator, at once.
    """
    try:
        published, ledger, findings = _compiled(stored, new_salt)
    except ValueError as error:  # shares that cannot be divided
        raise PlanError([*stored.problems, str(error)], where) from error
    further = [finding for finding in findings if not finding.follows(stored.findings)]
    problems = sorted((*stored.problems, *stored.sources.told(further)), key=_file)
    if problems or published is None:
        raise PlanError(problems, where)
    return published, ledger


def _file(problem: str) -> str:
    return problem.partition(": ")[0]


def applied(store: FlagStore) -> Published:
    """What was put into force last, whatever is written now.

    Raises:
        InputError: nothing was yet, or the draws of what was are gone.
    """
    stored = store.read()
    if stored.applied is None:
        raise InputError(
            f"no flags of {store.name} are in force: put them into force by `upshot flag apply {store.name}`"
        )

    def lost() -> str:
        raise InputError(
            f"the ledger of {store.name} lacks draws of what is in force: bring it back, or apply again"
        )

    last = Stored(flags=stored.applied, ledger=stored.ledger, kills=stored.kills)
    return checked(last, lost, store.name)[0]


def edits(stored: Stored, now: datetime | None = None) -> tuple[Edit, ...]:
    """What was edited since flags were applied last, classed; all of it must be readable."""
    return classify(stored.applied, stored.flags, now, stored.ledger) if stored.applied is not None else ()


def told(refused: Sequence[Edit], sources: Sources) -> list[str]:
    """The sentences of edits, each with the file that it was made in."""
    files = [sources.files.get(f"flags.{edit.flag}", "") for edit in refused]
    return [
        f"{file}: {edit.sentence}" if file else edit.sentence
        for file, edit in zip(files, refused, strict=True)
    ]


def _compiled(stored: Stored, new_salt: NewSalt) -> tuple[Published | None, Ledger, tuple[Finding, ...]]:
    flags = _without_killed(stored)
    payload, after = compile_flags(flags, stored.ledger, new_salt, stored.kills.rounds)
    revision = _revision(payload)
    payload["revision"] = revision
    ruleset, findings = read_ruleset(payload, flags)
    if ruleset is None:
        return None, after, findings
    return Published(revision=revision, body=_json(payload), ruleset=ruleset), after, ()


def _without_killed(stored: Stored) -> FlagSet:
    off = stored.kills.off
    flags = {
        key: replace(flag, enabled=False) if key in off else flag for key, flag in stored.flags.flags.items()
    }
    return replace(stored.flags, flags=flags) if off else stored.flags


def _revision(payload: Mapping[str, object]) -> str:
    try:
        return hashlib.sha256(_json(payload)).hexdigest()[:16]
    except (TypeError, ValueError, RecursionError):
        return "unreadable"  # what JSON has no word for, the evaluator refuses


def _json(payload: Mapping[str, object]) -> bytes:
    """The same payload is the same bytes; a 1.0 stays one, since it makes a number flag one of floats."""
    text = json.dumps(payload, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


class Flags:
    """The flags of a store, kept fresh: a bad edit is told and leaves the last good state in force.

    Attributes:
        current: what is served. problems: why what is written now is not; empty where it is.
    """

    def __init__(
        self, store: FlagStore, new_salt: NewSalt, clock: Callable[[], datetime] | None = None
    ) -> None:
        """Publish the store; where it holds mistakes, what was applied last comes into force again.

        Args:
            store, new_salt: as of `publish`.
            clock: gives now, to know which experiments run; None: the system's.

        Raises:
            InputError: the store holds mistakes (or cannot be read), and nothing was applied before.
        """
        self._store, self._new_salt = store, new_salt
        self._clock = clock or (lambda: datetime.now(UTC))
        self._version = store.version()
        self.problems: tuple[str, ...] = ()
        try:
            self.current = publish(store, new_salt, self._clock())
        except InputError as error:
            self.problems = _sentences(error)
            self.current = _last_applied(store, error)

    def refresh(self) -> bool:
        """Look whether something was edited, and publish it. True where what is served has changed.

        What is still being written (a save of a large file, a checkout of many) is left for the next look: half of
        it may read well, and lack flags. To be called by one thread at a time; readers of ``current`` need no lock.
        """
        version = self._store.version()
        if version == self._version or not self._rests(version):
            return False
        self._version = version
        before = self.current.revision
        try:
            self.current, self.problems = publish(self._store, self._new_salt, self._clock()), ()
        except InputError as error:
            self.problems = _sentences(error)
            self.current = self._switched()
        return self.current.revision != before

    def _switched(self) -> Published:
        """What is in force already, without flags that were killed meanwhile: a kill waits for no mistake's mending."""
        with suppress(InputError):
            last = applied(self._store)
            if last.revision != self.current.revision:
                return last
        return self.current

    def _rests(self, version: Hashable) -> bool:
        sleep(REST)
        return self._store.version() == version


def _sentences(error: InputError) -> tuple[str, ...]:
    return error.problems if isinstance(error, PlanError) else (str(error),)


def _last_applied(store: FlagStore, error: InputError) -> Published:
    try:
        return applied(store)
    except InputError:
        raise error from None
