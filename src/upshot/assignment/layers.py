"""Layers: experiments divide the draws of a layer among themselves, so that no unit is in two of them."""

from collections.abc import Mapping

from upshot.assignment.ranges import Allocation, Ranges, divide, resize, size


def share_out(wanted: Mapping[str, float], before: Allocation | None = None) -> dict[str, Ranges]:
    """Ranges of one layer for each experiment; what one holds no other can.

    An experiment keeps what it owns up to its new share; more comes only out of what is free, so nobody is
    moved from one experiment into another that runs.

    Args:
        wanted: experiment -> percentage of the layer, 0 to 100.
        before: experiment -> ranges that it owns now; experiments that are gone give theirs back.

    Raises:
        ValueError: the shares sum to more than 100%.

    >>> owned = share_out({"EXP-1": 50, "EXP-2": 25})
    >>> share_out({"EXP-2": 25, "EXP-3": 75}, owned)["EXP-2"] == owned["EXP-2"]
    True
    """
    total = sum(wanted.values())
    if total > 100 + 1e-9:
        listed = ", ".join(f"{name} {share:g}%" for name, share in wanted.items())
        raise ValueError(f"the layer's shares sum to {total:g}% ({listed}): they may sum to 100% at most")
    sizes = {name: size(resize(share / 100)) for name, share in wanted.items()}
    return divide(sizes, before or {})
