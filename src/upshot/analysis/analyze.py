"""Plan and evidence in, analysis out: a pure function of values, the same for a file, a replay, a simulation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from upshot.analysis import checks as checking
from upshot.analysis.belief import prior_of, with_belief
from upshot.analysis.closing import closed, futility_notes
from upshot.analysis.comparison import Tested, compare, past_of
from upshot.analysis.estimates import Estimates, estimates_of
from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.analysis.fade import fade_of
from upshot.analysis.family import comparisons_of, replaced
from upshot.analysis.guardrails import Watch, assess
from upshot.analysis.monitor import Monitor, is_ripe, monitor_of
from upshot.analysis.progress import days_since, information_of, progress_of
from upshot.analysis.result import (
    Analysis,
    Comparison,
    Fade,
    Guardrail,
    Look,
    MetricResult,
    PastComparison,
    Progress,
    SegmentResult,
    VariantSummary,
)
from upshot.model.metric import Metric
from upshot.model.plan import Family, Plan
from upshot.stats.moments import Moments


@dataclass(frozen=True, slots=True)
class _Measured:
    """One metric in one slice: its estimates and its tests, before families."""

    metric: Metric
    samples: Mapping[str, Sample]
    estimates: Estimates
    tested: tuple[Tested, ...]


def analyze(
    plan: Plan,
    evidence: Evidence,
    looks: Sequence[Look] = (),
    day: date | None = None,
    closing: bool = True,
) -> Analysis:
    """What the plan and the evidence say.

    Args:
        plan: what was fixed beforehand (or `Plan.final` for data without a plan).
        evidence: what is known of the data now.
        looks: all looks before this one, oldest first; under monitoring they carry the running p-values.
        day: today, where the calendar matters; None: the last day of first exposure, if known.
        closing: whether to give end-of-test answers and futility advice; no verdict needs them, and a simulation
            of thousands of worlds can spare their cost.

    Returns:
        The analysis; its ``look`` belongs at the end of ``looks`` next time.
    """
    today = day or max(evidence.days, default=None)
    first = min(evidence.days, default=None)
    days = days_since(plan, today, first)
    units, matured = evidence.total.units, evidence.matured
    information = information_of(plan, matured, days)
    monitor = monitor_of(plan, information, looks)
    measured = _measure(evidence, evidence.total, monitor)
    primary = next((one.estimates for one in measured if one.metric.role == "primary"), None)
    progress = progress_of(plan, matured, days, plan.start or first, primary)
    results, pasts = _results(plan, measured, monitor, progress, closing)
    return Analysis(
        unit=evidence.unit,
        control=evidence.control,
        monitoring=plan.monitoring,
        alpha=plan.alpha,
        look=Look(
            number=len(looks) + 1, information=information, comparisons=pasts, units=dict(units), day=today
        ),
        progress=progress,
        checks=checking.check_all(plan, evidence, looks, progress.maximum_reached),
        metrics=results,
        segments=_segments(plan, evidence, monitor),
        fades=_fades(plan, evidence, results),
        notes=_notes(measured, monitor) + _futility(measured, monitor, closing),
        prior=prior_of(plan).name,
    )


def _measure(evidence: Evidence, part: Slice, monitor: Monitor) -> list[_Measured]:
    return [
        _measure_one(metric, part.samples[metric.name], evidence.control, evidence.variants, monitor)
        for metric in evidence.metrics
        if metric.name in part.samples
    ]


def _measure_one(
    metric: Metric, given: Mapping[str, Sample], control: str, variants: Sequence[str], monitor: Monitor
) -> _Measured:
    samples = {name: given[name] if name in given else _nobody(given) for name in variants}
    estimates = estimates_of(metric, samples)
    tested = tuple(
        compare(metric.name, estimates, control, name, monitor, _ripe(samples, control, name), metric.sign)
        for name in variants
        if name != control
    )
    return _Measured(metric, samples, estimates, tested)


def _nobody(given: Mapping[str, Sample]) -> Sample:
    """A variant that no unit of the slice is in."""
    names = next(iter(given.values())).moments.names if given else ("outcome",)
    return Sample(moments=Moments.empty(names))


def _ripe(samples: Mapping[str, Sample], control: str, variant: str) -> bool:
    pair = (samples[control], samples[variant])
    if any(sample.clusters is not None for sample in pair):
        return True
    return is_ripe([sample.moments.n for sample in pair], [sample.zeros for sample in pair])


def _results(
    plan: Plan, measured: Sequence[_Measured], monitor: Monitor, progress: Progress, closing: bool
) -> tuple[tuple[MetricResult, ...], dict[tuple[str, str], PastComparison]]:
    """The metrics with their families, and what the next look must know of them."""
    guarded = {
        (one.metric.name, test.variant): assess(_watch(plan, one, test, measured, monitor))
        for one in measured
        if one.metric.role == "guardrail"
        for test in one.tested
    }
    comparisons: dict[tuple[str, str], Comparison] = {}
    for role, family in _families(plan).items():
        tested = [test for one in measured if one.metric.role == role for test in one.tested]
        for test, comparison in zip(tested, comparisons_of(tested, family, monitor), strict=True):
            comparisons[test.metric, test.variant] = comparison
    finish = _finisher(plan, measured, monitor, progress, closing)
    results = tuple(_result(one, comparisons, finish) for one in measured)
    results = tuple(_with_guardrails(result, guarded) for result in results)
    pasts = {
        (test.metric, test.variant): past
        for one in measured
        for test in one.tested
        if (past := past_of(test) or monitor.past(test.metric, test.variant)) is not None
    }
    for key, guardrail in guarded.items():
        if key in pasts:
            pasts[key] = replace(pasts[key], harm_p_value=guardrail.p_value or 1.0)
    return results, pasts


def _with_guardrails(result: MetricResult, guarded: Mapping[tuple[str, str], Guardrail]) -> MetricResult:
    if result.role != "guardrail":
        return result
    found = tuple(replace(one, guardrail=guarded[result.name, one.variant]) for one in result.comparisons)
    return replace(result, comparisons=found)


def _watch(
    plan: Plan, one: _Measured, test: Tested, measured: Sequence[_Measured], monitor: Monitor
) -> Watch:
    judged = sum(len(other.tested) for other in measured if other.metric.role == "guardrail")
    past = monitor.past(one.metric.name, test.variant)
    return Watch(
        metric=one.metric,
        tested=test,
        control=one.samples[plan.control],
        variant=one.samples[test.variant],
        monitor=monitor,
        level=plan.harm_alpha / max(judged, 1),
        before=past.harm_p_value if past else 1.0,
    )


Finisher = Callable[[Metric, Tested, Comparison], Comparison]


def _finisher(
    plan: Plan, measured: Sequence[_Measured], monitor: Monitor, progress: Progress, closing: bool
) -> Finisher:
    """What is added to a comparison once its family is known: harm, belief, end-of-test answers."""
    judged = sum(len(one.tested) for one in measured if one.metric.role == "primary")
    level = plan.harm_alpha / max(judged, 1)

    def finish(metric: Metric, tested: Tested, comparison: Comparison) -> Comparison:
        result = with_belief(comparison, tested, metric, plan, progress.decision_point)
        if metric.role == "primary":
            harmed = tested.harm_p_value <= level and tested.harm_p_value < 1
            result = replace(result, harm=harmed)
        over = progress.maximum_reached or result.significant
        last = closing and over and metric.role != "guardrail"
        return closed(result, tested, monitor) if last else result

    return finish


def _result(
    one: _Measured, comparisons: Mapping[tuple[str, str], Comparison], finish: Finisher | None
) -> MetricResult:
    metric = one.metric
    found = tuple(
        finish(metric, test, comparisons[metric.name, test.variant])
        if finish
        else comparisons[metric.name, test.variant]
        for test in one.tested
    )
    return MetricResult(
        name=metric.name,
        kind=metric.kind or "mean",
        role=metric.role,
        better=metric.better,
        variants={name: _summary(one, name) for name in one.samples},
        comparisons=found,
    )


def _summary(one: _Measured, variant: str) -> VariantSummary:
    """Units, mean and standard deviation as measured: covariates change effects, not what was seen."""
    sample = one.samples[variant]
    moments = sample.moments
    arm = _plain_arm(one, sample, variant)
    mean = arm if arm == arm else None
    std = _std(moments) if sample.clusters is None and one.metric.kind != "quantile" else None
    reasons = {}
    if mean is None:
        reasons["mean"] = "no unit has an outcome"
    if std is None:
        reasons["std"] = (
            "a standard deviation needs at least 2 units"
            if moments.n < 2
            else "units are clusters or the metric is a quantile: read the standard error"
        )
    share = None
    if sample.uncapped is not None and sample.uncapped.n:
        whole = sample.uncapped.mean()
        share = (whole - moments.mean()) / whole if whole else None
    return VariantSummary(
        n=_units(sample), mean=mean, std=std, missing=sample.missing, immature=sample.immature,
        capped_units=sample.capped_units, capped_value_share=share, reasons=reasons,
    )  # fmt: skip


def _units(sample: Sample) -> int:
    if sample.clusters is not None:
        return sample.clusters.n
    return sample.quantile.n if sample.quantile is not None else sample.moments.n


def _plain_arm(one: _Measured, sample: Sample, variant: str) -> float:
    if sample.clusters is not None or one.metric.kind == "quantile":
        return one.estimates.arms[variant].value
    moments = sample.moments
    if moments.n == 0:
        return float("nan")
    if not moments.is_ratio:
        return moments.mean()
    below = moments.mean("denominator")
    return moments.mean() / below if below else float("nan")


def _std(moments: Moments) -> float | None:
    if moments.n < 2:
        return None
    return float(max(moments.var(), 0.0) ** 0.5)


def _segments(plan: Plan, evidence: Evidence, monitor: Monitor) -> dict[str, dict[str, SegmentResult]]:
    """Every value of every segment column; primaries and secondaries of all of them are one family."""
    alone = replace(monitor, looks=())
    measured = {
        (column, value): _measure(evidence, part, alone)
        for column, values in evidence.segments.items()
        for value, part in values.items()
    }
    tests = [
        ((place, one.metric.name, test.variant), test)
        for place, found in measured.items()
        for one in found
        if one.metric.role != "guardrail"
        for test in one.tested
    ]
    corrected = comparisons_of([test for _, test in tests], "holm", alone)
    comparisons = {key: comparison for (key, _), comparison in zip(tests, corrected, strict=True)}
    splits = checking.segment_checks(plan, evidence)
    result: dict[str, dict[str, SegmentResult]] = {}
    for (column, value), found in measured.items():
        own = {
            (name, variant): comparison
            for (place, name, variant), comparison in comparisons.items()
            if place == (column, value)
        }
        metrics = tuple(_result(one, own, None) for one in found if one.metric.role != "guardrail")
        result.setdefault(column, {})[value] = SegmentResult(
            checks=(splits[column, value],), metrics=tuple(_later(metric) for metric in metrics)
        )
    return result


def _later(metric: MetricResult) -> MetricResult:
    """Segments are exploratory: no belief is given for them."""
    why = "segments are exploratory: no prior is set for them"
    fields = dict.fromkeys(("p_win", "expected_loss", "shrunken_lift"), why)
    return replace(
        metric,
        comparisons=tuple(replace(one, reasons={**one.reasons, **fields}) for one in metric.comparisons),
    )


def _fades(plan: Plan, evidence: Evidence, results: Sequence[MetricResult]) -> tuple[Fade, ...]:
    """Trends of primaries that are better: only they could be shipped on an effect that goes away."""
    by_name = {metric.name: metric for metric in evidence.metrics}
    found = [
        fade_of(plan, by_name[result.name], one.variant, evidence.days)
        for result in results
        if result.role == "primary"
        for one in result.comparisons
        if one.significant and one.effect is not None and one.effect * by_name[result.name].sign > 0
    ]
    return tuple(fade for fade in found if fade is not None)


def _futility(measured: Sequence[_Measured], monitor: Monitor, closing: bool) -> tuple[str, ...]:
    primaries = [one for one in measured if one.metric.role == "primary"]
    tested = [(test, one.metric.sign) for one in primaries for test in one.tested]
    return futility_notes(tested, monitor) if closing else ()


def _notes(measured: Sequence[_Measured], monitor: Monitor) -> tuple[str, ...]:
    """What was done other than the plan names it."""
    notes = []
    for role, family in _families(monitor.plan).items():
        tested = [test for one in measured if one.metric.role == role for test in one.tested]
        why = replaced(tested, family, monitor)
        if why is not None:
            notes.append(f"{why}, so Holm corrects the {_PLURAL[role]}")
    return tuple(notes)


_PLURAL = {"primary": "primaries", "secondary": "secondaries"}


def _families(plan: Plan) -> dict[str, Family | None]:
    """How the tests of each role are corrected."""
    return {"primary": plan.family, "secondary": "benjamini_hochberg", "guardrail": None}
