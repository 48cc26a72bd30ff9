"""Do single units carry the result? The effect with and without them, against the values themselves."""

import numpy as np
import pytest
from scipy import stats

from upshot.analysis.outliers import outlier_check
from upshot.model.metric import Metric

REVENUE = Metric(name="revenue", column="revenue", kind="mean")


@pytest.fixture
def outliers(plan, evidence, sample):
    def found(control, treatment):
        samples = {"revenue": {"control": sample(control), "treatment": sample(treatment)}}
        return outlier_check(plan(REVENUE), evidence((REVENUE,), samples))

    return found


def test_a_whale_hides_an_effect_in_its_own_noise(outliers):
    """Significant without one unit, not with it: the numbers are those of the values without it."""
    rng = np.random.default_rng(4)
    control, treatment = rng.normal(10, 1, 500), rng.normal(10.3, 1, 500)
    assert outliers(control, treatment).status == "pass"
    whale = np.append(treatment, 1000.0)
    check = outliers(control, whale)
    cut = stats.ttest_ind(np.sort(whale)[:-1], np.sort(control)[:-1], equal_var=False).pvalue
    assert check.status == "warn"
    assert check.numbers["p_with"] == pytest.approx(
        stats.ttest_ind(whale, control, equal_var=False).pvalue, rel=1e-6
    )
    assert check.numbers["p_without"] == pytest.approx(cut, rel=1e-6)
    assert "up to 1,000" in check.detail
    assert "cap=99.9%" in check.mend


def test_large_values_never_fail(outliers):
    rng = np.random.default_rng(6)
    statuses = {outliers(rng.pareto(1.1, 200), rng.pareto(1.1, 200)).status for _ in range(100)}
    assert statuses <= {"pass", "warn"}
    assert "pass" in statuses


def test_shares_have_no_outliers(plan, counted):
    assert outlier_check(plan(), counted(control=(1, 9), treatment=(2, 9))).status == "skipped"
