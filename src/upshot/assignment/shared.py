"""Edits of what flags share: segments, layers and holdouts. Each field has its judge."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from upshot.assignment.changes import Change, changed_fields
from upshot.assignment.touched import Edit, Pair, World, safe, spread
from upshot.model.flag import Holdout, Layer, Rule, Segment

Judge = Callable[[Pair[Any]], list[Edit] | None]


def shared_edits(world: World) -> Iterator[Edit]:
    """The edits of segments, layers and holdouts."""
    old, new = world.before, world.after
    yield from _named(world, "segment", old.segments, new.segments, SEGMENT)
    yield from _named(world, "layer", old.layers, new.layers, LAYER)
    yield from _named(world, "holdout", old.holdouts, new.holdouts, HOLDOUT)


def _named(
    world: World, kind: str, old: Mapping[str, Any], new: Mapping[str, Any], table: Mapping[str, Judge]
) -> Iterator[Edit]:
    for name in [*old, *(name for name in new if name not in old)]:
        what = f"{kind} {name}"
        if name not in old:
            yield safe(f"{what} is new", "which nothing used before")
        elif name not in new:
            yield safe(f"{what} is removed", "which nothing uses now")
        else:
            pair = Pair(world=world, before=old[name], after=new[name])
            for field in changed_fields(table, pair.before, pair.after):
                yield from table[field](pair) or [safe(f"{what}: {field} changed")]


def _described(pair: Pair[Any]) -> None:
    """Its name tells which it is, and its description is for people."""


def _segment(pair: Pair[Segment]) -> list[Edit]:
    name = pair.after.name
    change = Change(what="its condition changed", reach="other", serves=True)
    return [
        edit
        for key, rule in pair.world.rules()
        if name in _mentioned(pair.world, rule)
        for edit in spread(pair.world, key, rule, change, f"segment {name}")
    ]


def _mentioned(world: World, rule: Rule) -> set[str]:
    """The segments that a rule refers to, and those that they refer to, in either state."""
    found: set[str] = set()
    todo = {*rule.segments, *_segments_in(rule.when)}
    while todo:
        found |= todo
        known = [
            state.segments[name] for state in (world.before, world.after) for name in todo & {*state.segments}
        ]
        todo = {name for segment in known for name in _segments_in(segment.when)} - found
    return found


def _segments_in(condition: object) -> Iterator[str]:
    if isinstance(condition, Mapping):
        if isinstance(condition.get("segment"), str):
            yield condition["segment"]
        for part in condition.values():
            yield from _segments_in(part)
    elif isinstance(condition, list | tuple):
        for part in condition:
            yield from _segments_in(part)


def _layer_unit(pair: Pair[Layer]) -> list[Edit]:
    name = pair.after.name
    what = f"layer {name}: unit goes from {pair.before.unit} to {pair.after.unit}"
    why = "which divides other units among its experiments than they were planned for"
    members = [trial for trial in pair.world.running if name in (trial.before.layer, trial.after.layer)]
    return [trial.blocked(what, why, "make a new layer for experiments on that unit") for trial in members]


def _holdout_unit(pair: Pair[Holdout]) -> list[Edit]:
    name = pair.after.name
    what = f"holdout {name}: unit goes from {pair.before.unit} to {pair.after.unit}"
    why = "which lets out everybody whom it held and holds others"
    members = [trial for trial in pair.world.running if name in (trial.before.holdout, trial.after.holdout)]
    return [trial.blocked(what, why, "make a new holdout for that unit") for trial in members]


def _holdout_share(pair: Pair[Holdout]) -> list[Edit]:
    name, old, new = pair.after.name, pair.before.percentage, pair.after.percentage
    what = f"percentage goes from {old:g}% to {new:g}%"
    change = Change(what=what, reach="narrower" if new > old else "wider", serves=True)
    return [
        edit
        for key, rule in pair.world.rules()
        if rule.experiment and rule.experiment.holdout == name
        for edit in spread(pair.world, key, rule, change, f"holdout {name}")
    ]


SEGMENT: Mapping[str, Judge] = {"name": _described, "when": _segment, "description": _described}
LAYER: Mapping[str, Judge] = {"name": _described, "unit": _layer_unit, "description": _described}
HOLDOUT: Mapping[str, Judge] = {
    "name": _described,
    "percentage": _holdout_share,
    "unit": _holdout_unit,
    "description": _described,
}
