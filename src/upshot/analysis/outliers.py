"""Do a few units carry the result? The effect again without the largest values of each variant."""

from collections.abc import Sequence

import numpy as np

from upshot.analysis.evidence import Evidence, Sample
from upshot.analysis.phrases import percent, quantity
from upshot.analysis.result import Check
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.stats.effect import Effect, effect_of
from upshot.stats.fixed import p_value
from upshot.stats.moments import Moments

SHARE = 0.0005
"""The largest 0.05% of units are left out, at least one and at most the ten that are known."""


def outlier_check(plan: Plan, evidence: Evidence) -> Check:
    """Warn where significance or sign hangs on the largest values; never fails: large values are real."""
    judged = 0
    for metric in evidence.metrics:
        samples = evidence.total.samples.get(metric.name, {})
        control = samples.get(evidence.control)
        if metric.kind not in ("mean", "count") or control is None or not control.top:
            continue
        for name, sample in samples.items():
            if name == evidence.control or not sample.top:
                continue
            judged += 1
            found = _carried(plan, metric, name, control, sample)
            if found is not None:
                return found
    if not judged:
        return Check(name="outliers", status="skipped", detail="no metric has single large values")
    return Check(name="outliers", status="pass", detail="no result hangs on its largest values")


def _carried(plan: Plan, metric: Metric, name: str, control: Sample, sample: Sample) -> Check | None:
    with_them = effect_of(_outcome(control), _outcome(sample))
    if with_them.why_not():
        return None
    left_out = _how_many(sample), _how_many(control)
    without = effect_of(
        _trimmed(_outcome(control), control.top[: left_out[1]]),
        _trimmed(_outcome(sample), sample.top[: left_out[0]]),
    )
    before, after = p_value(with_them), p_value(without)
    if before is None or after is None:
        return None
    flips = before < plan.alpha and with_them.difference * without.difference < 0
    if (before < plan.alpha) == (after < plan.alpha) and not flips:
        return None
    largest = max(sample.top[0], control.top[0])
    return Check(
        name="outliers",
        status="warn",
        detail=(
            f"{metric.name} of {name} is {_said(with_them, before)}, without the largest "
            f"{left_out[0]} and {left_out[1]} units (up to {quantity(largest)}) {_said(without, after)}"
        ),
        mend="cap the metric (cap=99.9%), or decide on a metric that single units cannot carry",
        numbers={"p_with": before, "p_without": after},
    )


def _said(effect: Effect, p: float) -> str:
    lift = effect.lift
    change = f"{quantity(effect.difference)}" if lift is None else f"{'+' if lift > 0 else ''}{percent(lift)}"
    return f"{change} (p {p:.2g})"


def _how_many(sample: Sample) -> int:
    return min(max(int(sample.moments.n * SHARE), 1), len(sample.top))


def _outcome(sample: Sample) -> Moments:
    return sample.moments.select(("outcome",))


def _trimmed(moments: Moments, values: Sequence[float]) -> Moments:
    """The moments without these units (the merge of Chan, Golub, LeVeque 1983, run backwards)."""
    out = Moments.from_arrays(np.array(values))
    n = moments.n - out.n
    if n < 2:
        return Moments.empty()
    mean = (moments.n * moments.mean() - out.n * out.mean()) / n
    step = out.mean() - mean
    cross = float(moments.cross[0, 0]) - float(out.cross[0, 0]) - step * step * n * out.n / moments.n
    return Moments(("outcome",), n, np.array([mean]), np.array([[max(cross, 0.0)]]))
