"""Experiments in each other's way: the same flag, the same draws, or the same units judged by the same metric."""

from collections.abc import Iterator
from dataclasses import dataclass

from upshot.assignment.ledger import experiment_place
from upshot.model.flag import FlagSet, Rule
from upshot.model.lifecycle import State
from upshot.services.workspace import Workspace
from upshot.store import experiments
from upshot.store.experiments import Experiment

RUNNING: tuple[State, ...] = ("running", "analyzing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Another experiment that this one meets.

    Attributes:
        other: its id. sentence: what they share. mend: what to do.
        is_serious: their results would not be their own.
    """

    other: str
    sentence: str
    mend: str
    is_serious: bool


def conflicts(workspace: Workspace, experiment: Experiment, flags: FlagSet) -> tuple[Conflict, ...]:
    """The running experiments that one would get into the way of, or does.

    Args:
        flags: as they are written.
    """
    with workspace.store.reading() as connection:
        others = [one for state in RUNNING for one in experiments.listed(connection, state)]
    found = [_conflict(workspace, experiment, one, flags) for one in others if one.id != experiment.id]
    return tuple(one for told in found for one in told)


def _conflict(
    workspace: Workspace, experiment: Experiment, other: Experiment, flags: FlagSet
) -> Iterator[Conflict]:
    mine, theirs = _rule(flags, experiment), _rule(flags, other)
    name = f"{other.id} ({other.design.name})" if other.design.name else other.id
    if experiment.design.flag and experiment.design.flag == other.design.flag:
        if mine is None or theirs is None or not _apart(mine, theirs):
            yield Conflict(
                other=other.id,
                sentence=f"{name} runs on the same flag, {other.design.flag}",
                mend="wait until it is decided, or give both a layer of their own units",
                is_serious=True,
            )
        return
    if _same_salt(workspace, experiment, other):
        yield Conflict(
            other=other.id,
            sentence=f"{name} draws units with the same salt, so that each variant of one holds one of the other",
            mend="leave the imported salt out of one of them",
            is_serious=True,
        )
    shared = _shared_metrics(experiment, other)
    if shared and not (mine and theirs and _apart(mine, theirs)):
        yield Conflict(
            other=other.id,
            sentence=f"{name} is judged by {', '.join(shared)}, too, on units that may meet both",
            mend="put both into one layer where one could undo the other",
            is_serious=False,
        )


def _rule(flags: FlagSet, experiment: Experiment) -> Rule | None:
    rules = (rule for flag in flags.flags.values() for rule in flag.rules)
    return next((rule for rule in rules if rule.experiment and rule.experiment.id == experiment.id), None)


def _apart(mine: Rule, theirs: Rule) -> bool:
    """Whether no unit meets both: they divide a layer between them, or ask for what excludes each other."""
    one, other = mine.experiment, theirs.experiment
    if one and other and one.layer is not None and one.layer == other.layer:
        return True
    first, second = _asked(mine), _asked(theirs)
    return any(name in second and not values & second[name] for name, values in first.items())


def _asked(rule: Rule) -> dict[str, frozenset[str]]:
    """Attributes that must have one of some values, where a condition says so plainly."""
    when = rule.when or {}
    parts = when.get("all", [when])
    asked: dict[str, frozenset[str]] = {}
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict) and part.get("op") in ("eq", "in"):
            value = part.get("value")
            values = value if isinstance(value, list) else [value]
            asked[str(part.get("attr"))] = frozenset(str(one) for one in values)
    return asked


def _same_salt(workspace: Workspace, experiment: Experiment, other: Experiment) -> bool:
    salts = workspace.flags.read().ledger.salts
    mine, theirs = (salts.get(experiment_place(one.id, one.phase)) for one in (experiment, other))
    return mine is not None and mine == theirs


def _shared_metrics(experiment: Experiment, other: Experiment) -> list[str]:
    theirs = {metric.column for metric in other.plan.of_role("primary")}
    return [metric.name for metric in experiment.plan.of_role("primary") if metric.column in theirs]
