"""Edits of flags, classed by what they do to the experiments that run.

*safe*: nobody who is in an experiment is moved, and all variants are touched alike; people may be added.
*new phase*: who can enter, or with which chance, changes: accepted as the start of a phase with a salt of its own.
*blocked*: the experiment, its unit or a variant would mean something else, so that no phase could mend it.

The reasons are in ``docs/decisions/edits.md``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from upshot.assignment.changes import Change, changed_fields, differ, rule_changes
from upshot.assignment.ledger import Ledger
from upshot.assignment.returned import returned_edits
from upshot.assignment.shared import shared_edits
from upshot.assignment.touched import Edit, Pair, World, needing, running, safe, spread
from upshot.model.flag import Flag, FlagSet, Rule

__all__ = ["Edit", "classify"]

Judge = Callable[[Pair[Flag]], Iterable[Edit] | None]
Identity = tuple[str, str]
NOTHING_DRAWN = Ledger()


def classify(
    before: FlagSet, after: FlagSet, now: datetime | None = None, ledger: Ledger = NOTHING_DRAWN
) -> tuple[Edit, ...]:
    """Every edit between what was applied and what shall be applied, each with its class.

    Args:
        before, after: the flags as they are in force, and as somebody wrote them. Both must be valid.
        now: experiments whose rule starts later do not run yet; None: all run.
        ledger: the draws given out so far, by which an experiment is known that had been taken out.

    Raises:
        ValueError: the weights of a split cannot be divided.
    """
    world = World(before=before, after=after, running=tuple(running(before, after, now)))
    return tuple(dict.fromkeys([*_flags(world), *shared_edits(world), *returned_edits(world, ledger)]))


def _flags(world: World) -> Iterator[Edit]:
    old, new = world.before.flags, world.after.flags
    for key in [*old, *(key for key in new if key not in old)]:
        if key not in old:
            yield safe(f"flag {key} is new", flag=key)
        elif key not in new:
            yield safe(f"flag {key} is removed", "which gives everybody the caller's default", key)
            yield from _stopped(world, key, old[key].rules)
        else:
            pair = Pair(world=world, before=old[key], after=new[key])
            for name in changed_fields(FLAG, pair.before, pair.after):
                yield from FLAG[name](pair) or ()


def _stopped(world: World, key: str, rules: Iterable[Rule]) -> Iterator[Edit]:
    """Experiments that the flag ran and runs no more: ended, which is safe, or moved to another flag."""
    for rule in rules:
        if rule.experiment is None:
            continue
        name, what = rule.experiment.id, f"flag {key}, rule {rule.id}: {rule.experiment.id}"
        to = next(
            (other for other, moved in world.rules() if moved.experiment and moved.experiment.id == name),
            None,
        )
        if to is None:
            sentence = f"{what} stops, which enrols nobody from now on and keeps what was measured"
            yield Edit(flag=key, rule=rule.id, kind="safe", sentence=sentence)
        else:
            why = (
                f"which asks another question: keep it in flag {key}, or give the experiment in {to} a new id"
            )
            yield Edit(flag=key, rule=rule.id, kind="blocked", sentence=f"{what} moves to flag {to}, {why}")


# Rules


def _rules(pair: Pair[Flag]) -> Iterator[Edit]:
    old, new = ({_identity(rule): rule for rule in flag.rules} for flag in (pair.before, pair.after))
    gone = [rule for name, rule in old.items() if name not in new]
    yield from _stopped(pair.world, pair.after.key, gone)
    for rule in gone:
        removed = Change(what="it is removed", reach="narrower", serves=True)
        yield from (
            _rule(pair, rule, removed)
            if not rule.experiment
            else spread(pair.world, pair.after.key, rule, removed)
        )
    for name, rule in new.items():
        if name in old:
            for change in rule_changes(old[name], rule):
                yield from _rule(pair, rule, change)
        else:
            yield from _rule(pair, rule, Change(what="it is new", reach="wider", serves=True))
    yield from _order(pair, [name for name in old if name in new], [name for name in new if name in old])


def _identity(rule: Rule) -> Identity:
    """An experiment's rule is the same rule whatever it is called: its draws go by the experiment."""
    return ("experiment", rule.experiment.id) if rule.experiment else ("rule", rule.id)


def _rule(pair: Pair[Flag], rule: Rule, change: Change) -> list[Edit]:
    key = pair.after.key
    what = f"flag {key}, rule {rule.id}: {change.what}"
    why = change.why or "which touches no running experiment"
    return spread(pair.world, key, rule, change) or [safe(what, why, key, rule.id)]


def _order(pair: Pair[Flag], old: list[Identity], new: list[Identity]) -> Iterator[Edit]:
    """Rules that come before an experiment and did not take units that were its own."""
    if old == new:
        return
    key = pair.after.key
    what = f"flag {key}: its rules are in another order"
    edits = []
    for trial in pair.world.of_flag(key):
        name = ("experiment", trial.after.id)
        overtaking = set(new[: new.index(name)]) - set(old[: old.index(name)])
        if overtaking:
            listed = ", ".join(sorted(rule for _, rule in overtaking))
            edits.append(trial.touched(what, f"which puts {listed} before {trial.after.id}"))
    yield from [*edits, *needing(pair.world, key, what)] or [safe(what, flag=key)]


# The other fields of a flag


def _key(pair: Pair[Flag]) -> None:
    """A flag is known by its key: another key is another flag."""


def _type(pair: Pair[Flag]) -> Iterable[Edit]:
    key = pair.after.key
    what = f"flag {key}: type goes from {pair.before.type} to {pair.after.type}"
    why, mend = "which changes the value of every variant", "make a new flag for the new type"
    edits = [trial.blocked(what, f"{why} of {trial.after.id}", mend) for trial in pair.world.of_flag(key)]
    return edits or [safe(what, flag=key)]


def _variants(pair: Pair[Flag]) -> Iterator[Edit]:
    key, old, new = pair.after.key, pair.before.variants, pair.after.variants
    for name in {**old, **new}:
        what = f"flag {key}: variant {name}"
        if name not in old:
            yield safe(f"{what} is new", "which nobody was given before", key)
        elif name not in new:
            yield safe(f"{what} is removed", "which no rule gives now", key)
        elif differ(old[name], new[name]):
            yield from _value(pair, name, f"{what} has another value")


def _value(pair: Pair[Flag], variant: str, what: str) -> Iterable[Edit]:
    key = pair.after.key
    mend = "give the new value a variant of its own, and the experiment a new phase"
    edits = [
        trial.blocked(what, f"which would mix two treatments under one name in {trial.after.id}", mend)
        for trial in pair.world.of_flag(key)
        if trial.before.split.get(variant) or trial.after.split.get(variant)
    ]
    return edits or [safe(what, flag=key)]


def _default(pair: Pair[Flag]) -> Iterable[Edit]:
    key = pair.after.key
    what = f"flag {key}: default goes from {pair.before.default or 'none'} to {pair.after.default or 'none'}"
    why = "which is given only to units that no rule takes"
    return needing(pair.world, key, what) or [safe(what, why, key)]


def _enabled(pair: Pair[Flag]) -> Iterator[Edit]:
    """A kill switch must work at any time: it is the same for all variants, and its return restores the draws."""
    what = f"flag {pair.after.key}: it is turned {'on' if pair.after.enabled else 'off'}"
    yield safe(what, "which is the same for all variants", pair.after.key)


def _overrides(pair: Pair[Flag]) -> Iterator[Edit]:
    what = f"flag {pair.after.key}: overrides changed"
    yield safe(what, "which are for testers and send no exposure", pair.after.key)


def _prerequisites(pair: Pair[Flag]) -> Iterable[Edit]:
    key = pair.after.key
    what = f"flag {key}: prerequisites changed"
    further = needing(pair.world, key, what)
    if _looser(pair.before, pair.after):
        return [safe(what, "which only adds units", key), *further]
    trials = pair.world.of_flag(key)
    edits = [trial.touched(what, f"which changes who can enter {trial.after.id}") for trial in trials]
    return [*edits, *further] or [safe(what, flag=key)]


def _looser(before: Flag, after: Flag) -> bool:
    """Whether each unit that met the prerequisites before meets them now."""
    old = [(needed.flag, set(needed.variants)) for needed in before.prerequisites]
    return all(
        any(flag == needed.flag and variants <= set(needed.variants) for flag, variants in old)
        for needed in after.prerequisites
    )


def _words(pair: Pair[Flag]) -> Iterator[Edit]:
    """Fields that are for people, or that watch and do not assign."""
    for name in changed_fields(WORDS, pair.before, pair.after):
        yield safe(f"flag {pair.after.key}: {name} changed", "which touches no assignment", pair.after.key)


WORDS = ("description", "owner", "expires", "monitoring", "metadata")
FLAG: Mapping[str, Judge] = {
    "key": _key,
    "type": _type,
    "variants": _variants,
    "default": _default,
    "enabled": _enabled,
    "rules": _rules,
    "overrides": _overrides,
    "prerequisites": _prerequisites,
    **dict.fromkeys(WORDS, _words),
}
