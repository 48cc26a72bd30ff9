"""Whatever the evidence, an analysis gives numbers or says why it cannot: no NaN, no p of 0, no contradiction."""

import json
import math
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from upshot.analysis.analyze import analyze
from upshot.analysis.contract import analysis_to_dict
from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.analysis.result import Analysis, Bounds, Comparison
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.stats.clusters import ClusterTotals
from upshot.stats.moments import Moments
from upshot.stats.quantiles import QuantileSample

Draw = Callable[[st.SearchStrategy[Any]], Any]

EXTREME = st.sampled_from([0.0, 1.0, -1.0, 5.0, 1e-300, 1e300, 1e150, -1e9, 1e9, 1e-9])
VALUE = EXTREME | st.floats(-1e12, 1e12) | st.floats(-1, 1)
VALUES = (
    st.just([])
    | st.lists(VALUE, min_size=1, max_size=8)
    | st.builds(lambda value, n: [value] * n, VALUE, st.integers(1, 30))
    | st.lists(st.floats(-10, 10), min_size=20, max_size=60)
)
LIMITS = ({"margin": 0.0}, {"margin": 0.02}, {"maximum": 0.01}, {"maximum": 5.0}, {"minimum": 0.5})


@st.composite
def samples(draw: Draw, metric: Metric, clustered: bool) -> Sample:
    if metric.kind == "proportion":
        n = draw(st.sampled_from([0, 1, 2, 3, 10, 100, 10**6]))
        x = draw(st.integers(0, n) | st.sampled_from([0, n]))
        return Sample(moments=Moments.from_counts(x, n), zeros=n - x)
    values = draw(VALUES)
    if clustered and metric.kind == "mean":
        size = [draw(st.sampled_from([1.0, 5.0, 100.0])) for _ in values]
        usual = [max(min(value, 1e12), -1e12) for value in values]
        return Sample(moments=Moments.from_arrays(usual), clusters=ClusterTotals(_array(usual), _array(size)))
    quantile = QuantileSample.from_array(values, 0.9) if metric.kind == "quantile" and values else None
    if quantile is not None and metric.has_limit:
        moments = Moments.from_counts(sum(value > 5 for value in values), len(values))
    else:
        moments = _moments(draw, metric, values)
    return Sample(
        moments=moments,
        missing=draw(st.integers(0, 5)),
        zeros=sum(value == 0 for value in values),
        top=tuple(sorted(values, reverse=True)[:10]),
        quantile=quantile,
    )


def _array(values: list[float]) -> Any:
    import numpy as np

    return np.array(values, dtype=float)


def _moments(draw: Draw, metric: Metric, values: list[float]) -> Moments:
    import numpy as np

    n = len(values)
    before = draw(st.just([1.0] * n) | st.lists(st.floats(-1e6, 1e6), min_size=n, max_size=n))
    below = draw(st.lists(st.sampled_from([0.0, 1.0, 2.0, 1e9]), min_size=n, max_size=n))
    with np.errstate(all="ignore"):  # squares of 1e300: the engine that sums them gives infinity as well
        return Moments.from_arrays(
            values,
            below if metric.kind == "ratio" else None,
            {"before": before} if metric.covariates else None,
        )


@st.composite
def metrics(draw: Draw, number: int) -> Metric:
    kind = draw(st.sampled_from(["proportion", "mean", "count", "ratio", "quantile"]))
    role = draw(st.sampled_from(["primary", "secondary", "guardrail"])) if number else "primary"
    covariate = kind in ("mean", "ratio", "count") and draw(st.booleans())
    return Metric(
        name=f"m{number}",
        column="m",
        kind=kind,
        role=role,
        better=draw(st.sampled_from(["higher", "lower"])),
        quantile=0.9 if kind == "quantile" else None,
        per="d" if kind == "ratio" else None,
        covariates=("before",) if covariate else (),
        **(draw(st.sampled_from(LIMITS)) if role == "guardrail" else {}),
    )


@st.composite
def cases(draw: Draw) -> tuple[Plan, Evidence]:
    variants = ("control", "a", "b")[: draw(st.integers(2, 3))]
    asked = tuple(draw(metrics(number)) for number in range(draw(st.integers(1, 3))))
    clustered = draw(st.booleans())
    found = {metric.name: {name: draw(samples(metric, clustered)) for name in variants} for metric in asked}
    units = {
        name: max(one[name].moments.n + one[name].missing for one in found.values()) for name in variants
    }
    whole = Slice(units=units, samples=found)
    start = date(2026, 1, 1)
    evidence = Evidence(
        unit="u",
        control="control",
        variants=variants,
        metrics=asked,
        total=whole,
        segments={"c": {"x": whole, "y": whole}} if draw(st.booleans()) else {},
        days={start + timedelta(day): whole for day in range(draw(st.sampled_from([0, 1, 8])))},
        duplicate_rows=draw(st.sampled_from([None, 0, 3])),
        conflicts=draw(st.integers(0, 20)),
    )
    splits: list[dict[str, float]] = [
        {},
        dict.fromkeys(variants, 1.0),
        {n: float(i) for i, n in enumerate(variants)},
    ]
    plan = Plan(
        metrics=asked,
        split=draw(st.sampled_from(splits)),
        monitoring=draw(st.sampled_from(["fixed", "group_sequential", "always_valid"])),
        family=draw(st.sampled_from(["holm", "bonferroni", "benjamini_hochberg", "dunnett"])),
        spending=draw(st.sampled_from(["obrien_fleming", "pocock"])),
        final=draw(st.booleans()),
        planned_units=draw(st.sampled_from([None, 10, 1000])),
    )
    return plan, evidence


def two_looks(plan: Plan, evidence: Evidence) -> Iterator[Analysis]:
    first = analyze(plan, evidence, (), date(2026, 1, 8))
    yield first
    yield analyze(plan, evidence, (first.look,), date(2026, 1, 9))


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, (*path, "[]"))
    else:
        yield path, value


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


def excludes_zero(bounds: Bounds) -> bool:
    low, high = bounds
    return (low is not None and low > 0) or (high is not None and high < 0)


def comparisons(analysis: Analysis) -> Iterator[Comparison]:
    for metric in analysis.metrics:
        yield from metric.comparisons
    for values in analysis.segments.values():
        for segment in values.values():
            for metric in segment.metrics:
                yield from metric.comparisons


SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(cases())
def test_the_json_holds_numbers_or_reasons(case: tuple[Plan, Evidence]) -> None:
    for analysis in two_looks(*case):
        told = analysis_to_dict(analysis)
        json.dumps(told, allow_nan=False)
        for path, value in leaves(told):
            if path[-1] in ("p_value", "p_value_adjusted", "stagewise_p_value") and isinstance(value, float):
                assert 0 < value <= 1, path
            if path[-1] == "p_win" and isinstance(value, float):
                assert 0 < value < 1
            if path[-1] == "std_error" and isinstance(value, float):
                assert value > 0
        for found in objects(told):
            if "reasons" in found and isinstance(found["reasons"], dict):
                empty = {
                    name
                    for name, value in found.items()
                    if value is None or (name != "numbers" and _open(value))
                }
                assert empty == set(found["reasons"])
                assert all(len(sentence) > 10 for sentence in found["reasons"].values())


def _open(value: Any) -> bool:
    return isinstance(value, list) and None in value


@SETTINGS
@given(cases())
def test_a_test_and_its_interval_never_disagree(case: tuple[Plan, Evidence]) -> None:
    plan, _ = case
    for analysis in two_looks(*case):
        for one in comparisons(analysis):
            if one.p_value is None or one.p_value_adjusted is None:
                assert not one.significant
                continue
            assert one.significant == (one.p_value_adjusted < plan.alpha)
            assert one.p_value_adjusted >= one.p_value * (1 - 1e-12)
            assert excludes_zero(one.interval) == one.significant
            assert excludes_zero(one.interval_unadjusted) == (one.p_value < plan.alpha)
            if one.lift is not None:
                assert excludes_zero(one.lift_interval) == one.significant
                assert excludes_zero(one.lift_interval_unadjusted) == (one.p_value < plan.alpha)


@SETTINGS
@given(cases())
def test_running_p_values_never_rise(case: tuple[Plan, Evidence]) -> None:
    plan, _ = case
    if plan.monitoring == "fixed":
        return
    first, second = (analysis.look.comparisons for analysis in two_looks(*case))
    for key in first.keys() & second.keys():
        assert second[key].p_value <= first[key].p_value
        assert second[key].harm_p_value <= first[key].harm_p_value
        assert math.isfinite(second[key].fixed_z)
