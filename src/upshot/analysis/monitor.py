"""Monitoring reduced to what inference needs of it: a critical value for intervals and a p-value for tests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from upshot.analysis.result import Look, PastComparison
from upshot.model.plan import Plan
from upshot.stats import always_valid, fixed, group_sequential

DEFAULT_UNITS = 10_000
"""Units in all for which always-valid bounds are tuned where no plan says how many are expected."""
LEAST_EVENTS = 10
"""Always-valid bounds that lean on a normal limit wait for this many units per variant, and where most
outcomes are 0 for this many that are not."""

_NOTHING = 1e-6
"""The information of a look before whose day no unit was matured: it saw nothing, and spends next to nothing."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a comparison is: units of its pair, degrees of freedom, and whether the method may speak."""

    n: int
    df: float
    ripe: bool = True


@dataclass(frozen=True, slots=True)
class Monitor:
    """The plan's monitoring at this look.

    Attributes:
        plan: whose method, spending and alpha are used.
        fractions: information at each look so far, this one last; empty under ``fixed``.
        looks: the looks before this one.
        planned: units of a pair for which always-valid bounds are tuned.
    """

    plan: Plan
    fractions: tuple[float, ...]
    looks: tuple[Look, ...]
    planned: float

    def critical(self, level: float, reach: Reach) -> float:
        """How many standard errors the two-sided interval at ``level`` reaches."""
        if self.plan.monitoring == "fixed":
            return fixed.critical(level, reach.df)
        if self.plan.monitoring == "group_sequential":
            bound = group_sequential.bounds(self.fractions, level, self.plan.spending)[-1]
            return fixed.critical_from_score(bound, reach.df)
        if not reach.ripe:
            return math.inf
        return always_valid.t_critical(reach.n, self.rho, reach.df, level)

    def p_value(self, t: float, reach: Reach, before: float) -> float:
        """The two-sided p-value of a t statistic; under looks the running one, given that of the look before."""
        if self.plan.monitoring == "fixed":
            return fixed.p_from_statistic(t, reach.df)
        if self.plan.monitoring == "group_sequential":
            score = fixed.normal_score(t, reach.df)
            return group_sequential.repeated_p_value(
                self.fractions, score, before, self.plan.spending, self.plan.alpha
            )
        if not reach.ripe:
            return before
        return min(before, always_valid.t_p_value(t, reach.n, self.rho, reach.df))

    @property
    def rho(self) -> float:
        """The tuning of always-valid intervals."""
        return always_valid.tuning(self.planned, self.plan.alpha)

    @property
    def harm_rho(self) -> float:
        """The tuning of the one-sided bounds that decide harm."""
        return always_valid.tuning(self.planned, 2 * self.plan.harm_alpha)

    def past(self, metric: str, variant: str) -> PastComparison | None:
        """The same comparison at the look before."""
        return self.looks[-1].comparisons.get((metric, variant)) if self.looks else None

    def direction(self, metric: str, variant: str) -> int:
        """The sign of the comparison at the look at which its running p was reached; 0 without looks."""
        history = [look.comparisons.get((metric, variant)) for look in self.looks]
        known = [past for past in history if past is not None]
        if not known:
            return 0
        decisive = next(past for past in known if past.p_value == known[-1].p_value)
        return 1 if decisive.fixed_z > 0 else -1


def monitor_of(plan: Plan, information: float, looks: Sequence[Look]) -> Monitor:
    """The monitoring of a plan at a look with this information fraction."""
    fractions: tuple[float, ...] = ()
    if plan.monitoring == "group_sequential":
        so_far = (*(look.information for look in looks), information)
        fractions = tuple(max(fraction, _NOTHING) for fraction in so_far)
    per_variant = plan.planned_units or plan.maximum_units
    return Monitor(plan, fractions, tuple(looks), 2 * per_variant if per_variant else DEFAULT_UNITS)


def is_ripe(n: Sequence[int], zeros: Sequence[int]) -> bool:
    """Whether there is enough in each variant for a normal limit to hold."""
    filled = [units - empty if empty else units for units, empty in zip(n, zeros, strict=True)]
    return min(filled) >= LEAST_EVENTS
