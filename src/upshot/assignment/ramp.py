"""From an experiment's draws to the winner for everybody, in steps that take it away from nobody who has it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from upshot.assignment.ranges import Allocation, Ranges, merged, recut, resize, size

SPACE = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A share of the units gets the winner, on the experiment's own salt.

    Attributes:
        share: of all units whom the rule is met by, in (0, 1].
        traffic: the share that is drawn at all; the others go on to the next rule.
        weights: variant -> its share among them.
        ranges: of the traffic. split: of the variants.
    """

    share: float
    traffic: float
    weights: dict[str, float]
    ranges: Ranges
    split: Allocation


def ramp(
    split: Allocation,
    traffic: Ranges,
    *,
    winner: str,
    control: str,
    steps: Sequence[float] = (),
    holdback: float = 0.0,
) -> tuple[Stage, ...]:
    """The stages from what an experiment has given out to the winner for all but a holdback.

    Units that have the winner keep it through all of them: traffic grows first, and where all are drawn the winner's
    part does. Steps that would give less than it has already are left out.

    Args:
        split, traffic: the experiment's ranges. steps: shares of units, growing; empty: at once.
        holdback: share of units that keep control at the end, in [0, 1).

    >>> stages = ramp({"a": ((0, 2**31),), "b": ((2**31, 2**32),)}, ((0, 2**32),), winner="b", control="a",
    ...               steps=(0.1, 0.75, 1.0), holdback=0.05)
    >>> [stage.share for stage in stages]
    [0.75, 0.95]
    """
    last = 1.0 - holdback
    has = size(split.get(winner, ())) / SPACE
    given = has * size(traffic) / SPACE
    shares = [min(step, last) for step in steps if given < min(step, last) < last]
    rest = [one for name, owned in split.items() if name != winner for one in owned]
    before: Allocation = {control: merged(rest), winner: split.get(winner, ())}
    return tuple(_stages([*dict.fromkeys(shares), last], has, before, traffic, winner, control))


def _stages(
    shares: Sequence[float], has: float, split: Allocation, ranges: Ranges, winner: str, control: str
) -> Iterator[Stage]:
    for share in shares:
        is_partial = share <= has and share != shares[-1]
        drawn, part = (share / has, has) if is_partial else (1.0, share)
        weights = {control: 1.0 - part, winner: part} if part < 1 else {winner: part}
        split, ranges = recut(weights, split), resize(drawn, ranges)
        yield Stage(share=share, traffic=drawn, weights=weights, ranges=ranges, split=split)
