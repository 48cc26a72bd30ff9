"""A plan: what is fixed before an experiment starts, so that nobody can fit the rule to the data."""

from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt, MinLen

from upshot.model.metric import Metric

Monitoring = Literal["fixed", "group_sequential", "always_valid"]
Spending = Literal["obrien_fleming", "pocock"]
Family = Literal["holm", "bonferroni", "benjamini_hochberg", "dunnett"]
Policy = Literal["standard", "do_no_harm", "superiority_with_guardrails"]
Purpose = Literal["ab", "aa"]

Share = Annotated[float, Gt(0), Lt(1)]
Whole = Annotated[int, Ge(1)]
Name = Annotated[str, MinLen(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is fixed before the start.

    Attributes:
        metrics: all metrics with their roles; at least one primary (the standard policy needs it).
        control: the variant that the others are compared with.
        split: relative weight of each variant, control included; empty: not declared.
        id, name, hypothesis, owner: who asked what; texts, may be empty.
        unit: what is randomised, in words and as a column name (``user_id``).
        unit_kind: where units are accounts the floor of 1,000 only warns.
        purpose: ``aa`` compares like with like and has a verdict of its own: healthy or not.
        minimum_effect: relative; what the sample is sized for (0.05 = 5%).
        ship_threshold: relative; the estimate that is worth shipping; None: half of minimum_effect.
        alpha: two-sided level of the primary family, in (0, 1).
        power: chance to see minimum_effect, in (0, 1).
        monitoring, spending, futility: the method that keeps alpha under repeated looks.
        looks: how many looks were planned up to the maximum (daily: its days); at least 1.
        minimum_days, maximum_days: runtime in days.
        planned_units: units per variant at the planned end, or None where not computed.
        maximum_units: units per variant at the maximum, where information is 1; None: planned_units.
        floor: the least units per variant before any benefit is claimed.
        family: correction over primaries x non-control variants.
        harm_alpha: one-sided level of guardrail harm, apart from alpha.
        policy: the table that turns an analysis into a verdict.
        tie_break: which of several variants that reach SHIP is taken: a metric's name, ``largest_lift``
            or ``first``; None: people discuss.
        start, end: calendar days, where known.
        final: the data are complete (a file without a plan): runtime and maximum count as reached and
            the floor only warns.
    """

    metrics: tuple[Metric, ...]
    control: Name = "control"
    split: dict[str, Annotated[float, Ge(0)]] = field(default_factory=dict)
    id: str = ""
    name: str = ""
    hypothesis: str = ""
    owner: str = ""
    unit: Name = "unit"
    unit_kind: Literal["user", "session", "account", "other"] = "user"
    purpose: Purpose = "ab"
    minimum_effect: Share = 0.05
    ship_threshold: Annotated[float, Ge(0), Lt(1)] | None = None
    alpha: Share = 0.05
    power: Share = 0.8
    monitoring: Monitoring = "fixed"
    spending: Spending = "obrien_fleming"
    futility: bool = False
    looks: Whole = 28
    minimum_days: Whole = 7
    maximum_days: Whole = 28
    planned_units: Whole | None = None
    maximum_units: Whole | None = None
    floor: Annotated[int, Ge(0)] = 1000
    family: Family = "holm"
    harm_alpha: Share = 0.01
    policy: Policy = "standard"
    tie_break: str | None = None
    start: date | None = None
    end: date | None = None
    final: bool = False

    @property
    def worth_shipping(self) -> float:
        """The ship threshold that is in force (relative)."""
        return self.minimum_effect / 2 if self.ship_threshold is None else self.ship_threshold

    def of_role(self, role: str) -> tuple[Metric, ...]:
        """The metrics of one role, in the plan's order."""
        return tuple(metric for metric in self.metrics if metric.role == role)
