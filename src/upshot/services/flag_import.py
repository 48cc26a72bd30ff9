"""Flags of files brought into the control store: as a whole, with what that changes, and never over a later edit."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime

from sqlalchemy import Connection

from upshot.assignment.payload import NewSalt
from upshot.errors import ConflictError, PlanError
from upshot.model.flag import FlagSet
from upshot.services.flag_diff import Diff, apply, difference
from upshot.services.flags import Published
from upshot.store.control import ControlStore
from upshot.store.flag_store import FlagStore, Stored
from upshot.store.flags import StoredFlags, put, revision, versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What bringing files into a store would change.

    Attributes:
        diff: with what is in force in the store. revision: of the store that it was compared with.
    """

    diff: Diff
    revision: int


def compare(control: ControlStore, files: FlagStore, new_salt: NewSalt, now: datetime) -> Proposed:
    """What `bring` would change; nothing is written.

    Raises:
        PlanError: mistakes in the files, or together with what is in the store; all of them.
        InputError: the files cannot be read. UnavailableError: the store cannot answer.
    """
    with control.reading() as connection:
        number = revision(connection)
    stored, written = StoredFlags(control, "upshot").read(), _sound(files)
    return Proposed(diff=difference(_joined(stored, written), files.name, new_salt, now), revision=number)


def bring(
    control: ControlStore,
    files: FlagStore,
    new_salt: NewSalt,
    now: datetime,
    *,
    actor: str,
    reason: str = "",
    since: int | None = None,
) -> tuple[Diff, Published]:
    """Write the flags of files over those of the same name in the store, which keeps all others; put all into force.

    Args:
        actor, reason: of the audit chain.
        since: the revision that `compare` told; what was edited in the store after it is not written over.

    Raises:
        ConflictError: something was edited since; all of it is named. PlanError: mistakes, or an edit that would spoil
            a running experiment. In each case nothing was written. Else as of `compare`.
    """
    written = _sound(files).flags
    flags = StoredFlags(control, actor)
    with control.changing(actor, reason or f"brought from {files.name}") as change, flags.within(change):
        before = flags.read().flags
        if since is not None:
            _refuse(list(_edited(change.connection, before, written, since)), since)
        put(change, written)
        return apply(flags, new_salt, now)


def _sound(files: FlagStore) -> Stored:
    written = files.read()
    if written.problems:
        raise PlanError(written.problems, files.name)
    return written


def _joined(stored: Stored, written: Stored) -> Stored:
    """What the store would hold."""
    sections = {
        section.name: {**getattr(stored.flags, section.name), **getattr(written.flags, section.name)}
        for section in fields(FlagSet)
    }
    return replace(stored, flags=FlagSet(**sections), sources=written.sources)


def _edited(connection: Connection, before: FlagSet, written: FlagSet, since: int) -> Iterator[str]:
    """What the files would change and was edited after a revision."""
    found = versions(connection)
    for section in fields(FlagSet):
        old = getattr(before, section.name)
        for name, thing in getattr(written, section.name).items():
            version = found.get((section.name, name), 0)
            if version > since and old.get(name) != thing:
                yield f"{section.name}.{name} (revision {version})"


def _refuse(edited: list[str], since: int) -> None:
    if edited:
        raise ConflictError(
            f"{', '.join(edited)}: edited in the store after revision {since}; look at the difference again, and bring "
            "the edit into the files or apply them over it"
        )
