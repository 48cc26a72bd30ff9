"""The lift day by day, against the units themselves and against the analysis of the whole."""

from dataclasses import replace

import pytest

from upshot.report import timeline
from upshot.report.findings import Findings
from upshot.stats.quantiles import QuantileSample


def test_each_point_is_the_lift_of_everybody_so_far(won: Findings) -> None:
    points = timeline.cumulative(won, won.evidence.metrics[0], "treatment")
    assert [point.day for point in points] == sorted(won.evidence.days)
    hits, units = {"control": 0.0, "treatment": 0.0}, {"control": 0, "treatment": 0}
    for point in points:
        for variant, sample in won.evidence.days[point.day].samples["converted"].items():
            hits[variant] += sample.moments.n * sample.moments.mean()
            units[variant] += sample.moments.n
        control, treatment = (hits[name] / units[name] for name in ("control", "treatment"))
        assert point.lift == pytest.approx(treatment / control - 1)


def test_the_last_point_is_the_table_s_number_and_always_valid_interval(simulated: Findings) -> None:
    """With a covariate, so that adjustment has to agree as well; one primary, so that no family widens it."""
    metric = next(metric for metric in simulated.evidence.metrics if metric.role == "primary")
    last = timeline.cumulative(simulated, metric, "treatment")[-1]
    told = next(one for one in simulated.analysis.metrics if one.name == metric.name).comparisons[0]
    assert metric.covariates
    assert simulated.analysis.monitoring == "always_valid"
    assert (last.lift, last.low, last.high) == pytest.approx((told.lift, *told.lift_interval_unadjusted))


def test_the_band_holds_at_all_days_so_it_only_is_wider_than_one_look_s(simulated: Findings) -> None:
    metric = simulated.evidence.metrics[0]
    fixed = replace(simulated, plan=replace(simulated.plan, monitoring="fixed"))
    assert timeline.cumulative(fixed, metric, "treatment") == timeline.cumulative(
        simulated, metric, "treatment"
    )


def test_days_that_cannot_be_added_up_give_no_line(won: Findings) -> None:
    metric = won.evidence.metrics[0]
    one = QuantileSample(level=0.5, estimate=1.0, low=0.9, high=1.1, n=100)
    days = {
        day: replace(
            part,
            samples={
                "converted": {name: replace(s, quantile=one) for name, s in part.samples["converted"].items()}
            },
        )
        for day, part in won.evidence.days.items()
    }
    assert (
        timeline.cumulative(replace(won, evidence=replace(won.evidence, days=days)), metric, "treatment")
        == ()
    )
