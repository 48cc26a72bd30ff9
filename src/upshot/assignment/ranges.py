"""Half-open integer ranges in [0, 2**32): who owns which part of a draw.

A draw is a 32-bit number per unit. An allocation says which ranges each owner (a variant, an experiment in a
layer, the enrolled traffic) holds. Ranges are lists of ``(start, end)``, sorted, disjoint, never touching.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

SPACE = 2**32

Range = tuple[int, int]
Ranges = tuple[Range, ...]
Allocation = Mapping[str, Ranges]


def size(ranges: Iterable[Range]) -> int:
    """How many of the 2**32 draws the ranges hold."""
    return sum(end - start for start, end in ranges)


def merged(ranges: Iterable[Range]) -> Ranges:
    """The same draws as the fewest sorted ranges.

    >>> merged([(5, 9), (0, 3), (3, 5), (12, 12)])
    ((0, 9),)
    """
    result: list[Range] = []
    for start, end in sorted(r for r in ranges if r[1] > r[0]):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return tuple(result)


def without(ranges: Iterable[Range], taken: Iterable[Range]) -> Ranges:
    """The draws in ``ranges`` that are not in ``taken``.

    >>> without([(0, 10)], [(2, 4), (9, 20)])
    ((0, 2), (4, 9))
    """
    left = list(merged(ranges))
    for cut_start, cut_end in merged(taken):
        left = [
            piece
            for start, end in left
            for piece in ((start, min(end, cut_start)), (max(start, cut_end), end))
            if piece[1] > piece[0]
        ]
    return tuple(left)


def overlap(first: Iterable[Range], second: Iterable[Range]) -> Ranges:
    """The draws that both hold."""
    held = merged(first)
    return without(held, without(held, second))


def take(ranges: Iterable[Range], wanted: int) -> tuple[Ranges, Ranges]:
    """The first ``wanted`` draws of the ranges, and the rest.

    >>> take([(0, 4), (10, 20)], 6)
    (((0, 4), (10, 12)), ((12, 20),))
    """
    taken: list[Range] = []
    rest: list[Range] = []
    for start, end in merged(ranges):
        part = min(end - start, max(wanted, 0))
        wanted -= part
        taken.append((start, start + part))
        rest.append((start + part, end))
    return merged(taken), merged(rest)


def shares(weights: Mapping[str, float], total: int = SPACE) -> dict[str, int]:
    """Whole numbers of draws in proportion to the weights, that sum to ``total`` (largest remainder).

    Weights are read as the decimals that a person wrote, so three times 33.3 gives three equal parts.

    Raises:
        ValueError: a weight is negative or not finite, or all are 0.

    >>> shares({"control": 1, "treatment": 2}, total=9)
    {'control': 3, 'treatment': 6}
    """
    exact = {name: _fraction(name, weight) for name, weight in weights.items()}
    whole = sum(exact.values())
    if not whole:
        raise ValueError("all weights are 0: give at least one variant a positive weight")
    quotas = {name: weight * total / whole for name, weight in exact.items()}
    result = {name: int(quota) for name, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda name: result[name] - quotas[name])
    for name in by_remainder[: total - sum(result.values())]:
        result[name] += 1
    return result


def recut(weights: Mapping[str, float], before: Allocation | None = None) -> dict[str, Ranges]:
    """Divide the whole space by weight so that the fewest possible draws change hands.

    Each owner keeps what it has up to its new size and gives up only what is over; what is free goes to those
    that lack it. The draws that move are the sum of what owners lose, which no division can undercut.

    Args:
        weights: owner -> weight; the sizes are their shares of 2**32.
        before: owner -> ranges it holds now; owners that are not in ``weights`` lose everything.

    >>> recut({"control": 1, "treatment": 1})
    {'control': ((0, 2147483648),), 'treatment': ((2147483648, 4294967296),)}
    """
    return divide(shares(weights), before or {}, ((0, SPACE),))


def resize(share: float, before: Sequence[Range] = (), space: Sequence[Range] = ((0, SPACE),)) -> Ranges:
    """Ranges that hold ``share`` (0 to 1) of the whole 2**32, grown or cut from ``before`` within ``space``.

    Growing moves nobody who is in; shrinking lets the fewest out.

    Raises:
        ValueError: ``share`` is outside [0, 1], or ``space`` has no room for it.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}: give a number from 0 to 1")
    wanted = round(_fraction("share", share) * SPACE)
    if wanted > size(space):
        room = size(space) / SPACE
        raise ValueError(f"share is {share:.4g} but only {room:.4g} is free: give less, or free some first")
    return divide({"in": wanted}, {"in": tuple(before)}, space)["in"]


def divide(
    sizes: Mapping[str, int], before: Allocation, space: Sequence[Range] = ((0, SPACE),)
) -> dict[str, Ranges]:
    """Give each owner so many draws of a space: it keeps what it has up to that; more comes only from what is free."""
    kept = {name: take(overlap(before.get(name, ()), space), wanted)[0] for name, wanted in sizes.items()}
    free = without(space, (piece for ranges in kept.values() for piece in ranges))
    result: dict[str, Ranges] = {}
    for name, wanted in sizes.items():
        extra, free = take(free, wanted - size(kept[name]))
        result[name] = merged(kept[name] + extra)
    return result


def _fraction(name: str, weight: float) -> Fraction:
    try:
        exact = Fraction(str(weight))
    except ValueError:
        raise ValueError(f"weight of {name} is {weight}: give a finite number") from None
    if exact < 0:
        raise ValueError(f"weight of {name} is {weight}: give 0 or more")
    return exact
