"""What a plan will come to: the chance of each verdict of the standard table, for a true effect.

One primary metric and one variant are followed through all looks with the rows of the table that rest on
them: worse, better and worth shipping, better but small, minimum effect ruled out, nothing known at the
maximum. No simulation: the law of the test statistic is carried from look to look, in two parts, since a
test that was significant once stays so: paths not yet significant, and paths significant but not shipped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from upshot.errors import InputError
from upshot.stats.crossing import Walk, above, below, between, start
from upshot.stats.design import Design
from upshot.stats.power import power


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """How often each verdict is reached by the maximum; they sum to 1.

    Attributes:
        ship: better, at least worth shipping, every guardrail held: SHIP.
        unproven: the same with a guardrail unproven: DISCUSS.
        small: better, but below the bar: DISCUSS.
        no_effect: the minimum effect is ruled out: KILL.
        worse: significantly worse than control: KILL.
        inconclusive: none of these at the maximum: KILL.
    """

    ship: float
    unproven: float
    small: float
    no_effect: float
    worse: float
    inconclusive: float


@dataclass(frozen=True, slots=True)
class _Rule:
    """The bounds of z at one look.

    Attributes:
        time: information. critical: what is significant.
        worth: from here on the estimate reaches the ship threshold.
        small: below it the ship threshold is ruled out; hopeless: below it the minimum effect is.
        decides: whether the minimum runtime is over. last: the maximum.
    """

    time: float
    critical: float
    worth: float
    small: float
    hopeless: float
    decides: bool
    last: bool


def chances(
    design: Design,
    total: float,
    minimum_effect: float,
    ship_threshold: float,
    guardrails: Sequence[Design] = (),
    first_look: int = 1,
) -> Chances:
    """The chance of each verdict when the design's effect is the truth and ``total`` units come by the maximum.

    The relative thresholds are put on the scale of z where each has its exact chance at one look. Guardrails
    count as independent of the metric and of each other, with the power they have at the maximum. Harm is
    left out: without harm it acts at a rate below ``harm_alpha``. Paths that are significantly worse before
    the first look that decides count as worse.

    Args:
        minimum_effect, ship_threshold: relative, in the wanted direction.
        guardrails: designs with margins, their ``effect`` the truth.
        first_look: the first look at which a verdict may be given (the minimum runtime), from 1.

    Raises:
        InputError: a guardrail without margin, or first_look outside the looks.

    >>> found = chances(Design(baseline=0.1, effect=0.05), 115_520, 0.05, 0.025)
    >>> round(found.ship, 2), round(found.small, 2), round(found.inconclusive, 2)
    (0.8, 0.0, 0.17)
    """
    rules = _rules(design, total, minimum_effect, ship_threshold, first_look)
    reached = dict.fromkeys((field.name for field in fields(Chances)), 0.0)
    drift = design.unit_drift(0.0) * math.sqrt(total)
    waiting, better = start(drift=drift), Walk(0.0, np.empty(0), np.empty(0), drift)
    for rule in rules:
        for name, chance in _outcomes(waiting, better, rule).items():
            reached[name] += chance
        waiting, better = _going_on(waiting, better, rule)
    held, ship = _held(guardrails, total), reached["ship"]
    reached |= {"ship": ship * held, "unproven": ship * (1 - held)}
    return Chances(**{name: min(chance, 1.0) for name, chance in reached.items()})  # quadrature errs by 1e-8


def chance_to_ship(
    design: Design,
    total: float,
    ship_threshold: float,
    guardrails: Sequence[Design] = (),
    first_look: int = 1,
) -> float:
    """The chance of SHIP when the design's effect is the truth: what planning sizes for.

    `chances` with the design's effect as the minimum effect.
    """
    return chances(design, total, design.effect, ship_threshold, guardrails, first_look).ship


def _held(guardrails: Sequence[Design], total: float) -> float:
    for guardrail in guardrails:
        if guardrail.margin is None:
            raise InputError("margin of a guardrail is missing: the chance to hold it needs one")
    return math.prod(power(guardrail, total) for guardrail in guardrails)


def _rules(
    design: Design, total: float, minimum_effect: float, ship_threshold: float, first_look: int
) -> list[_Rule]:
    fractions, bounds = design.schedule
    if design.monitoring == "fixed":
        first_look = 1  # its only look is the decision point
    if not 1 <= first_look <= len(fractions):
        raise InputError(f"first_look is {first_look}: the plan has looks 1 to {len(fractions)}")
    root = math.sqrt(total)
    drift = design.unit_drift(0.0) * root
    # a threshold L is reached in z where treatment - (1 + L) control is 0, and ruled out where that is below -c
    worth = drift - design.unit_drift(ship_threshold) * root
    least = drift - design.unit_drift(minimum_effect) * root
    return [
        _Rule(
            time,
            critical,
            worth * math.sqrt(time),
            worth * math.sqrt(time) - critical,
            least * math.sqrt(time) - critical,
            look >= first_look,
            look == len(fractions),
        )
        for look, (time, critical) in enumerate(zip(fractions, bounds, strict=True), start=1)
    ]


def _outcomes(waiting: Walk, better: Walk, rule: _Rule) -> dict[str, float]:
    """The chance of each verdict at this look, for the paths that are still on."""

    def both(low: float, high: float) -> float:
        """Paths significant by now and between two values of z."""
        fresh = _share(waiting, rule, max(low, rule.critical), high)
        return fresh + _share(better, rule, low, high)

    worse = _share(waiting, rule, -math.inf, -rule.critical)
    if not rule.decides:
        return {"worse": worse}
    small_to = rule.worth if rule.last else min(rule.small, rule.worth)
    hopeless_to = min(rule.hopeless, rule.worth)
    ended = min(rule.hopeless, rule.critical)
    found = {
        "worse": worse,
        "ship": both(rule.worth, math.inf),
        "small": both(-math.inf, small_to),
        "no_effect": both(small_to, hopeless_to) + _share(waiting, rule, -rule.critical, ended),
    }
    if rule.last:
        found["inconclusive"] = _share(waiting, rule, max(ended, -rule.critical), rule.critical)
    return found


def _going_on(waiting: Walk, better: Walk, rule: _Rule) -> tuple[Walk, Walk]:
    """The paths that no verdict has ended, not yet significant and significant."""
    low, top, floor = -rule.critical, math.inf, -math.inf
    if rule.decides:
        low = max(low, min(rule.hopeless, rule.critical))
        top = rule.worth
        floor = max(min(rule.small, rule.worth), min(rule.hopeless, rule.worth))
    still = between(waiting, rule.time, low, rule.critical)
    fresh = between(waiting, rule.time, max(floor, rule.critical), top)
    kept = between(better, rule.time, floor, top)
    nodes, mass = np.append(fresh.nodes, kept.nodes), np.append(fresh.mass, kept.mass)
    return still, Walk(rule.time, nodes, mass, still.drift)


def _share(walk: Walk, rule: _Rule, low: float, high: float) -> float:
    """The chance that a path is between two values of z at this look."""
    if low >= high or not walk.mass.size:
        return 0.0
    root = math.sqrt(rule.time)
    if math.isinf(high):
        return float(above(walk, rule.time, low * root))
    return max(float(below(walk, rule.time, high * root) - below(walk, rule.time, low * root)), 0.0)
