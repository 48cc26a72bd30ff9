"""The JSON of an analysis: fixed names, and null with a reason for every number that cannot be given."""

import math
from collections.abc import Mapping
from typing import Any

from upshot.analysis.result import (
    Analysis,
    Bounds,
    Check,
    Comparison,
    Fade,
    Guardrail,
    MetricResult,
    Progress,
    SegmentResult,
    VariantSummary,
)

Json = dict[str, Any]


def analysis_to_dict(analysis: Analysis, verdict: Json | None = None) -> Json:
    """The analysis as plain values; ``verdict`` is put beside it as given.

    No NaN and no infinity is in it: what is not a finite number is None and has an entry in ``reasons``.
    """
    result: Json = {
        "format": analysis.format,
        "unit": analysis.unit,
        "control": analysis.control,
        "monitoring": analysis.monitoring,
        "alpha": analysis.alpha,
        "look": _look(analysis),
        "progress": _progress(analysis.progress),
        "prior": analysis.prior,
        "checks": [_check(check) for check in analysis.checks],
        "metrics": [_metric(metric) for metric in analysis.metrics],
        "segments": {
            column: {value: _segment(segment) for value, segment in values.items()}
            for column, values in analysis.segments.items()
        },
        "fades": [_fade(fade) for fade in analysis.fades],
        "notes": list(analysis.notes),
    }
    return result if verdict is None else {**result, "verdict": verdict}


def _look(analysis: Analysis) -> Json:
    look = analysis.look
    return {
        "number": look.number,
        "information": look.information,
        "day": look.day.isoformat() if look.day else None,
        "units": dict(look.units),
    }


_UNKNOWN = {
    "days": "no time is known",
    "days_left": "no end is planned or no time is known",
    "precision": "the first primary has no estimate yet",
}


def _progress(progress: Progress) -> Json:
    values = {name: getattr(progress, name) for name in Progress.__slots__}
    return _explained({**values, "units": dict(progress.units)}, _UNKNOWN)


def _check(check: Check) -> Json:
    result = {
        "name": check.name,
        "status": check.status,
        "p_value": check.p_value,
        "detail": check.detail,
        "mend": check.mend,
        "numbers": dict(check.numbers),
    }
    why = check.detail if check.status == "skipped" else "this check counts and tests nothing"
    return _explained(result, {"p_value": why})


def _segment(segment: SegmentResult) -> Json:
    return {
        "checks": [_check(check) for check in segment.checks],
        "metrics": [_metric(metric) for metric in segment.metrics],
    }


def _metric(metric: MetricResult) -> Json:
    return {
        "name": metric.name,
        "kind": metric.kind,
        "role": metric.role,
        "better": metric.better,
        "variants": {name: _summary(summary) for name, summary in metric.variants.items()},
        "comparisons": [_comparison(one) for one in metric.comparisons],
    }


def _summary(summary: VariantSummary) -> Json:
    result: Json = {"n": summary.n, "mean": summary.mean, "std": summary.std, "missing": summary.missing}
    if summary.immature:
        result["immature"] = summary.immature
    if summary.capped_value_share is not None:
        result |= {"capped_units": summary.capped_units, "capped_value_share": summary.capped_value_share}
    return _explained(result, summary.reasons)


_NUMBERS = (
    "effect", "std_error", "lift", "p_value", "p_value_adjusted", "p_win", "expected_loss", "shrunken_lift",
)  # fmt: skip
_OPTIONAL = ("variance_reduction", "stagewise_p_value", "median_unbiased")
_INTERVALS = ("interval", "interval_unadjusted", "lift_interval", "lift_interval_unadjusted")


def _comparison(one: Comparison) -> Json:
    result: Json = {"variant": one.variant}
    result |= {name: getattr(one, name) for name in _NUMBERS}
    result |= {name: _bounds(getattr(one, name)) for name in _INTERVALS}
    result |= {"tests": one.tests, "significant": one.significant, "method": one.method, "harm": one.harm}
    result |= {name: value for name in _OPTIONAL if (value := getattr(one, name)) is not None}
    if one.guardrail is not None:
        result["guardrail"] = _guardrail(one.guardrail)
    return _explained(result, one.reasons)


def _guardrail(guardrail: Guardrail) -> Json:
    result: Json = {
        "state": guardrail.state,
        "bound": guardrail.bound,
        "threshold": guardrail.threshold,
        "p_value": guardrail.p_value,
        "sentence": guardrail.sentence,
    }
    why = "too little was seen yet for a bound"
    missing = {name: why for name in ("bound", "p_value") if result[name] is None}
    return _explained(result, missing)


def _bounds(bounds: Bounds) -> list[float | None]:
    return [None if end is None or not math.isfinite(end) else end for end in bounds]


def _fade(fade: Fade) -> Json:
    return {name: getattr(fade, name) for name in Fade.__slots__}


def _explained(values: Json, given: Mapping[str, str]) -> Json:
    """Non-finite numbers become None; every None, also an end of an interval, has its sentence."""
    clean: Json = {}
    for name, value in values.items():
        clean[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    missing = [
        name
        for name, value in clean.items()
        if value is None or (isinstance(value, list) and any(end is None for end in value))
    ]
    clean["reasons"] = {name: given.get(name) or _fallback(name, given) for name in missing}
    return clean


def _fallback(name: str, given: Mapping[str, str]) -> str:
    for near in (name.removesuffix("_unadjusted"), "lift_interval", "lift", "interval", "p_value", "effect"):
        if given.get(near):
            return given[near]
    return "there is not enough data for it"
