"""Days of first exposure, over all variants."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from upshot.analysis.day_values import day_values
from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.model.metric import Metric
from upshot.stats.moments import Moments
from upshot.stats.quantiles import QuantileSample

FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)
VALUES = {"control": np.array([1.0, 2.0, 4.0]), "treatment": np.array([8.0, 1.0])}


def evidence(**samples):
    """Two days of a metric; the second with other samples."""
    found = {name: Sample(moments=Moments.from_arrays(one)) for name, one in VALUES.items()}
    days = {
        SECOND: Slice(units={}, samples={"spend": {**found, **samples}}),
        FIRST: Slice(units={}, samples={"spend": found}),
    }
    return Evidence(
        unit="unit", control="control", variants=("control", "treatment"), days=days,
        metrics=(Metric(name="spend", column="spend"),), total=days[FIRST],
    )  # fmt: skip


def test_a_day_is_the_mean_of_all_its_units_with_its_error():
    ((day, value, error), second) = day_values(evidence())["spend"]
    everybody = np.concatenate(list(VALUES.values()))
    assert (day, second[0]) == (FIRST, SECOND)
    assert value == pytest.approx(everybody.mean())
    assert error == pytest.approx(everybody.std(ddof=1) / 5**0.5)


def test_a_day_whose_windows_are_not_over_is_left_out():
    waiting = replace(Sample(moments=Moments.from_arrays(VALUES["control"])), immature=1)
    assert [day for day, _, _ in day_values(evidence(control=waiting))["spend"]] == [FIRST]


def test_a_variant_that_nobody_met_that_day_is_no_hindrance():
    nobody = Sample(moments=Moments.empty(("outcome",)))
    (_, second) = day_values(evidence(treatment=nobody))["spend"]
    assert second[1] == pytest.approx(VALUES["control"].mean())


def test_quantiles_have_no_days():
    quantile = QuantileSample.__new__(QuantileSample)
    one = replace(Sample(moments=Moments.from_arrays(VALUES["control"])), quantile=quantile)
    assert [day for day, _, _ in day_values(evidence(control=one))["spend"]] == [FIRST]


def test_one_unit_has_no_error():
    one = Sample(moments=Moments.from_arrays(np.array([1.0])))
    nobody = Sample(moments=Moments.empty(("outcome",)))
    assert len(day_values(evidence(control=one, treatment=nobody))["spend"]) == 1
