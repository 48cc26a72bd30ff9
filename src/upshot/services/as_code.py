"""A workspace as code: files that declare it are compared with the control store, shown, and applied as one change.

What files said last of each thing is remembered. So a thing that only the files changed is applied; one that somebody
changed in the store (a decision, a person, the API) is *drift*, which is shown and left alone unless it is asked to be
overwritten; nothing is undone silently.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from upshot.errors import ConflictError, InputError, PlanError
from upshot.formats.canonical import content_hash
from upshot.formats.declared import (
    EXPERIMENTS,
    STANDARDS,
    Declared,
    Place,
    Plain,
    read_declared,
)
from upshot.formats.event_metrics import SECTION as METRICS
from upshot.formats.event_metrics import metrics_from_mapping
from upshot.formats.experiments import design_to_mapping, design_to_yaml
from upshot.formats.fact_tables import TABLES
from upshot.formats.flags import SECTIONS as FLAG_SECTIONS
from upshot.formats.flags import flags_to_mapping
from upshot.formats.yaml_text import write_yaml
from upshot.services.event_metrics import condition_findings
from upshot.services.experiments import OVER, as_started, edited
from upshot.services.flags import published_from
from upshot.services.workspace import Workspace
from upshot.store import definitions, experiments, flags
from upshot.store.audit import Change
from upshot.store.experiments import Experiment
from upshot.store.flags import StoredFlags
from upshot.store.yaml_files import read_texts

Kind = Literal["create", "change", "remove", "drift", "extra"]
_MISSING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is not the same in files and store.

    Attributes:
        section, name: of the thing.
        kind: ``create``, ``change`` and ``remove`` are what applying does; ``drift`` is what somebody changed in the
            store since files said it; ``extra`` is in the store and was never in files.
        details: what differs, a sentence each.
    """

    section: str
    name: str
    kind: Kind
    details: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Section and name."""
        return self.section, self.name


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the store holds now: plain values, experiments, and what files said last."""

    things: Mapping[Place, Plain]
    experiments: Mapping[str, Experiment]
    filed: Mapping[Place, str]


def read_directory(directory: Path) -> Declared:
    """What the YAML (or JSON) files of a directory and below it declare.

    Raises:
        InputError: there is no such directory. PlanError: everything that is wrong in its files, at once.
    """
    texts, unreadable = read_texts(directory, "what it declares")
    declared = read_declared(texts, str(directory))
    known = _metrics_of(declared.things)
    findings = [one for metric in known.values() for one in condition_findings(metric)]
    problems = [*unreadable, *(f"metrics.{one.name}{one.below}: {one.message}" for one in findings)]
    if problems:
        raise PlanError(problems, str(directory))
    return declared


def compare(workspace: Workspace, declared: Declared) -> tuple[Step, ...]:
    """What applying would do, and what else is not the same; nothing is written.

    Raises:
        InputError: the workspace keeps its flags in files.
    """
    with workspace.store.reading() as connection:
        kept = _kept(_stored_flags(workspace), connection)
    return tuple(_steps(_desired(declared, kept), kept))


def apply(
    workspace: Workspace,
    declared: Declared,
    actor: str,
    reason: str = "",
    *,
    overwrite: bool = False,
    prune: bool = False,
) -> tuple[Step, ...]:
    """Make the store what files declare, all of it in one change or nothing; returns what was done.

    Args:
        overwrite: undo what somebody changed in the store, too. prune: remove what files no longer declare.

    Raises:
        ConflictError: there is drift and it is not to be overwritten, or an experiment that runs would be spoilt.
        PlanError: flags would hold mistakes, or an edit would spoil an experiment.
    """
    stored = _stored_flags(workspace)
    with workspace.store.changing(actor, reason or "applied from files") as change, stored.within(change):
        kept = _kept(stored, change.connection)
        desired = _desired(declared, kept)
        steps = tuple(_steps(desired, kept))
        todo = [one for one in steps if one.kind in ("create", "change") or (one.kind == "remove" and prune)]
        drift = [one for one in steps if one.kind == "drift"]
        if drift and not overwrite:
            raise ConflictError(
                f"{drift[0].section}/{drift[0].name} was changed in the store since files said it: bring the change "
                "into the files (upshot export shows it), or apply with --overwrite to undo it"
            )
        todo += drift
        _check_used(todo, desired, kept)
        _write(workspace, change, declared, desired, todo, kept)
        gone = {
            place: None
            for place in kept.filed
            if place not in desired and (prune or place not in kept.things)
        }
        definitions.file(change, {**desired, **gone})
    return tuple(todo)


def export(workspace: Workspace, directory: Path) -> tuple[Path, ...]:
    """Write what the store holds as files that `read_directory` reads back; returns those that were written.

    Raises:
        InputError: the directory cannot be written, or holds other files of these names.
    """
    with workspace.store.reading() as connection:
        kept = _kept(_stored_flags(workspace), connection)
    texts = dict(_texts(kept))
    for name, text in texts.items():
        path = directory / name
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{path} is there and says something else: give an empty directory, or move it away"
            )
    try:
        for name, text in texts.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{directory} cannot be written ({error.strerror}): name another directory"
        ) from error
    return tuple(directory / name for name in texts)


# What there is


def _stored_flags(workspace: Workspace) -> StoredFlags:
    if not isinstance(workspace.flags, StoredFlags):
        raise InputError(
            "flags of this workspace are in files already: leave --flags out to keep them in the control store"
        )
    return workspace.flags


def _kept(stored: StoredFlags, connection: Any) -> _Kept:
    found = {one.id: one for one in experiments.listed(connection)}
    things: dict[Place, Plain] = {
        (section, name): thing
        for section, named in flags_to_mapping(stored.read().flags).items()
        for name, thing in named.items()
    }
    things |= {(one.section, one.name): one.body for one in definitions.listed(connection)}
    things |= {(EXPERIMENTS, name): design_to_mapping(one.design) for name, one in found.items()}
    return _Kept(things, found, definitions.filed(connection))


def _desired(declared: Declared, kept: _Kept) -> dict[Place, Plain]:
    """What files declare; what the start of an experiment filled in is no difference."""
    desired = dict(declared.things)
    for name, design in declared.designs.items():
        known = kept.experiments.get(name)
        if known is not None and known.started_at is not None:
            desired[EXPERIMENTS, name] = design_to_mapping(as_started(known, design))
    return desired


def _steps(desired: Mapping[Place, Plain], kept: _Kept) -> Iterator[Step]:
    for place in sorted({*desired, *kept.things}, key=_order):
        wanted, there = desired.get(place), kept.things.get(place)
        if wanted is None or there is None or content_hash(wanted) != content_hash(there):
            yield _step(place, wanted, there, kept.filed.get(place))


def _step(place: Place, wanted: Plain | None, there: Plain | None, filed: str | None) -> Step:
    section, name = place
    details = tuple(differences(there or {}, wanted or {}))
    touched = filed is not None and (there is None or content_hash(there) != filed)
    kind: Kind
    if wanted is None:
        kind = "extra" if filed is None or section == EXPERIMENTS else ("drift" if touched else "remove")
    elif there is None:
        kind = "create"
    else:
        kind = "change" if filed is not None and not touched else "drift"
    return Step(section=section, name=name, kind=kind, details=details)


def _order(place: Place) -> tuple[int, str]:
    sections = (STANDARDS, TABLES, METRICS, "segments", "layers", "holdouts", "flags", EXPERIMENTS)
    return (sections.index(place[0]) if place[0] in sections else len(sections), place[1])


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """What differs between two plain values, a sentence for each place.

    >>> list(differences({"plan": {"alpha": 0.05}}, {"plan": {"alpha": 0.01}, "owner": "ann"}))
    ['owner: nothing -> ann', 'plan.alpha: 0.05 -> 0.01']
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            inside = f"{path}.{name}" if path else str(name)
            yield from differences(before.get(name, _MISSING), after.get(name, _MISSING), inside)
    elif before != after:
        yield f"{path}: {_shown(before)} -> {_shown(after)}"


def _shown(value: Any) -> str:
    text = (
        value
        if isinstance(value, str)
        else write_yaml(value).strip().replace("\n", ", ").removesuffix(", ...")
    )
    return text if len(text) <= 60 else text[:57] + "..."


# What is done


def _check_used(todo: list[Step], desired: Mapping[Place, Plain], kept: _Kept) -> None:
    """Refuse to change or take away what a running experiment is measured by.

    Raises:
        ConflictError: the first.
    """
    running = [one for one in kept.experiments.values() if one.state in ("running", "analyzing")]
    for step in todo:
        users = [one.id for one in running if step.section == METRICS and _measures(one, step.name)]
        if users and step.place in kept.things:
            does = "be another one" if step.place in desired else "be gone"
            raise ConflictError(
                f"metrics/{step.name} would {does} for {users[0]}, which has data: give the new definition another name"
            )


def _measures(experiment: Experiment, metric: str) -> bool:
    return any(one.column == metric for one in experiment.plan.metrics)


def _write(
    workspace: Workspace,
    change: Change,
    declared: Declared,
    desired: Mapping[Place, Plain],
    todo: list[Step],
    kept: _Kept,
) -> None:
    flag_steps = [one for one in todo if one.section in FLAG_SECTIONS]
    written = {section: _chosen(declared, section, flag_steps) for section in FLAG_SECTIONS}
    for step in flag_steps:
        if step.place not in desired and step.section == "flags":
            flags.remove(change, step.place)
    if any(written.values()):
        flags.put(change, replace(declared.flags, **written))
    for step in flag_steps:
        if step.place not in desired and step.section != "flags":
            flags.remove(change, step.place)
    if flag_steps:
        published_from(workspace.flags, workspace.new_salt, change.at)
    for step in todo:
        if step.section == EXPERIMENTS:
            _save(change, declared, step.name, kept)
        elif step.section not in FLAG_SECTIONS and step.place in desired:
            definitions.put(change, step.section, step.name, desired[step.place])
        elif step.section not in FLAG_SECTIONS:
            definitions.remove(change, step.section, step.name)


def _chosen(declared: Declared, section: str, steps: list[Step]) -> dict[str, Any]:
    things: Mapping[str, Any] = getattr(declared.flags, section)
    names = {one.name for one in steps if one.section == section}
    return {name: thing for name, thing in things.items() if name in names}


def _save(change: Change, declared: Declared, name: str, kept: _Kept) -> None:
    design = declared.designs[name]
    if name not in kept.experiments:
        experiments.create(change, design)
    elif kept.experiments[name].state in OVER:
        raise ConflictError(f"{name} is {kept.experiments[name].state}: take its changes out of the files")
    else:
        edited(change, name, design)


def _metrics_of(things: Mapping[Place, Plain]) -> Mapping[str, Any]:
    sections: dict[str, dict[str, Plain]] = {}
    for (section, name), body in things.items():
        if section in (METRICS, TABLES):
            sections.setdefault(section, {})[name] = body
    return metrics_from_mapping(sections) if sections else {}


def _texts(kept: _Kept) -> Iterator[tuple[str, str]]:
    """A file for each kind of thing, and one for each experiment."""
    files = dict.fromkeys(FLAG_SECTIONS, "flags.yaml") | dict.fromkeys(
        (METRICS, TABLES, "exposures"), "metrics.yaml"
    )
    contents: dict[str, dict[str, Any]] = {}
    for (section, name), body in sorted(kept.things.items(), key=lambda entry: _order(entry[0])):
        if section == EXPERIMENTS:
            continue
        file = contents.setdefault(files.get(section, f"{section}.yaml"), {})
        if section in (STANDARDS, "exposures"):
            file[section] = dict(body)
        else:
            file.setdefault(section, {})[name] = dict(body)
    yield from ((name, write_yaml(content)) for name, content in contents.items())
    for name, experiment in kept.experiments.items():
        yield f"experiments/{name}.yaml", design_to_yaml(experiment.design)
