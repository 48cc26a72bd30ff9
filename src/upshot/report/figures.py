"""Figures: the charts that the findings can fill, each with a title and a sentence on reading it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from upshot.analysis.evidence import Histogram
from upshot.report import charts, cohort_views, rows, timeline, words
from upshot.report.charts import Spec
from upshot.report.findings import Findings
from upshot.report.sensitivity import sensitivity

BAND = (
    "Everybody exposed up to each day. The band holds at all days at once, so it is wider than an interval "
    "made for one look."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart with its title and how to read it."""

    title: str
    note: str
    spec: Spec


def figures(findings: Findings) -> tuple[Figure, ...]:
    """Cumulative lift and power of each primary, distributions, exposures: those that the evidence holds."""
    return (
        *lifts(findings),
        *_cohorts(findings),
        *_powers(findings),
        *_distributions(findings),
        *_exposures(findings),
    )


def lifts(findings: Findings) -> Iterator[Figure]:
    """The lift of each primary over time, drawn only when asked for."""
    bar = {1 if value > 0 else -1: value for value in rows.bars(findings)}
    for metric in findings.evidence.metrics:
        if metric.role != "primary":
            continue
        for variant in findings.challengers:
            points = timeline.cumulative(findings, metric, variant)
            if len(points) >= 2:
                name = words.plain(metric.name)
                yield Figure(
                    title=f"Lift of {name} so far" + _of(findings, variant),
                    note=BAND + (" Dashed: worth shipping." if bar else ""),
                    spec=charts.cumulative_lift(points, bar.get(metric.sign), name),
                )


def _cohorts(findings: Findings) -> Iterator[Figure]:
    """The courses of primaries, and who comes back, where cohorts were asked for."""
    primaries = {metric.name for metric in findings.plan.of_role("primary")}
    note = " ".join(cohort_views.remarks(findings))
    for view in cohort_views.trends(findings):
        if view.metric in primaries:
            title = f"Lift of {view.title}"
            yield Figure(title=title, note=note, spec=charts.cohort_trend(view))
    for one in findings.cohorts.returns if findings.cohorts else ():
        variants = findings.evidence.variants
        yield Figure(
            title=f"Who came back: {words.plain(one.of)}",
            note="All cohorts whose day is over, so later days are of fewer and earlier units.",
            spec=charts.returning({name: one.curve(name) for name in variants}, variants),
        )


def _of(findings: Findings, variant: str) -> str:
    return f", {words.plain(variant)}" if len(findings.challengers) > 1 else ""


def _powers(findings: Findings) -> Iterator[Figure]:
    plan = findings.plan
    for result in findings.analysis.metrics:
        found = sensitivity(findings, result) if result.role == "primary" else None
        if found:
            name, units = words.plain(result.name), words.count(found.units)
            all_of = "that came" if found.complete else "planned at most"
            yield Figure(
                title=f"What this test can find in {name}",
                note=f"With the {units} units {all_of}, an effect of {words.percent(found.findable, 1)} is "
                f"found in {words.percent(plan.power, 0)} of such tests. "
                f"Dashed: the {words.percent(plan.minimum_effect)} looked for, and the power wanted.",
                spec=charts.power_curve(found.curve, plan.minimum_effect, plan.power),
            )


def _distributions(findings: Findings) -> Iterator[Figure]:
    kinds = {metric.name: metric.kind for metric in findings.evidence.metrics}
    for name, histogram in findings.evidence.histograms.items():
        if kinds.get(name) not in words.SHARES and len(histogram.edges) > 2:
            label = words.plain(name)
            seen = [variant for variant in findings.evidence.variants if variant in histogram.counts]
            yield Figure(
                title=f"Distribution of {label}",
                note=f"A difference in means can sit in the middle or in the tail: look where the lines part. "
                f"The last step holds everything above.{_cut(histogram, seen)}",
                spec=charts.distribution(histogram, seen, label),
            )


def _cut(histogram: Histogram, variants: Sequence[str]) -> str:
    """What the picture leaves out of a bar that towers over the others."""
    place = charts.spike(histogram)
    if place is None:
        return ""
    shares = [
        f"{words.percent(histogram.counts[name][place] / (sum(histogram.counts[name]) or 1), 1)} of {words.plain(name)}"
        for name in variants
    ]
    start = words.number(histogram.edges[place])
    return f" The bar at {start} is cut off: it holds {words.listing(shares)}."


def _exposures(findings: Findings) -> Iterator[Figure]:
    days = findings.evidence.days
    if len(days) >= 2:
        yield Figure(
            title="New units by day",
            note="Variants should grow side by side; a gap that opens is a failing assignment or a lost log.",
            spec=charts.exposures(
                {day: part.units for day, part in days.items()}, findings.evidence.variants
            ),
        )
