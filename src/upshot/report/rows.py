"""Rows: one comparison each, as every table of a report shows it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from upshot.analysis.result import Bounds, Comparison, Guardrail, MetricResult
from upshot.model.metric import Better, Metric, Role
from upshot.report import scale, words
from upshot.report.findings import Findings
from upshot.report.scale import Scale

Standing = Literal["better", "worse", "unclear", "unknown", "harmed", "held", "unproven"]

WORDS: dict[Standing, str] = {
    "better": "better",
    "worse": "worse",
    "unclear": "no clear difference",
    "unknown": "cannot be said",
    "harmed": "harmed",
    "held": "held",
    "unproven": "not proven",
}
SHOWN = frozenset({"effect", "interval", "lift", "lift_interval", "p_value", "p_value_adjusted"})
KINDS = {
    "proportion": "share of {units}",
    "retention": "share of {units} who came back",
    "funnel": "share of {units} who got through",
    "mean": "mean per {unit}",
    "count": "number per {unit}",
    "ratio": "total over total",
    "quantile": "quantile",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One variant against control on one metric, in words, with the numbers that a bar needs.

    Attributes:
        about: what the metric measures; better: which way is better. control, value: the two averages.
        control_units, units: units behind them. lift, interval: relative, or the plain difference where
            there is no lift (then ``relative`` is False). p: adjusted, over ``tests`` tests; ``*_alone``: as if
            this were the only test.
        standing: better, worse, unclear or unknown; for guardrails their state.
        estimate, bounds: the lift and its interval as numbers, for the bar.
        missing: why numbers are missing, each a sentence.
    """

    metric: str
    variant: str
    role: Role
    about: str
    better: Better
    control: str
    value: str
    control_units: int
    units: int
    lift: str
    interval: str
    relative: bool
    difference: str
    difference_interval: str
    interval_alone: str
    p: str
    p_alone: str
    tests: int
    standing: Standing
    method: str
    estimate: float | None
    bounds: Bounds
    missing: tuple[str, ...]
    guardrail: Guardrail | None

    @property
    def word(self) -> str:
        """The standing in words: never only a colour."""
        return WORDS[self.standing]


def of_role(findings: Findings, role: Role) -> tuple[Row, ...]:
    """The rows of one role, in the plan's order."""
    return tuple(row for row in of_metrics(findings, findings.analysis.metrics) if row.role == role)


def of_metrics(findings: Findings, results: Iterable[MetricResult]) -> tuple[Row, ...]:
    """A row for every comparison of some metrics: the total's or a segment's."""
    return tuple(
        _row(findings, result, comparison) for result in results for comparison in result.comparisons
    )


def _row(findings: Findings, result: MetricResult, comparison: Comparison) -> Row:
    control, treated = result.variants[findings.control], result.variants[comparison.variant]
    before, after = words.amounts([control.mean, treated.mean], result.kind)
    relative = comparison.lift is not None or comparison.effect is None
    lift, lift_interval = words.with_interval(comparison.lift, comparison.lift_interval, relative=True)
    _, alone = words.with_interval(comparison.lift, comparison.lift_interval_unadjusted, relative=True)
    _, change_alone = words.with_interval(
        comparison.effect, comparison.interval_unadjusted, relative=False, kind=result.kind
    )
    change, change_interval = words.with_interval(
        comparison.effect, comparison.interval, relative=False, kind=result.kind
    )
    return Row(
        metric=words.plain(result.name),
        variant=words.plain(comparison.variant),
        role=result.role,
        about=about(findings.metric(result.name), findings.analysis.unit),
        better=result.better,
        control=before,
        value=after,
        control_units=control.n,
        units=treated.n,
        lift=lift if relative else change,
        interval=lift_interval if relative else change_interval,
        relative=relative,
        difference=change,
        difference_interval=change_interval,
        p=words.p_value(comparison.p_value_adjusted, findings.analysis.alpha),
        interval_alone=alone if relative else change_alone,
        p_alone=words.p_value(comparison.p_value, findings.analysis.alpha),
        tests=comparison.tests,
        standing=standing(result, comparison),
        method=comparison.method,
        estimate=comparison.lift,
        bounds=comparison.lift_interval,
        missing=_missing(comparison),
        guardrail=comparison.guardrail,
    )


def _missing(comparison: Comparison) -> tuple[str, ...]:
    """Why numbers of the table are missing, each reason once."""
    shown = (reason for field, reason in comparison.reasons.items() if field.split(".")[0] in SHOWN)
    return tuple(dict.fromkeys(words.sentence(reason) for reason in shown))


def ruler(findings: Findings, shown: Sequence[Row]) -> Scale:
    """The scale that some rows share: the primary metrics lead."""
    lead = [(row.estimate, row.bounds) for row in shown if row.role == "primary"]
    others = [(row.estimate, row.bounds) for row in shown if row.role != "primary"]
    return scale.shared(lead, others, also=bars(findings))


def bars(findings: Findings) -> tuple[float, ...]:
    """The lifts that are worth shipping, where the rule asks for one: up, down, or both."""
    if findings.plan.purpose == "aa" or findings.plan.policy == "do_no_harm":
        return ()
    signs = sorted({metric.sign for metric in findings.plan.of_role("primary")})
    return tuple(sign * findings.plan.worth_shipping for sign in signs)


def standing(result: MetricResult, comparison: Comparison) -> Standing:
    """What a comparison may be called: significance and direction for a goal, the state for a guardrail."""
    if comparison.guardrail is not None:
        return comparison.guardrail.state
    if comparison.p_value_adjusted is None or comparison.effect is None:
        return "unknown"
    if not comparison.significant:
        return "unclear"
    return "better" if (comparison.effect > 0) == (result.better == "higher") else "worse"


def about(metric: Metric, unit: str) -> str:
    """What a metric measures, in a few words.

    >>> about(Metric(name="paid", column="paid", kind="proportion"), "user_id")
    'share of users'
    """
    noun = unit_noun(unit)
    if metric.quantile is not None:
        return "median" if metric.quantile == 0.5 else f"{words.percent(metric.quantile)} quantile"
    if metric.kind == "ratio" and metric.per == "rows":
        return "mean per row"
    if metric.kind == "ratio" and metric.per:
        return f"{words.plain(metric.column)} per {words.plain(metric.per)}"
    return KINDS[metric.kind or "mean"].format(unit=noun, units=f"{noun}s")


def unit_noun(unit: str) -> str:
    """What a unit is called, from its column's name.

    >>> unit_noun("user_id"), unit_noun("row"), unit_noun("")
    ('user', 'row', 'unit')
    """
    name = words.plain(unit).strip()
    for ending in ("_id", "Id", "ID", " id"):
        name = name.removesuffix(ending)
    return name.strip("_ ") or "unit"
