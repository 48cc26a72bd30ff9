"""Sealing: a plan that is judged once shows no effect before that, so that nobody stops on what it shows.

What is left says how far the experiment is, whether its data can be believed, and where its guardrails stand. The
verdict is made again of that alone, so its sentences cannot tell more. Harm is shown: it must be acted upon.
"""

from collections.abc import Mapping
from dataclasses import replace

from upshot.analysis.cohorts import Cohorts
from upshot.analysis.evidence import Evidence, Slice
from upshot.analysis.result import (
    Analysis,
    Check,
    Comparison,
    Look,
    MetricResult,
    SegmentResult,
    VariantSummary,
)
from upshot.decide.policy import decide
from upshot.model.decision import Situation
from upshot.model.plan import Plan
from upshot.report.findings import Findings

WHY = "it is sealed until the plan's decision point: whoever sees an effect before may stop on it"

_NUMBERS = (
    "effect", "std_error", "lift", "p_value", "p_value_adjusted", "p_win", "expected_loss", "shrunken_lift",
)  # fmt: skip
_INTERVALS = ("interval", "interval_unadjusted", "lift_interval", "lift_interval_unadjusted")
_OTHERS = ("variance_reduction", "stagewise_p_value", "median_unbiased", "harm_p_value")

Shown = Mapping[str, frozenset[str]]
"""Metric -> the variants whose comparison is shown."""


def is_sealed(plan: Plan, analysis: Analysis) -> bool:
    """Whether effects are not to be seen yet: a ``fixed`` plan before its decision point."""
    return plan.monitoring == "fixed" and not analysis.progress.decision_point


def sealed(findings: Findings, situation: Situation | None = None) -> Findings:
    """The findings without any effect but those of guardrails and of harm; no value in them holds another."""
    shown = _shown(findings.analysis)
    analysis = _analysis(findings.analysis, shown)
    return replace(
        findings,
        evidence=_evidence(findings.evidence, shown),
        analysis=analysis,
        verdict=decide(findings.plan, analysis, situation),
        looks=tuple(_look(look, shown) for look in findings.looks),
        cohorts=_cohorts(findings.cohorts),
    )


def _cohorts(cohorts: Cohorts | None) -> Cohorts | None:
    """Each of their numbers is an effect or makes one."""
    return None if cohorts is None else replace(cohorts, trends=(), returns=(), hidden=WHY)


def _shown(analysis: Analysis) -> Shown:
    return {
        metric.name: frozenset(
            one.variant for one in metric.comparisons if metric.role == "guardrail" or one.harm
        )
        for metric in analysis.metrics
    }


def _analysis(analysis: Analysis, shown: Shown) -> Analysis:
    return replace(
        analysis,
        look=_look(analysis.look, shown),
        checks=tuple(_check(check) for check in analysis.checks),
        metrics=tuple(_metric(metric, shown[metric.name], analysis.control) for metric in analysis.metrics),
        segments={
            column: {value: SegmentResult(checks=part.checks, metrics=()) for value, part in values.items()}
            for column, values in analysis.segments.items()
        },
        fades=(),
    )


def _look(look: Look, shown: Shown) -> Look:
    kept = {key: past for key, past in look.comparisons.items() if key[1] in shown.get(key[0], ())}
    return replace(look, comparisons=kept)


def _check(check: Check) -> Check:
    """A check that looks at outcomes says what they are: which units are missing, what outliers carry."""
    if check.name == "outliers" and check.status != "skipped":
        return Check(name="outliers", status="skipped", detail=WHY)
    return replace(check, detail=check.detail.partition("; ")[0]) if check.name == "sample_ratio" else check


def _metric(metric: MetricResult, shown: frozenset[str], control: str) -> MetricResult:
    seen = shown | {control} if shown else shown
    return replace(
        metric,
        variants={name: one if name in seen else _summary(one) for name, one in metric.variants.items()},
        comparisons=tuple(one if one.variant in shown else _hidden(one) for one in metric.comparisons),
    )


def _summary(summary: VariantSummary) -> VariantSummary:
    """How many units there are; not what they did."""
    return VariantSummary(
        n=summary.n,
        mean=None,
        std=None,
        missing=summary.missing,
        immature=summary.immature,
        reasons={"mean": WHY, "std": WHY},
    )


def _hidden(one: Comparison) -> Comparison:
    numbers = dict.fromkeys((*_NUMBERS, *_OTHERS))
    intervals = dict.fromkeys(_INTERVALS, (None, None))
    reasons = dict.fromkeys((*_NUMBERS, *_INTERVALS), WHY)
    return replace(one, **numbers, **intervals, significant=False, reasons=reasons)  # type: ignore[arg-type]


def _evidence(evidence: Evidence, shown: Shown) -> Evidence:
    """Units by variant, segment and day, and outcomes of what is shown."""

    def part(whole: Slice) -> Slice:
        samples = {
            name: {
                variant: sample
                for variant, sample in found.items()
                if variant in shown[name] or variant == evidence.control
            }
            for name, found in whole.samples.items()
            if shown[name]
        }
        return replace(whole, samples=samples)

    return replace(
        evidence,
        total=part(evidence.total),
        segments={
            column: {value: part(one) for value, one in values.items()}
            for column, values in evidence.segments.items()
        },
        days={day: part(one) for day, one in evidence.days.items()},
        histograms={name: one for name, one in evidence.histograms.items() if _is_guardrail(evidence, name)},
    )


def _is_guardrail(evidence: Evidence, name: str) -> bool:
    return any(metric.role == "guardrail" for metric in evidence.metrics if metric.name == name)
