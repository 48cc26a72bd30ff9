"""Flags kept in the control store: what people wrote, what is in force, and the draws given out for it.

The set as a whole is always sound: a change that would leave a mistake in it is refused. Each thing has a version, a
number that only grows, so that of two people who edit it at once the second is told.
"""

import json
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from upshot.assignment.ledger import Ledger
from upshot.errors import ConflictError, InputError, NotFoundError, UnavailableError
from upshot.formats.flags import flags_from_mapping, flags_to_mapping
from upshot.model.flag import FlagSet
from upshot.store.audit import Change, record
from upshot.store.control import ControlStore
from upshot.store.flag_store import Stored
from upshot.store.kill_file import Switched, Switching
from upshot.store.tables import DRAWS, FLAG_STATE, FLAGS, SWITCHINGS, time_text

Place = tuple[str, str]
"""A section (flags, segments, layers, holdouts) and a name in it."""

Versions = Mapping[Place, int]

SWITCHED = {"kill": "flag.killed", "revive": "flag.revived"}
"""What the audit chain calls what is done to a flag."""
_SWITCHING = [field.name for field in fields(Switching)]

_STATE_ID = 1
_ONE_STATE = FLAG_STATE.c.id == _STATE_ID


def put(change: Change, things: FlagSet, expected: Versions | None = None) -> None:
    """Write flags, segments, layers and holdouts; those of the same name are replaced, all others stay.

    Args:
        expected: the versions that were read before the edit, 0 for what was not there; None: whatever is there.

    Raises:
        ConflictError: somebody else changed one of them meanwhile.
        PlanError: the set would hold mistakes; all are named.
    """
    _unchanged(change.connection, expected or {})
    revision = moved(change.connection)
    for place, after in _texts(things).items():
        before = _written(change.connection, place)
        if after != before:
            _write(change.connection, place, {"written": after, "version": revision})
            record(change, "flag.written", _subject(place), before=before, after=after)
    _sound(change.connection)


def remove(change: Change, place: Place, expected: int | None = None) -> None:
    """Take something out; its draws are remembered, in case that it returns.

    Raises:
        NotFoundError: it is not there.
        ConflictError: somebody else changed it meanwhile.
        PlanError: something else needs it.
    """
    before = _written(change.connection, place)
    if before is None:
        raise NotFoundError(f"there is no {place[1]} among the {place[0]}")
    _unchanged(change.connection, {} if expected is None else {place: expected})
    _write(change.connection, place, {"written": None, "version": moved(change.connection)})
    record(change, "flag.removed", _subject(place), before=before)
    _sound(change.connection)


def switch(change: Change, entry: Switching) -> bool:
    """Turn a flag off whatever is written, or give it back; False where that was so already."""
    before = _kills(change.connection)
    if before.after(entry) is before:
        return False
    row = asdict(entry)
    change.connection.execute(insert(SWITCHINGS).values(number=len(before.history) + 1, **row))
    moved(change.connection)
    record(change, SWITCHED[entry.action], f"flag/{entry.flag}", after={"at": time_text(entry.at)})
    return True


def versions(connection: Connection) -> Versions:
    """The version of everything that is written."""
    query = select(FLAGS.c.section, FLAGS.c.name, FLAGS.c.version).where(FLAGS.c.written.is_not(None))
    return {(row.section, row.name): row.version for row in connection.execute(query)}


def revision(connection: Connection) -> int:
    """A number that grows with every change of flags, draws and kills; 0 before the first."""
    return connection.execute(select(FLAG_STATE.c.revision).where(_ONE_STATE)).scalar_one_or_none() or 0


def moved(connection: Connection) -> int:
    """The next revision, which servers see."""
    now = revision(connection) + 1
    if now == 1:
        connection.execute(insert(FLAG_STATE).values(id=_STATE_ID, revision=now, is_applied=False))
    else:
        connection.execute(update(FLAG_STATE).where(_ONE_STATE).values(revision=now))
    return now


class StoredFlags:
    """A `FlagStore` of the flags in a control store."""

    def __init__(self, store: ControlStore, actor: str) -> None:
        """Flags of a store; ``actor`` is who puts them into force, in the audit chain."""
        self._store, self._actor = store, actor
        self._held = threading.local()
        self._seen: Hashable = None
        self._faults = 0

    @property
    def name(self) -> str:
        return self._store.name

    def version(self) -> Hashable:
        """The revision; another one after what was asked for could not be had, so that it is asked for again."""
        try:
            with self._store.reading() as connection:
                self._seen = revision(connection), self._faults
        except UnavailableError:
            return self._seen
        return self._seen

    def read(self) -> Stored:
        change = self._change()
        if change is not None:
            return _read(change.connection)
        with self._told(), self._store.reading() as connection:
            return _read(connection)

    def switch(self, entry: Switching) -> bool:
        with self._told(), self._store.changing(entry.actor, entry.reason) as change:
            return switch(change, entry)

    def write(self, ledger: Ledger, applied: FlagSet) -> None:
        change = self._change()
        if change is not None:
            _apply(change, ledger, applied)
            return
        with self.alone():
            self.write(ledger, applied)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One transaction: what is read and written within it happens at once, or not at all."""
        if self._change() is not None:
            yield
            return
        with self._told(), self._store.changing(self._actor, "put into force") as change:
            self._held.change = change
            try:
                yield
            finally:
                self._held.change = None

    @contextmanager
    def within(self, change: Change) -> Iterator[None]:
        """What is read and written meanwhile belongs to a change that is under way, such as a decision."""
        self._held.change = change
        try:
            yield
        finally:
            self._held.change = None

    def _change(self) -> Change | None:
        return getattr(self._held, "change", None)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UnavailableError as error:
            self._faults += 1
            raise InputError(str(error)) from error


# Rows


def _read(connection: Connection) -> Stored:
    is_applied = connection.execute(select(FLAG_STATE.c.is_applied).where(_ONE_STATE)).scalar_one_or_none()
    ledger = _ledger(connection)
    applied = flags_from_mapping(_things(connection, "applied"), "what is in force") if is_applied else None
    return Stored(
        flags=flags_from_mapping(_things(connection, "written")),
        ledger=ledger,
        applied=applied,
        kills=_kills(connection),
    )


def _kills(connection: Connection) -> Switched:
    rows = connection.execute(select(SWITCHINGS).order_by(SWITCHINGS.c.number)).mappings()
    return Switched(history=tuple(Switching(**{name: row[name] for name in _SWITCHING}) for row in rows))


def _things(connection: Connection, column: str) -> dict[str, dict[str, Any]]:
    text = FLAGS.c[column]
    query = select(FLAGS.c.section, FLAGS.c.name, text).where(text.is_not(None)).order_by(FLAGS.c.name)
    sections: dict[str, dict[str, Any]] = {}
    for section, name, body in connection.execute(query):
        sections.setdefault(section, {})[name] = json.loads(body)
    return sections


def _texts(things: FlagSet) -> dict[Place, str]:
    plain = flags_to_mapping(things)
    return {(section, name): _json(body) for section, named in plain.items() for name, body in named.items()}


def _written(connection: Connection, place: Place) -> str | None:
    return connection.execute(select(FLAGS.c.written).where(*_at(place))).scalar_one_or_none()


def _write(connection: Connection, place: Place, values: Mapping[str, Any]) -> None:
    done = connection.execute(update(FLAGS).where(*_at(place)).values(**values))
    if not done.rowcount:
        section, name = place
        connection.execute(insert(FLAGS).values(section=section, name=name, **{"version": 0, **values}))


def _at(place: Place) -> tuple[Any, Any]:
    return FLAGS.c.section == place[0], FLAGS.c.name == place[1]


def _subject(place: Place) -> str:
    return f"{place[0].removesuffix('s')}/{place[1]}"


def _unchanged(connection: Connection, expected: Versions) -> None:
    found = versions(connection) if expected else {}
    for place, version in expected.items():
        if found.get(place, 0) != version:
            raise ConflictError(
                f"{_subject(place)} was changed meanwhile (version {found.get(place, 0)}, you edited {version}): "
                "look at it again and repeat your edit"
            )


def _sound(connection: Connection) -> None:
    flags_from_mapping(_things(connection, "written"))


# What is in force


def _apply(change: Change, ledger: Ledger, applied: FlagSet) -> None:
    connection = change.connection
    moved(connection)
    draws = _differences(_draws(connection), _drawn(ledger))
    now = {place: json.loads(text) for place, text in _texts(applied).items()}
    things = _differences(_flat(_things(connection, "applied")), now)
    for (section, path), (_, after) in draws.items():
        _draw(connection, section, path, after)
    for place, (_, after) in things.items():
        _write(connection, place, {"applied": None if after is None else _json(after)})
    connection.execute(delete(FLAGS).where(FLAGS.c.written.is_(None), FLAGS.c.applied.is_(None)))
    connection.execute(update(FLAG_STATE).where(_ONE_STATE).values(is_applied=True))
    before, after = (_json({"draws": _side(draws, n), "flags": _side(things, n)}) for n in (0, 1))
    record(change, "flags.applied", "flags", before=before, after=after)


Both = tuple[Any, Any]


def _differences(before: Mapping[Place, Any], after: Mapping[Place, Any]) -> dict[Place, Both]:
    """What is not the same in both, with its values; None where it is missing."""
    pairs = {place: (before.get(place), after.get(place)) for place in {**before, **after}}
    return {place: (old, new) for place, (old, new) in pairs.items() if _json(old) != _json(new)}


def _side(differences: Mapping[Place, Both], number: int) -> dict[str, Any]:
    return {"/".join(place): both[number] for place, both in sorted(differences.items())}


def _flat(sections: Mapping[str, Mapping[str, Any]]) -> dict[Place, Any]:
    return {(section, name): body for section, named in sections.items() for name, body in named.items()}


def _drawn(ledger: Ledger) -> dict[Place, Any]:
    return _flat({section: getattr(ledger, section) for section in _LEDGER})


def _draws(connection: Connection) -> dict[Place, Any]:
    return {(row.section, row.path): json.loads(row.body) for row in connection.execute(select(DRAWS))}


def _draw(connection: Connection, section: str, path: str, body: Any) -> None:
    connection.execute(delete(DRAWS).where(DRAWS.c.section == section, DRAWS.c.path == path))
    if body is not None:
        connection.execute(insert(DRAWS).values(section=section, path=path, body=_json(body)))


def _ledger(connection: Connection) -> Ledger:
    sections: dict[str, dict[str, Any]] = {section: {} for section in _LEDGER}
    for (section, path), body in sorted(_draws(connection).items()):
        sections[section][path] = _LEDGER[section](body)
    return Ledger(**sections)


def _ranges(pairs: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((start, end) for start, end in pairs)


def _allocation(owned: Mapping[str, list[list[int]]]) -> dict[str, tuple[tuple[int, int], ...]]:
    return {name: _ranges(pairs) for name, pairs in owned.items()}


_LEDGER: dict[str, Callable[[Any], Any]] = {
    "salts": str,
    "traffic": _ranges,
    "splits": _allocation,
    "layers": _allocation,
}
"""The sections of a ledger, and how each entry is read."""


def _json(value: object) -> str:
    """As it was written: a 1.0 stays one, since it makes a number flag one of floats, and names keep their order."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
