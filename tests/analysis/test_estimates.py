"""Each kind of metric gets its estimator, and says why where there is none."""

import math

import numpy as np
import pytest

from upshot.analysis.estimates import estimates_of
from upshot.analysis.evidence import Sample
from upshot.model.metric import Metric
from upshot.stats.clusters import ClusterTotals
from upshot.stats.moments import Moments
from upshot.stats.quantiles import QuantileSample

SHARE = Metric(name="m", column="m", kind="proportion")
MEAN = Metric(name="m", column="m", kind="mean")
ADJUSTED = Metric(name="m", column="m", kind="mean", covariates=("before",))
P90 = Metric(name="m", column="m", kind="quantile", quantile=0.9)


def test_a_share_keeps_its_counts_and_a_pair_needs_trials(shares):
    found = estimates_of(SHARE, shares(control=(3, 10), treatment=(4, 10), empty=(0, 0)))
    assert found.counts == {"control": (3, 10), "treatment": (4, 10), "empty": (0, 0)}
    assert found.pair("control", "treatment") is not None
    assert found.pair("control", "empty") is None
    assert found.effect("control", "treatment").difference == pytest.approx(0.1)


def test_a_covariate_takes_out_what_it_explains(sample):
    rng = np.random.default_rng(1)
    before = rng.normal(10, 3, (2, 400))
    after = before + rng.normal(0, 1, (2, 400))
    samples = {name: sample(after[i], before=before[i]) for i, name in enumerate(("control", "treatment"))}
    found = estimates_of(ADJUSTED, samples)
    assert found.variance_reduction == pytest.approx(0.9, abs=0.02)
    plain = estimates_of(MEAN, {name: sample(after[i]) for i, name in enumerate(samples)})
    assert plain.variance_reduction is None
    ratio = found.effect("control", "treatment").std_error / plain.effect("control", "treatment").std_error
    assert ratio**2 == pytest.approx(1 - found.variance_reduction, rel=0.02)
    assert found.method.startswith("CUPED on before")


def test_an_empty_arm_does_not_take_the_covariate_from_the_others(sample):
    rng = np.random.default_rng(2)
    before = rng.normal(10, 3, 50)
    samples = {"control": sample(before + 1, before=before), "treatment": sample([])}
    found = estimates_of(ADJUSTED, samples)
    assert math.isfinite(found.arms["control"].value)
    assert math.isnan(found.arms["treatment"].value)


@pytest.mark.parametrize(("groups", "correction"), [(19, "CR2"), (20, "CR1")])
def test_few_clusters_are_corrected_more(groups, correction):
    rng = np.random.default_rng(3)
    samples = {
        name: Sample(
            moments=Moments.empty(), clusters=ClusterTotals(rng.normal(9, 1, groups), np.full(groups, 3.0))
        )
        for name in ("control", "treatment")
    }
    assert f"cluster-robust ({correction})" in estimates_of(MEAN, samples).method


def test_a_quantile_without_an_interval_says_why():
    many = QuantileSample.from_array(np.arange(400.0), 0.9)
    atom = QuantileSample.from_array(np.full(400, 7.0), 0.9)
    samples = {
        name: Sample(moments=Moments.empty(), quantile=quantile)
        for name, quantile in {"control": many, "treatment": atom, "empty": None}.items()
    }
    found = estimates_of(P90, samples)
    assert set(found.why_not) == {"treatment", "empty"}
    assert "many units share the value 7" in found.why_not["treatment"]
    assert math.isnan(found.arms["empty"].value)
