"""What an edit of a rule does to whom the rule takes: the same units, more, fewer, or others.

Each field of a rule, a rollout and a trial has its judge in `RULE`, `ROLLOUT` and `TRIAL`; a test holds that no
field is without one. What that means for running experiments is told by `edits`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from upshot.assignment.ranges import shares
from upshot.formats.canonical import canonical_json
from upshot.model.flag import Rollout, Rule, Trial

Kind = Literal["safe", "new_phase", "blocked"]
Reach = Literal["same", "wider", "narrower", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One changed field.

    Attributes:
        what: the field with its value before and after, in words.
        reach: whom the rule takes now: the same units, all of them and more, only some of them, or others.
        serves: some units are given another variant than before.
        kind: what it is to the experiment that the rule itself runs; None: what follows from its reach.
        why: the reason of that kind, as a clause that starts with *which*. mend: what to do instead.
    """

    what: str
    reach: Reach = "same"
    serves: bool = False
    kind: Kind | None = None
    why: str = ""
    mend: str = ""


Judge = Callable[[Any, Any], Change | None]


def rule_changes(before: Rule, after: Rule) -> Iterator[Change]:
    """What changed between two states of one rule, field by field."""
    if _form(before) != _form(after):
        what = f"it is a {_form(after)} instead of a {_form(before)}"
        yield Change(what=what, reach="other", serves=True)
        return
    yield from _judged(RULE, before, after)
    if before.rollout and after.rollout:
        yield from _judged(ROLLOUT, before.rollout, after.rollout)
    if before.experiment and after.experiment:
        yield from _judged(TRIAL, before.experiment, after.experiment)


def differ(before: object, after: object) -> bool:
    """Whether two values are not the same to an evaluator (for which ``true`` is not 1)."""
    return canonical_json(before) != canonical_json(after)


def changed_fields(table: Iterable[str], before: object, after: object) -> Iterator[str]:
    """The fields of a table in which two values differ."""
    return (name for name in table if differ(getattr(before, name), getattr(after, name)))


def same_shares(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    """Whether two splits give each variant the same share; a variant of weight 0 is none.

    >>> same_shares({"control": 1, "treatment": 1}, {"control": 50, "treatment": 50, "other": 0})
    True
    """
    old, new = (shares(weights) if any(weights.values()) else {} for weights in (before, after))
    return {name: size for name, size in old.items() if size} == {
        name: size for name, size in new.items() if size
    }


def _judged(table: Mapping[str, Judge], before: object, after: object) -> Iterator[Change]:
    found = (table[name](before, after) for name in changed_fields(table, before, after))
    return (change for change in found if change is not None)


def _form(rule: Rule) -> str:
    return next(name for name in ("rollout", "experiment", "variant") if getattr(rule, name) is not None)


def _elsewhere(before: object, after: object) -> None:
    """The field tells which thing it is, or is judged field by field itself."""


# Whom a rule is met by


def _name(before: Rule, after: Rule) -> Change:
    return Change(what=f"rule {before.id} is called {after.id}", why="which keeps its draws")


def _when(before: Rule, after: Rule) -> Change:
    if after.when is None:
        return Change(what="its condition is gone", reach="wider", serves=True)
    if before.when is None:
        return Change(what="it has a condition", reach="narrower", serves=True)
    return Change(what="its condition changed", reach="other", serves=True)


def _segments(before: Rule, after: Rule) -> Change:
    """No segment is everybody; several are units of any of them."""
    old, new = set(before.segments), set(after.segments)
    if not new or (old and old < new):
        reach: Reach = "wider"
    elif not old or new < old:
        reach = "narrower"
    else:
        reach = "same" if new == old else "other"
    what = f"segments go from {_listed(before.segments)} to {_listed(after.segments)}"
    return Change(what=what, reach=reach, serves=reach != "same")


def _edge(field: str, later_is: Reach, before: Rule, after: Rule) -> Change:
    """A rule in force at another time: for its own experiment the time is the same for all variants."""
    old, new = getattr(before, field), getattr(after, field)
    end = float("-inf") if field == "starts" else float("inf")
    later = (new.timestamp() if new else end) > (old.timestamp() if old else end)
    earlier_is: Reach = "wider" if later_is == "narrower" else "narrower"
    what = f"{field} goes from {_shown(old)} to {_shown(new)}"
    why = "which is the same for all its variants"
    return Change(what=what, reach=later_is if later else earlier_is, serves=True, kind="safe", why=why)


def _constant(before: Rule, after: Rule) -> Change:
    return Change(what=f"variant goes from {before.variant} to {after.variant}", serves=True)


# Shares


def _percentage(field: str, before: object, after: object) -> Change:
    old, new = getattr(before, field), getattr(after, field)
    reach: Reach = "wider" if new > old else "narrower"
    return Change(what=f"{field} goes from {old:g}% to {new:g}%", reach=reach, serves=True)


def _layer_share(before: Trial, after: Trial) -> Change:
    if before.layer is None and after.layer is None:
        return Change(what="layer_share changed", why="which says nothing without a layer")
    return _percentage("layer_share", before, after)


def _rollout_variant(before: Rollout, after: Rollout) -> Change:
    what = f"variant goes from {before.variant or 'none'} to {after.variant or 'none'}"
    return Change(what=what, serves=True)


def _weights(before: Rollout, after: Rollout) -> Change:
    what = f"split goes from {_split(before.split)} to {_split(after.split)}"
    return Change(what=what, serves=True, why="which moves as few units as can be")


def _schedule(before: Rollout, after: Rollout) -> Change:
    what = f"schedule goes from {_steps(before)} to {_steps(after)}"
    return Change(what=what, reach="other", serves=True)


def _rollout_unit(before: Rollout, after: Rollout) -> Change:
    what = f"unit goes from {before.unit} to {after.unit}"
    return Change(what=what, reach="other", serves=True, why="which draws everybody afresh")


# Experiments


def _trial_split(before: Trial, after: Trial) -> Change:
    if same_shares(before.split, after.split):
        return Change(what="split is written in other numbers", why="which are the same shares")
    what = f"split goes from {_split(before.split)} to {_split(after.split)}"
    why = "which would mix two allocations in one phase"
    return Change(what=what, serves=True, kind="new_phase", why=why)


def _phase(before: Trial, after: Trial) -> Change:
    what = f"phase goes from {before.phase} to {after.phase}"
    drawn: Reach = "same" if after.traffic == 100 and before.traffic == 100 else "other"
    if after.phase < before.phase:
        why, mend = "which opens a closed phase again", f"give {before.phase} or more"
        return Change(what=what, reach=drawn, serves=True, kind="blocked", why=why, mend=mend)
    if after.salt is not None and after.salt == before.salt:
        why, mend = "which draws everybody with the salt of the phase before", "leave its salt out"
        return Change(what=what, kind="blocked", why=why, mend=mend)
    why = "which draws everybody afresh and is analysed alone"
    return Change(what=what, reach=drawn, serves=True, kind="safe", why=why)


def _trial_unit(before: Trial, after: Trial) -> Change:
    what = f"unit goes from {before.unit} to {after.unit}"
    why = "which asks another question: its sample and its metrics were planned per unit"
    mend = "stop it and start a new experiment"
    return Change(what=what, reach="other", serves=True, kind="blocked", why=why, mend=mend)


def _layer(before: Trial, after: Trial) -> Change:
    what = f"layer goes from {before.layer or 'none'} to {after.layer or 'none'}"
    return Change(what=what, reach="other", serves=True)


def _holdout(before: Trial, after: Trial) -> Change:
    what = f"holdout goes from {before.holdout or 'none'} to {after.holdout or 'none'}"
    if after.holdout is None:
        return Change(what=what, reach="wider", serves=True)
    return Change(what=what, reach="other" if before.holdout else "narrower", serves=True)


def _attributes(before: Trial, after: Trial) -> Change:
    what = f"attributes go from {_listed(before.attributes)} to {_listed(after.attributes)}"
    return Change(what=what, why="which are only copied into exposures")


def _salt(before: Trial, after: Trial) -> Change:
    if after.salt is None:
        return Change(what="its imported salt is no longer written", why="which keeps the draws")
    drawn: Reach = "same" if after.traffic == 100 and before.traffic == 100 else "other"
    why = "which draws everybody afresh within one phase"
    return Change(what="its salt changed", reach=drawn, serves=True, kind="new_phase", why=why)


# Words


def _split(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items()) or "none"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _steps(rollout: Rollout) -> str:
    return _listed(f"{step.percentage:g}% at {step.at.isoformat()}" for step in rollout.schedule)


def _shown(moment: datetime | None) -> str:
    return moment.isoformat() if moment else "none"


RULE: Mapping[str, Judge] = {
    "id": _name,
    "when": _when,
    "segments": _segments,
    "variant": _constant,
    "rollout": _elsewhere,
    "experiment": _elsewhere,
    "starts": partial(_edge, "starts", "narrower"),
    "until": partial(_edge, "until", "wider"),
}
ROLLOUT: Mapping[str, Judge] = {
    "variant": _rollout_variant,
    "split": _weights,
    "percentage": partial(_percentage, "percentage"),
    "schedule": _schedule,
    "unit": _rollout_unit,
}
TRIAL: Mapping[str, Judge] = {
    "id": _elsewhere,
    "split": _trial_split,
    "phase": _phase,
    "traffic": partial(_percentage, "traffic"),
    "unit": _trial_unit,
    "layer": _layer,
    "layer_share": _layer_share,
    "holdout": _holdout,
    "attributes": _attributes,
    "salt": _salt,
}
