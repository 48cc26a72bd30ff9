"""Which running experiments an edit touches, and the class that it has for each of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from upshot.assignment.changes import Change, Kind
from upshot.model.flag import FlagSet, Rule, Trial

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One edit and its class.

    Attributes:
        flag, rule: what it touches: the rule of the experiment where one is touched. None: no rule; no flag.
        kind: safe, new_phase (raise the phase of that experiment with it) or blocked.
        sentence: what changed, why it is of that class, and how to mend it.
    """

    flag: str | None
    rule: str | None
    kind: Kind
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An experiment that runs before and after the edit."""

    flag: str
    rule: str
    before: Trial
    after: Trial

    def touched(self, what: str, why: str) -> Edit:
        """The edit changes who can enter, or with which chance: fit for a new phase only."""
        if self.after.phase > self.before.phase:
            sentence = f"{what}: {self.after.id} starts phase {self.after.phase} with it"
            return Edit(flag=self.flag, rule=self.rule, kind="safe", sentence=sentence)
        mend = f"raise the phase of {self.after.id} to {self.before.phase + 1}"
        return Edit(flag=self.flag, rule=self.rule, kind="new_phase", sentence=f"{what}, {why}: {mend}")

    def blocked(self, what: str, why: str, mend: str) -> Edit:
        return Edit(flag=self.flag, rule=self.rule, kind="blocked", sentence=f"{what}, {why}: {mend}")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Both states of all flags, and the experiments that run."""

    before: FlagSet
    after: FlagSet
    running: tuple[Running, ...]

    def rules(self) -> Iterator[tuple[str, Rule]]:
        """Every rule as it is now, with its flag."""
        return ((key, rule) for key, flag in self.after.flags.items() for rule in flag.rules)

    def of_flag(self, key: str) -> tuple[Running, ...]:
        return tuple(trial for trial in self.running if trial.flag == key)

    def below(self, key: str, rule: Rule) -> tuple[Running, ...]:
        """The experiments of a flag that get only whom this rule leaves to them."""
        names = [other.id for other in self.after.flags[key].rules]
        rest = names[names.index(rule.id) + 1 :] if rule.id in names else []
        return tuple(trial for trial in self.of_flag(key) if trial.rule in rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Generic[Thing]):
    """Two states of one thing, within both states of everything."""

    world: World
    before: Thing
    after: Thing


def running(before: FlagSet, after: FlagSet, now: datetime | None) -> Iterator[Running]:
    """The experiments that both states have, but for those whose rule starts after ``now``."""
    for key in [key for key in before.flags if key in after.flags]:
        new = {rule.experiment.id: rule for rule in after.flags[key].rules if rule.experiment}
        for rule in before.flags[key].rules:
            kept = new.get(rule.experiment.id) if rule.experiment else None
            started = now is None or rule.starts is None or rule.starts <= now
            if rule.experiment and kept and kept.experiment and started:
                yield Running(flag=key, rule=kept.id, before=rule.experiment, after=kept.experiment)


def safe(
    what: str,
    why: str = "which touches no running experiment",
    flag: str | None = None,
    rule: str | None = None,
) -> Edit:
    """An edit that no experiment minds."""
    return Edit(flag=flag, rule=rule, kind="safe", sentence=f"{what}, {why}")


# Whom a change of a rule touches


def spread(world: World, key: str, rule: Rule, change: Change, head: str = "") -> list[Edit]:
    """The edits of running experiments that a change of one rule amounts to; none where it touches none."""
    what = f"{head or f'flag {key}, rule {rule.id}'}: {change.what}"
    own = [_own(trial, change, what) for trial in world.of_flag(key) if trial.rule == rule.id]
    taken = world.below(key, rule) if change.reach in ("wider", "other") else ()
    below = [trial.touched(what, f"which takes units before they reach {trial.after.id}") for trial in taken]
    return own + below + (needing(world, key, what, rule, change) if change.serves else [])


def _own(trial: Running, change: Change, what: str) -> Edit:
    name = trial.after.id
    if change.kind == "blocked":
        return trial.blocked(what, change.why, change.mend)
    if change.kind == "new_phase" or (change.kind is None and change.reach in ("narrower", "other")):
        takes = "takes units out of" if change.reach == "narrower" else "changes who can enter"
        return trial.touched(what, change.why or f"which {takes} {name} while it runs")
    why = change.why or (
        f"which only adds units to {name}" if change.reach == "wider" else "which moves nobody"
    )
    return Edit(flag=trial.flag, rule=trial.rule, kind="safe", sentence=f"{what}, {why}")


def needing(
    world: World, key: str, what: str, rule: Rule | None = None, change: Change | None = None
) -> list[Edit]:
    """The edits of experiments whose flag is served only where this flag gives certain variants."""
    return [
        trial.touched(what, f"which changes to whom flag {other} is served, since it needs flag {key}")
        for other in _needing(world, key, rule, change)
        for trial in world.of_flag(other)
    ]


def _needing(world: World, key: str, rule: Rule | None, change: Change | None) -> list[str]:
    """The flags that need this one, and those that need them, where the change may end or begin serving them."""
    found: list[str] = []
    for other in world.after.flags.values():
        wanted = [set(needed.variants) for needed in other.prerequisites if needed.flag == key]
        more = rule is not None and change is not None and change.reach == "wider"
        if wanted and not (more and rule and _gives(rule) <= wanted[0]):
            found.append(other.key)
    for other_key in found:  # grows while it is read
        found += [
            flag.key
            for flag in world.after.flags.values()
            if flag.key not in found and any(needed.flag == other_key for needed in flag.prerequisites)
        ]
    return found


def _gives(rule: Rule) -> set[str]:
    """The variants that a rule can give."""
    if rule.variant is not None:
        return {rule.variant}
    if rule.experiment:
        return set(rule.experiment.split)
    rollout = rule.rollout
    return (set(rollout.split) or {str(rollout.variant)}) if rollout else set()
