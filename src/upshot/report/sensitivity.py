"""Sensitivity: what the test of a metric could find, by the size of the true effect."""

from dataclasses import dataclass

from upshot.analysis.evidence import Sample
from upshot.analysis.result import MetricResult
from upshot.errors import InputError
from upshot.report import words
from upshot.report.findings import Findings
from upshot.stats.design import Design, unit_std
from upshot.stats.power import minimum_effect, power_curve

STEPS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """The chance to find an effect with a number of units.

    Attributes:
        curve: relative effect in the wanted direction -> chance to find it, ascending.
        findable: the effect that is found with the plan's power; units: of all variants.
        complete: whether these are the units that came; else those of the plan's maximum.
    """

    curve: tuple[tuple[float, float], ...]
    findable: float
    units: int
    complete: bool


def sensitivity(findings: Findings, result: MetricResult) -> Sensitivity | None:
    """What the test of a primary metric can find; None where that cannot be computed.

    It cannot for quantiles, for rows in clusters, and where control gives no baseline or no spread.
    """
    control = findings.evidence.total.samples.get(result.name, {}).get(findings.control)
    if control is None or control.clusters is not None or result.kind == "quantile":
        return None
    units, complete = _units(findings)
    try:
        design = _design(findings, result, control)
        findable = minimum_effect(design, units)
        top = min(max(2 * findings.plan.minimum_effect, 1.5 * findable), 5 * findable)
        curve = power_curve(design, units, [top * step / STEPS for step in range(STEPS + 1)])
    except InputError:  # such data have no power to speak of: no baseline, no spread, no room above it
        return None
    return Sensitivity(curve=curve, findable=findable, units=units, complete=complete)


def _units(findings: Findings) -> tuple[int, bool]:
    """Units of all variants at the maximum, or those that came where it is reached or not known."""
    came = sum(findings.evidence.total.units.values())
    most = (findings.plan.maximum_units or findings.plan.planned_units or 0) * len(findings.evidence.variants)
    if findings.analysis.progress.maximum_reached or most <= came:
        return came, True
    return most, False


def _design(findings: Findings, result: MetricResult, control: Sample) -> Design:
    """The plan's test with control's baseline and spread, and the units as they were really split."""
    plan = findings.plan
    share = result.kind in words.SHARES
    explained = [one.variance_reduction for one in result.comparisons if one.variance_reduction is not None]
    units = findings.evidence.total.units
    return Design(
        kind=result.kind,
        baseline=result.variants[findings.control].mean or 0.0,
        std=None if share else unit_std(control.moments),
        effect=0.0,
        better=result.better,
        weights=tuple(float(units.get(name, 0)) for name in findings.evidence.variants),
        alpha=plan.alpha,
        power=plan.power,
        monitoring=plan.monitoring,
        spending=plan.spending,
        looks=plan.looks,
        tests=max(1, len(plan.of_role("primary")) * len(findings.challengers)),
        family=plan.family,
        r_squared=min(max(0.0, *explained), 0.99) if explained else 0.0,
    )
