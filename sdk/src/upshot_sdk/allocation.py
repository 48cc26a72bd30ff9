"""Reading an allocation: its salt, its unit, and ranges of draws that nobody holds twice."""

from collections.abc import Iterable, Mapping
from typing import Any

from upshot_sdk.bucketing import SPACE, Range
from upshot_sdk.evaluation import Allocation, Gate
from upshot_sdk.node import Node

TARGETING_KEY = "targetingKey"


def read_unit(fields: Mapping[str, Node]) -> str:
    """The attribute that is drawn on; the targeting key where none is named."""
    if "unit" not in fields:
        return TARGETING_KEY
    return fields["unit"].text("the name of an attribute") or TARGETING_KEY


def read_allocation(
    fields: Mapping[str, Node], variants: Mapping[str, Any], gates: tuple[Gate, ...]
) -> Allocation | None:
    """The allocation that these fields describe; problems go to them."""
    salt = fields["salt"].text("a salt")
    traffic = read_ranges(fields["traffic"])
    split = {}
    for variant, node in fields["split"].members():
        split[variant] = read_ranges(node)
        if variant not in variants:
            node.problem(f"there is no such variant: they are {', '.join(variants) or 'none'}")
    clash = overlapping(split.items())
    if clash:
        fields["split"].problem(f"{clash[0]} and {clash[1]} both hold the draw {clash[2]}")
    if salt is None or fields["split"].problems:
        return None
    return Allocation(salt=salt, unit=read_unit(fields), traffic=traffic, split=split, gates=gates)


def read_ranges(node: Node) -> tuple[Range, ...]:
    """Half-open ranges in [0, 2**32) in any order; one that overlaps another is a problem."""
    ranges = [held for piece in node.items("a list of ranges [start, end]") if (held := _range(piece))]
    clash = overlapping((str(index), [held]) for index, held in enumerate(ranges))
    if clash:
        node.problem(f"two ranges hold the draw {clash[2]}")
    return tuple(sorted(ranges))


def _range(node: Node) -> Range | None:
    value = node.value
    if isinstance(value, list | tuple) and len(value) == 2 and all(type(end) is int for end in value):
        start, end = value
        if 0 <= start < end <= SPACE:
            return start, end
    node.expected("a range [start, end] of whole numbers with 0 <= start < end <= 4294967296")
    return None


def overlapping(held: Iterable[tuple[str, Iterable[Range]]]) -> tuple[str, str, int] | None:
    """Two owners that hold the same draw, and the draw; None where all are apart."""
    reach, holder = 0, ""
    for start, end, owner in sorted((start, end, owner) for owner, ranges in held for start, end in ranges):
        if start < reach and owner != holder:
            return holder, owner, start
        if end > reach:
            reach, holder = end, owner
    return None
