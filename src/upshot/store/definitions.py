"""Definitions that people write as files or by the API: metrics over events, standards, where alerts go.

Each is kept as the plain values of its format under a section and a name, with a version that only grows. Beside them
is remembered what a directory of files said last, so that what was changed in the store since can be told from what was
changed in the files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from upshot.errors import ConflictError, NotFoundError
from upshot.formats.canonical import content_hash
from upshot.store.audit import Change, record
from upshot.store.tables import DEFINITIONS, FILED

Place = tuple[str, str]
"""A section and a name in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What is kept of one definition.

    Attributes:
        section: ``metrics``, ``standards`` or ``alerts``. name: in it.
        body: plain values, as the section's format has them. version: grows with every change of it.
    """

    section: str
    name: str
    body: Mapping[str, Any]
    version: int


def put(
    change: Change, section: str, name: str, body: Mapping[str, Any], expected: int | None = None
) -> Definition:
    """Write a definition, or the one of that name anew; the same again changes nothing.

    Args:
        body: what the section's format gave; it was read, so it can be read again.
        expected: the version that was read before the edit, 0 for none; None: whatever is there.

    Raises:
        ConflictError: somebody else changed it meanwhile.
    """
    before = _found(change.connection, section, name)
    _unchanged(section, name, before, expected)
    if before is not None and before.body == body:
        return before
    after = Definition(section=section, name=name, body=body, version=(before.version if before else 0) + 1)
    values = {"body": _text(body), "version": after.version}
    if before is None:
        change.connection.execute(insert(DEFINITIONS).values(section=section, name=name, **values))
    else:
        change.connection.execute(update(DEFINITIONS).where(*_at(section, name)).values(**values))
    record(
        change,
        "definition.written",
        f"{section}/{name}",
        before=None if before is None else dict(before.body),
        after=dict(body),
    )
    return after


def remove(change: Change, section: str, name: str, expected: int | None = None) -> None:
    """Take a definition out.

    Raises:
        NotFoundError: it is not there. ConflictError: somebody else changed it meanwhile.
    """
    before = _found(change.connection, section, name)
    if before is None:
        raise NotFoundError(f"there is no {name} among the {section}")
    _unchanged(section, name, before, expected)
    change.connection.execute(delete(DEFINITIONS).where(*_at(section, name)))
    record(change, "definition.removed", f"{section}/{name}", before=dict(before.body))


def listed(connection: Connection, section: str | None = None) -> tuple[Definition, ...]:
    """All definitions, or those of a section, by section and name."""
    query = select(DEFINITIONS).order_by(DEFINITIONS.c.section, DEFINITIONS.c.name)
    if section is not None:
        query = query.where(DEFINITIONS.c.section == section)
    return tuple(
        Definition(
            section=row["section"], name=row["name"], body=json.loads(row["body"]), version=row["version"]
        )
        for row in connection.execute(query).mappings()
    )


def filed(connection: Connection) -> Mapping[Place, str]:
    """What files said last of each thing, experiments and flags too, by a hash of its plain values."""
    return {(row.section, row.name): row.hash for row in connection.execute(select(FILED))}


def file(change: Change, things: Mapping[Place, object | None]) -> None:
    """Remember what files say of some things now; None: they say nothing of it any more.

    It is about files and no decision, so it has no row in the audit chain.
    """
    for (section, name), body in things.items():
        change.connection.execute(delete(FILED).where(FILED.c.section == section, FILED.c.name == name))
        if body is not None:
            row = {"section": section, "name": name, "hash": content_hash(body)}
            change.connection.execute(insert(FILED).values(**row))


def _found(connection: Connection, section: str, name: str) -> Definition | None:
    return next((one for one in listed(connection, section) if one.name == name), None)


def _unchanged(section: str, name: str, before: Definition | None, expected: int | None) -> None:
    version = before.version if before else 0
    if expected is not None and version != expected:
        raise ConflictError(
            f"{section}/{name} was changed meanwhile (version {version}, you edited {expected}): look at it again and "
            "repeat your edit"
        )


def _at(section: str, name: str) -> tuple[Any, Any]:
    return DEFINITIONS.c.section == section, DEFINITIONS.c.name == name


def _text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
