"""Power: how many units a question needs, what they can find, and how long they take.

Effects are relative, and so is the test that will run (Zhou, Lu, Shallah 2023): both variants have noise of
their own. Under looks the boundary is crossed with the chance that is solved for exactly, for group
sequential and always-valid bounds alike; units are those at the maximum.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy.special import nctdtr, ndtr

from upshot.errors import InputError
from upshot.stats import fixed
from upshot.stats.crossing import crossing_probabilities, drift_for
from upshot.stats.design import Design
from upshot.stats.root import solve

_T_MATTERS = 5_000
"""Below these degrees of freedom a fixed test of means is planned with Student's t."""


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How many units a design needs.

    Attributes:
        units: of each variant, control first. total: their sum.
    """

    units: tuple[int, ...]

    @property
    def total(self) -> int:
        """Units of all variants."""
        return sum(self.units)


def sample_size(design: Design) -> SampleSize:
    """The least units at which `power` reaches the power of the design, at the maximum.

    n = drift^2 (v_c / share_c + v_t / share_t) / (effect baseline)^2, the drift being z_{alpha/2} + z_power for
    one look. Fixed tests of means are corrected for t.

    Raises:
        InputError: the effect lies on the side that the test is to rule out.

    >>> sample_size(Design(baseline=0.1, effect=0.05)).units
    (57760, 57760)
    """
    unit = design.unit_drift()
    if unit <= 0:
        raise InputError(
            f"effect is {design.effect}: no number of units can show that it exceeds {design.tested:g}; "
            "give a larger effect or margin"
        )
    fractions, bounds = design.schedule
    total = (drift_for(fractions, bounds, design.power) / unit) ** 2
    least = 2 / min(design.shares)
    total = max(total, least)
    if _uses_t(design, total) and power(design, total) < design.power:
        high = 2 * total + 20
        while power(design, high) < design.power:
            high *= 2
        total = solve(lambda n: power(design, n) - design.power, total, high, 1e-9)
    return SampleSize(tuple(math.ceil(total * share - 1e-6) for share in design.shares))


def power(design: Design, total: float) -> float:
    """The chance to claim the design's effect, in its own direction, by the time ``total`` units are in.

    Args:
        total: units of all variants.

    >>> round(power(Design(baseline=0.1, effect=0.05), 2 * 57_760), 3)
    0.8
    """
    _check_units(total)
    drift = design.unit_drift() * math.sqrt(total)
    if _uses_t(design, total):
        return _power_of_t(design, total, drift)
    fractions, bounds = design.schedule
    up, _ = crossing_probabilities(fractions, bounds, [-bound for bound in bounds], drift)
    return float(up.sum())


def minimum_effect(design: Design, total: float) -> float:
    """The relative effect that ``total`` units find with the design's power; of a margin design, the margin.

    Raises:
        InputError: no effect that this metric can have is large enough.

    >>> round(minimum_effect(Design(baseline=0.1), 2 * 57_760), 4)
    0.05
    """
    _check_units(total)
    low, high = _effect_limits(design)
    trial = replace(design, effect=0.0) if design.margin is None else design
    field = "effect" if design.margin is None else "margin"

    def missing(value: float) -> float:
        return power(_with(trial, field, value), total) - design.power

    while missing(high) < 0:
        if high >= min(_ceiling(design), 1e9):
            raise InputError(
                f"total is {total:g}: no {field} of this metric can be found with power {design.power:g}; "
                "give more units"
            )
        high = min(2 * high, _ceiling(design))
    return solve(missing, low, high, 1e-9)


def power_curve(
    design: Design, total: float, effects: Sequence[float] | None = None
) -> tuple[tuple[float, float], ...]:
    """Pairs of relative effect and power at ``total`` units; None: 41 effects from 0 to twice the design's."""
    if effects is None:
        effects = [design.effect * step / 20 for step in range(41)]
    high = _ceiling(design)
    return tuple(
        (effect, power(replace(design, effect=effect), total)) for effect in effects if effect < high
    )


def runtime_days(total: float, weekly: float, minimum_days: int = 7) -> int:
    """Days until ``total`` units have come at ``weekly`` new units a week: whole weeks, as days differ.

    >>> runtime_days(115_520, 20_000)
    42
    """
    _check_units(total)
    if not 0 < weekly < math.inf:
        raise InputError(f"weekly is {weekly}: give the positive number of new units a week")
    return 7 * max(math.ceil(total / weekly - 1e-9), math.ceil(minimum_days / 7))


def _uses_t(design: Design, total: float) -> bool:
    small = total * min(design.shares) < _T_MATTERS
    return design.monitoring == "fixed" and not design.is_share and small


def _power_of_t(design: Design, total: float, drift: float) -> float:
    """The chance of the noncentral t beyond Welch's critical value."""
    df = _welch_df(design, total)
    critical = fixed.critical(design.level, df)
    below = float(nctdtr(df, drift, critical))
    if not 0 <= below <= 1 or abs(drift) > 30:  # beyond what the library's noncentral t can do
        return float(ndtr(drift - critical))
    return 1 - below


def _welch_df(design: Design, total: float) -> float:
    sizes = [max(share * total, 2.0) for share in (design.shares[0], design.smallest)]
    parts = [variance / n for variance, n in zip(design.variances, sizes, strict=True)]
    below = sum(part**2 / (n - 1) for part, n in zip(parts, sizes, strict=True))
    return sum(parts) ** 2 / below


def _effect_limits(design: Design) -> tuple[float, float]:
    """Where to look for the smallest effect or margin that can be found: from hardly any to the largest."""
    if design.margin is not None:
        return max(-design.effect, 0.0) + 1e-9, 1 - 1e-9
    return 1e-9, min(_ceiling(design), 1.0)


def _ceiling(design: Design) -> float:
    """The largest relative effect that the metric can have in the wanted direction (margins: 1)."""
    if design.margin is not None or design.better == "lower":
        return 1 - 1e-9
    return (1 / design.baseline - 1) * (1 - 1e-9) if design.is_share else math.inf


def _with(design: Design, field: str, value: float) -> Design:
    return replace(design, effect=value) if field == "effect" else replace(design, margin=value)


def _check_units(total: float) -> None:
    if not 0 < total < math.inf:
        raise InputError(f"total is {total}: give the positive number of units of all variants")
