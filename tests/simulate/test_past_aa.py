"""A/A on a metric's own past: against scipy split by split, and metrics whose level is known to hold or to break."""

from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import stats

from upshot.analysis.past import PastUnits
from upshot.errors import DataError
from upshot.model.metric import Metric
from upshot.simulate.past_aa import past_aa

DAY = datetime(2026, 1, 1, tzinfo=UTC)
MEAN = Metric(name="spent", column="spent", kind="mean")
SHARE = Metric(name="bought", column="bought", kind="proportion")


def past(*values, names=("outcome",)):
    return PastUnits(
        names=names, values=np.vstack([np.asarray(one, float) for one in values]), since=DAY, until=DAY
    )


def test_each_split_is_the_test_of_an_experiment():
    """The same masks by scipy's Welch test: the same number of significant splits."""
    values = np.random.default_rng(5).gamma(0.5, 20, 2000)
    found = past_aa(past(values), MEAN, splits=300, seed=7)
    masks = np.random.default_rng(7).integers(0, 2, (300, 2000), dtype=np.int8).astype(bool)
    p_values = [stats.ttest_ind(values[mask], values[~mask], equal_var=False).pvalue for mask in masks]
    assert found.significant == sum(p < 0.05 for p in p_values)
    assert found.uniform_p_value == pytest.approx(stats.kstest(p_values, "uniform").pvalue, abs=0.02)
    assert found.interval == pytest.approx(
        tuple(stats.binomtest(found.significant, 300).proportion_ci(0.999, "exact")), abs=1e-9
    )


def test_a_sound_metric_holds_its_level_with_covariates_too():
    """Seed 1: 4,000 units, correlation about 0.7."""
    rng = np.random.default_rng(1)
    before = rng.normal(10, 3, 4000)
    after = before + rng.normal(0, 3, 4000)
    metric = Metric(name="spent", column="spent", kind="mean", covariates=("before",))
    found = past_aa(past(after, before, names=("outcome", "before")), metric)
    assert found.holds
    assert found.uniform_p_value > 0.001
    assert 0.03 < found.rate < 0.07


def test_a_level_that_does_not_hold_is_told():
    """Asked of a p-value's own promise: at alpha 0.2 with the interval of 0.05's count it would be told apart."""
    values = np.random.default_rng(2).normal(size=500)
    found = past_aa(past(values), MEAN, alpha=0.2)
    assert found.holds
    broken = type(found)(
        units=500, splits=1000, alpha=0.05, significant=found.significant, interval=found.interval,
        uniform_p_value=1.0, untested=0,
    )  # fmt: skip
    assert not broken.holds


def test_rare_outcomes_are_careful_and_none_at_all_is_untested():
    rare = np.zeros(3000)
    rare[:2] = 1
    found = past_aa(past(rare), SHARE, splits=200)
    assert found.holds
    assert found.rate <= 0.05
    nothing = past_aa(past(np.zeros(100)), MEAN, splits=100)
    assert (nothing.untested, nothing.significant) == (100, 0)


def test_the_same_seed_gives_the_same_and_few_units_are_refused():
    values = np.arange(50.0)
    assert past_aa(past(values), MEAN, splits=100) == past_aa(past(values), MEAN, splits=100)
    with pytest.raises(DataError, match="19 units of the past are too few"):
        past_aa(past(np.arange(19.0)), MEAN)
