"""Writing flags of the control store: what would be refused when it is put into force is refused at once."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from upshot.errors import ConflictError, NotFoundError
from upshot.formats.flags import flags_from_mapping, flags_to_mapping
from upshot.model.flag import FlagSet
from upshot.services.flags import published_from
from upshot.services.workspace import Workspace
from upshot.store import flags as kept
from upshot.store.audit import Change
from upshot.store.flags import StoredFlags

Section = Literal["flags", "segments", "layers", "holdouts"]


def written(workspace: Workspace, section: Section) -> dict[str, tuple[Mapping[str, Any], int | None]]:
    """What is written in a section: name -> its fields and its version; None where flags are files.

    Raises:
        InputError: the store cannot be read.
    """
    things: Mapping[str, Any] = flags_to_mapping(workspace.flags.read().flags).get(section, {})
    if not isinstance(workspace.flags, StoredFlags):
        return {name: (fields, None) for name, fields in things.items()}
    with workspace.store.reading() as connection:
        versions = kept.versions(connection)
    return {name: (fields, versions.get((section, name))) for name, fields in things.items()}


def write(
    workspace: Workspace,
    section: Section,
    name: str,
    fields: Mapping[str, Any],
    actor: str,
    reason: str = "",
    expected: int | None = None,
) -> None:
    """Write a flag, a segment, a layer or a holdout, and put it into force; all in one transaction.

    Args:
        fields: as in a file, below its name. expected: the version that was read before; 0: it must be new.

    Raises:
        PlanError: it holds mistakes, or would spoil a running experiment; all are named.
        ConflictError: somebody else changed it meanwhile, or flags are files.
    """
    with _changing(workspace, actor, reason) as change:
        whole = flags_to_mapping(workspace.flags.read().flags)
        whole.setdefault(section, {})[name] = dict(fields)
        things = getattr(flags_from_mapping(whole, workspace.flags.name), section)
        one: dict[str, Any] = {section: {name: things[name]}}
        kept.put(change, FlagSet(**one), None if expected is None else {(section, name): expected})


def remove(
    workspace: Workspace,
    section: Section,
    name: str,
    actor: str,
    reason: str = "",
    expected: int | None = None,
) -> None:
    """Take it out, and put that into force.

    Raises:
        NotFoundError: it is not there. PlanError: something needs it, or it would spoil a running experiment.
        ConflictError: somebody else changed it meanwhile, or flags are files.
    """
    with _changing(workspace, actor, reason) as change:
        kept.remove(change, (section, name), expected)


def find(workspace: Workspace, section: Section, name: str) -> tuple[Mapping[str, Any], int | None]:
    """One of them, with its version; None where flags are files.

    Raises:
        NotFoundError: it is not there.
    """
    found = written(workspace, section).get(name)
    if found is None:
        raise NotFoundError(f"there is no {section.removesuffix('s')} {name}: look at the list for its name")
    return found


@contextmanager
def _changing(workspace: Workspace, actor: str, reason: str) -> Iterator[Change]:
    flags = workspace.flags
    if not isinstance(flags, StoredFlags):
        raise ConflictError(
            f"flags are kept in {flags.name}: edit the files there, they are in force a second later"
        )
    with workspace.store.changing(actor, reason) as change, flags.within(change):
        yield change
        published_from(flags, workspace.new_salt, change.at)
