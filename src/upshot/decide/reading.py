"""A reading: one comparison seen in the direction that is wanted, where plus is always good."""

from dataclasses import dataclass

from upshot.analysis.result import Bounds, Comparison, MetricResult
from upshot.decide.phrases import level, percent_interval, probability, quantity, signed_percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One metric of one variant against control.

    Attributes:
        metric, comparison: what was read.
        gain: the lift in the wanted direction (a relative fall of a metric that should fall is a gain);
            None where no lift can be given.
        bounds: of the gain, adjusted for family and looks; None is an open end.
        better, worse: the adjusted interval of the effect excludes 0 in the wanted or unwanted direction.
    """

    metric: MetricResult
    comparison: Comparison
    gain: float | None
    bounds: Bounds
    better: bool
    worse: bool

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.metric.name

    def reaches(self, threshold: float) -> bool:
        """Whether the estimated gain is at least the threshold."""
        return self.gain is not None and self.gain >= threshold

    def rules_out(self, gain: float) -> bool:
        """Whether the whole interval lies below this gain."""
        return self.bounds[1] is not None and self.bounds[1] < gain

    def proves_no_worse_than(self, margin: float) -> bool:
        """Whether the whole interval lies above a loss of this margin."""
        return self.bounds[0] is not None and self.bounds[0] > -margin

    @property
    def leans_well(self) -> bool:
        """Whether the estimate points in the wanted direction."""
        effect = self.comparison.effect
        return effect is not None and effect * _sign(self.metric) > 0

    @property
    def half_width(self) -> float | None:
        """Half the width of the gain's interval: the change this test could see."""
        low, high = self.bounds
        return None if low is None or high is None else (high - low) / 2


def read(metric: MetricResult, comparison: Comparison) -> Reading:
    """Turn a comparison so that plus is good; a lift is relative to control's size, so it has the effect's sign."""
    sign = _sign(metric)
    low, high = _turned(comparison.interval, sign)
    return Reading(
        metric=metric,
        comparison=comparison,
        gain=None if comparison.lift is None else comparison.lift * sign,
        bounds=_turned(comparison.lift_interval, sign),
        better=low is not None and low > 0,
        worse=high is not None and high < 0,
    )


def describe(reading: Reading) -> str:
    """The numbers of a reading in one sentence: lift, interval, both means, p over how many tests."""
    comparison = reading.comparison
    parts = [f"{reading.name}: {change(reading)}"]
    means = [reading.metric.variants[name].mean for name in _pair(reading) if name in reading.metric.variants]
    if len(means) == 2 and None not in means:
        before, after = (level(mean, reading.metric.kind) for mean in means if mean is not None)
        parts.append(f"{before} → {after}")
    if comparison.p_value_adjusted is not None:
        over = f" over {comparison.tests} tests" if comparison.tests > 1 else ""
        parts.append(probability(comparison.p_value_adjusted) + over)
    return ", ".join(parts)


def change(reading: Reading) -> str:
    """The lift with its interval, or the effect in its own unit where no lift can be given."""
    comparison = reading.comparison
    if comparison.lift is not None:
        return f"{signed_percent(comparison.lift)} {percent_interval(comparison.lift_interval)}"
    if comparison.effect is None:
        return "no estimate"
    low, high = (None if end is None else quantity(end) for end in comparison.interval)
    return f"{quantity(comparison.effect)} [{low or 'no lower bound'}, {high or 'no upper bound'}]"


def _pair(reading: Reading) -> tuple[str, str]:
    control = next((name for name in reading.metric.variants if name not in _compared(reading.metric)), "")
    return control, reading.comparison.variant


def _compared(metric: MetricResult) -> set[str]:
    return {comparison.variant for comparison in metric.comparisons}


def _sign(metric: MetricResult) -> int:
    return 1 if metric.better == "higher" else -1


def _turned(bounds: Bounds, sign: int) -> Bounds:
    low, high = bounds
    if sign > 0:
        return low, high
    return (None if high is None else -high), (None if low is None else -low)
