"""How many units get something else after an edit, by the draws that were given out before and after it.

The shares are exact, being sizes of ranges: of the units that a rule is met by, those that the rule gives another
variant than before. Whom conditions let in is not known here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from upshot.assignment.ledger import Ledger, experiment_place
from upshot.assignment.ranges import SPACE, Allocation, Ranges, overlap, size
from upshot.model.flag import FlagSet, Trial

WHOLE: Ranges = ((0, SPACE),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The share (0 to 1) of the units that a rule is met by to which it gives something else now."""

    flag: str
    rule: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What a rule draws: who is enrolled, and who gets which variant. Salts tell whether draws are the same."""

    salt: str
    traffic: Ranges
    split: Allocation
    layer: tuple[str, Ranges] = ("", WHOLE)

    @property
    def enrolled(self) -> float:
        return _share(self.traffic) * _share(self.layer[1])


def moves(before: tuple[FlagSet, Ledger], after: tuple[FlagSet, Ledger]) -> tuple[Move, ...]:
    """Each rule that draws and moves somebody, with the share that it moves. New rules and removed ones count whole."""
    old, new = dict(_draws(*before)), dict(_draws(*after))
    found = (
        Move(
            flag=place[0],
            rule=(new.get(place) or old[place])[0],
            share=moved(*(drawn[place][1] if place in drawn else None for drawn in (old, new))),
        )
        for place in old | new
    )
    return tuple(move for move in found if move.share > 0)


def moved(before: Draw | None, after: Draw | None) -> float:
    """The share of all units that get another variant, or get one at all, or none any more.

    >>> half = {"on": ((0, SPACE // 2),), "off": ((SPACE // 2, SPACE),)}
    >>> moved(Draw(salt="a", traffic=((0, SPACE // 4),), split=half), Draw(salt="a", traffic=WHOLE, split=half))
    0.75
    """
    if before is None or after is None:
        there = after or before
        return there.enrolled if there else 0.0
    if before.salt != after.salt:
        traffic, same = before.enrolled * after.enrolled, _agreeing_at_random(before.split, after.split)
    else:
        traffic = _share(overlap(before.traffic, after.traffic)) * _in_both_layers(before, after)
        same = sum(
            _share(overlap(ranges, after.split.get(variant, ()))) for variant, ranges in before.split.items()
        )
    return before.enrolled + after.enrolled - traffic * (1 + same)


def _in_both_layers(before: Draw, after: Draw) -> float:
    (old_salt, old), (new_salt, new) = before.layer, after.layer
    return _share(overlap(old, new)) if old_salt == new_salt else _share(old) * _share(new)


def _agreeing_at_random(before: Allocation, after: Allocation) -> float:
    return sum(_share(ranges) * _share(after.get(variant, ())) for variant, ranges in before.items())


def _share(ranges: Ranges) -> float:
    return size(ranges) / SPACE


def _draws(flags: FlagSet, ledger: Ledger) -> Iterator[tuple[tuple[str, str], tuple[str, Draw]]]:
    """The draws of enabled flags. An experiment is known by its id, whatever its rule is called."""
    for key, flag in flags.flags.items():
        for rule in flag.rules:
            if flag.enabled and rule.experiment:
                trial = rule.experiment
                path = experiment_place(trial.id, trial.phase)
                yield (key, f"experiment/{trial.id}"), (rule.id, _draw(path, trial, ledger))
            elif flag.enabled and rule.rollout:
                path = f"rollout/{key}/{rule.id}"
                yield (key, path), (rule.id, _draw(path, None, ledger))


def _draw(path: str, trial: Trial | None, ledger: Ledger) -> Draw:
    layer = ("", WHOLE)
    if trial and trial.layer:
        layer = (ledger.salts[f"layer/{trial.layer}"], ledger.layers[trial.layer][trial.id])
    return Draw(salt=ledger.salts[path], traffic=ledger.traffic[path], split=ledger.splits[path], layer=layer)
