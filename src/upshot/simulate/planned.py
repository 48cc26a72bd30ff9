"""The world that a plan expects: what `upshot plan` and `upshot simulate` follow the rule through."""

import math
from collections.abc import Mapping

from upshot.model.plan import Plan
from upshot.simulate.units import Truth
from upshot.simulate.world import World
from upshot.stats.design import Design


def planned_world(plan: Plan, designs: Mapping[str, Design], weekly: float, lift: float = 0.0) -> World:
    """A world in which every metric of the plan behaves as its design says.

    Shares are drawn as they are; anything else is drawn normal with the design's standard deviation, which is
    all that an analysis of many units sees of it. What covariates explain is taken out of the spread.

    Args:
        plan: its split, maximum runtime and metrics.
        designs: metric name -> what is expected of it; metrics without one do not happen in this world.
        weekly: new units a week, over all variants.
        lift: the true relative effect of every variant beside control on the primaries, in the wanted
            direction (a gain of a metric that should fall is a fall).
    """
    primaries = {metric.name: metric.sign for metric in plan.of_role("primary")}
    variants = dict(plan.split) or {plan.control: 1.0, "treatment": 1.0}
    others = [name for name in variants if name != plan.control]
    truths = {
        name: expected(design, dict.fromkeys(others, lift * primaries.get(name, 0)))
        for name, design in designs.items()
    }
    weights = {plan.control: variants[plan.control]} | {name: variants[name] for name in others}
    return World(truths=truths, daily_units=weekly / 7, days=plan.maximum_days, weights=weights)


def expected(design: Design, lifts: Mapping[str, float]) -> Truth:
    """The truth of one metric that its design expects."""
    left = math.sqrt(1 - design.r_squared)
    if design.std is None and design.r_squared == 0:
        return Truth(shape="binary", baseline=design.baseline, lifts=lifts)
    std = math.sqrt(design.baseline * (1 - design.baseline)) if design.std is None else design.std
    return Truth(shape="normal", baseline=design.baseline, std=std * left / abs(design.baseline), lifts=lifts)
