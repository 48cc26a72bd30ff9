"""Sets of characters as ranges of code points: which characters a piece of a pattern can begin with or repeat."""

from collections.abc import Iterable

LAST = 0x10FFFF
Characters = tuple[tuple[int, int], ...]


def union(*sets: Iterable[tuple[int, int]]) -> Characters:
    """The characters of all sets as the fewest sorted, inclusive ranges.

    >>> union([(97, 99)], [(100, 105), (48, 57)])
    ((48, 57), (97, 105))
    """
    result: list[tuple[int, int]] = []
    for low, high in sorted(piece for characters in sets for piece in characters):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return tuple(result)


def complement(characters: Characters) -> Characters:
    edges = [-1, *(edge for piece in characters for edge in piece), LAST + 1]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return tuple((low + 1, high - 1) for low, high in gaps if low + 1 <= high - 1)


def meet(first: Characters, second: Characters) -> bool:
    """Whether a character is in both."""
    return any(a <= d and c <= b for a, b in first for c, d in second)


def both_cases(characters: Characters) -> Characters:
    """With each ASCII letter its other case."""
    upper = [(max(low, 65) + 32, min(high, 90) + 32) for low, high in characters if low <= 90 and high >= 65]
    lower = [
        (max(low, 97) - 32, min(high, 122) - 32) for low, high in characters if low <= 122 and high >= 97
    ]
    return union(characters, upper, lower)
