"""The analysis against other engines, number by number: one effect feeds test, intervals, looks and families."""

import math
import time
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

from upshot.analysis.analyze import analyze
from upshot.analysis.evidence import Evidence, Sample
from upshot.model.metric import Metric
from upshot.stats import always_valid, group_sequential
from upshot.stats.clusters import ClusterTotals
from upshot.stats.moments import Moments
from upshot.stats.quantiles import QuantileSample

RNG = np.random.default_rng(20260204)
REVENUE = Metric(name="revenue", column="revenue", kind="mean")
DAY = date(2026, 1, 5)


def only(analysis, name=None):
    metric = next(one for one in analysis.metrics if name in (None, one.name))
    return metric.comparisons[0]


def test_the_landing_page_gives_its_published_numbers(plan, counted):
    one = only(analyze(plan(), counted(control=(17489, 145274), treatment=(17264, 145310))))
    z, p = proportions_ztest([17264, 17489], [145310, 145274])
    assert one.p_value == pytest.approx(p, rel=1e-9)
    assert one.p_value == pytest.approx(0.18988337448195103, rel=1e-9)
    assert one.effect / one.std_error == pytest.approx(z, rel=1e-9)
    assert one.p_value_adjusted == one.p_value
    assert (one.tests, one.significant) == (1, False)


def test_a_mean_is_welchs(plan, evidence, sample):
    control, treatment = RNG.normal(10, 2, 300), RNG.normal(10.6, 5, 200)
    samples = {"revenue": {"control": sample(control), "treatment": sample(treatment)}}
    one = only(analyze(plan(REVENUE), evidence((REVENUE,), samples)))
    expected = stats.ttest_ind(treatment, control, equal_var=False)
    ends = expected.confidence_interval(0.95)
    assert one.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert one.interval == pytest.approx((ends.low, ends.high), rel=1e-9)
    assert one.lift == pytest.approx(treatment.mean() / control.mean() - 1)


def test_a_covariate_narrows_the_interval_and_is_said(plan, evidence, sample):
    metric = replace(REVENUE, covariates=("before",))
    before = {name: RNG.normal(10, 3, 2000) for name in ("control", "treatment")}
    values = {name: x + RNG.normal(0, 1, 2000) for name, x in before.items()}
    with_it = {name: sample(values[name], before=before[name]) for name in values}
    without = {name: sample(values[name]) for name in values}
    adjusted = only(analyze(plan(metric), evidence((metric,), {"revenue": with_it})))
    plain = only(analyze(plan(REVENUE), evidence((REVENUE,), {"revenue": without})))
    assert adjusted.variance_reduction == pytest.approx(0.9, abs=0.02)
    assert adjusted.std_error / plain.std_error == pytest.approx(math.sqrt(0.1), rel=0.1)
    assert "CUPED" in adjusted.method
    assert plain.variance_reduction is None


def test_a_quantile_and_clusters_have_their_own_errors(plan, evidence):
    slow = Metric(name="load", column="load", kind="quantile", quantile=0.9, better="lower")
    loads = {name: RNG.lognormal(0, 1, 4000) for name in ("control", "treatment")}
    samples = {
        name: Sample(moments=Moments.from_arrays(values), quantile=QuantileSample.from_array(values, 0.9))
        for name, values in loads.items()
    }
    one = only(analyze(plan(slow), evidence((slow,), {"load": samples})))
    assert one.effect == pytest.approx(
        np.quantile(loads["treatment"], 0.9) - np.quantile(loads["control"], 0.9)
    )
    totals = {name: ClusterTotals(RNG.normal(50, 5, 25), RNG.integers(5, 9, 25) * 1.0) for name in samples}
    grouped = {
        name: Sample(moments=Moments.from_arrays(one.outcomes / one.weights), clusters=one)
        for name, one in totals.items()
    }
    asked = evidence((REVENUE,), {"revenue": grouped}, clusters={"control": 25, "treatment": 25})
    analysis = analyze(plan(REVENUE), asked)
    means = [one.outcomes.sum() / one.weights.sum() for one in totals.values()]
    assert only(analysis).effect == pytest.approx(means[1] - means[0])
    assert "CR1" in only(analysis).method
    assert {name: one.n for name, one in analysis.metrics[0].variants.items()} == {
        "control": 25,
        "treatment": 25,
    }


def several(plan, evidence, shares, family):
    """Three variants against control on a mean, and on a share."""
    effects = {"control": 0.0, "a": 0.42, "b": 0.31, "c": 0.05}
    rng = np.random.default_rng(8)
    arrays = {name: rng.normal(10 + effect, 2, 300) for name, effect in effects.items()}
    samples = {
        "revenue": {name: Sample(moments=Moments.from_arrays(values)) for name, values in arrays.items()}
    }
    asked = plan(REVENUE, variants=tuple(effects), family=family)
    return analyze(asked, evidence((REVENUE,), samples)), arrays


@pytest.mark.parametrize(
    ("family", "oracle"), [("holm", "holm"), ("bonferroni", "bonferroni"), ("benjamini_hochberg", "fdr_bh")]
)
def test_families_are_those_of_statsmodels(plan, evidence, shares, family, oracle):
    analysis, arrays = several(plan, evidence, shares, family)
    alone = [stats.ttest_ind(arrays[name], arrays["control"], equal_var=False).pvalue for name in "abc"]
    expected = multipletests(alone, method=oracle)[1]
    found = analysis.metrics[0].comparisons
    assert [one.p_value for one in found] == pytest.approx(alone, rel=1e-9)
    assert [one.p_value_adjusted for one in found] == pytest.approx(expected, rel=1e-9)
    assert {one.tests for one in found} == {3}


def test_bonferroni_intervals_are_those_of_a_third_of_alpha(plan, evidence, shares):
    analysis, arrays = several(plan, evidence, shares, "bonferroni")
    for one in analysis.metrics[0].comparisons:
        test = stats.ttest_ind(arrays[one.variant], arrays["control"], equal_var=False)
        wide, alone = test.confidence_interval(1 - 0.05 / 3), test.confidence_interval(0.95)
        assert one.interval == pytest.approx((wide.low, wide.high), rel=1e-8)
        assert one.interval_unadjusted == pytest.approx((alone.low, alone.high), rel=1e-8)


def test_dunnett_is_scipys(plan, evidence, shares):
    analysis, arrays = several(plan, evidence, shares, "dunnett")
    expected = stats.dunnett(
        *(arrays[name] for name in "abc"), control=arrays["control"], random_state=1
    ).pvalue
    found = [one.p_value_adjusted for one in analysis.metrics[0].comparisons]
    assert found == pytest.approx(expected, rel=0.1, abs=0.003)  # scipy pools the variance, Welch does not


def test_dunnett_serves_shares_and_is_kinder_than_bonferroni(plan, evidence, shares):
    metric = Metric(name="converted", column="converted", kind="proportion")
    samples = {"converted": shares(control=(1000, 10_000), a=(1085, 10_000), b=(1020, 10_000))}
    one = {}
    for family in ("dunnett", "bonferroni"):
        asked = plan(metric, variants=("control", "a", "b"), family=family)
        one[family] = only(analyze(asked, evidence((metric,), samples)))
    assert one["dunnett"].p_value < one["dunnett"].p_value_adjusted < one["bonferroni"].p_value_adjusted
    assert one["dunnett"].interval[0] > one["bonferroni"].interval[0]


def test_holm_beyond_bonferroni_ends_the_interval_at_zero(plan, evidence):
    """p 0.001 and 0.04: Holm rejects both, the Bonferroni interval of the second holds 0: it is cut there."""
    first, second = (replace(REVENUE, name=name) for name in ("first", "second"))

    def at(z):
        values = np.array([1.0, -1.0] * 5000)
        error = math.sqrt(2 * values.var(ddof=1) / len(values))
        arms = {"control": values + 10, "treatment": values + 10 + z * error}
        return {name: Sample(moments=Moments.from_arrays(array)) for name, array in arms.items()}

    found = analyze(plan(first, second), evidence((first, second), {"first": at(3.3), "second": at(2.05)}))
    one = only(found, "second")
    assert one.significant
    assert 0 < one.interval[0] < 1e-300
    bonferroni = 2.05 + stats.norm.isf(0.05 / 4)
    error = one.std_error
    assert one.interval[1] == pytest.approx(bonferroni * error, rel=1e-3)
    assert not only(analyze(plan(first, second, family="bonferroni"), evidence((first, second), {
        "first": at(3.3), "second": at(2.05)})), "second").significant  # fmt: skip


def courses(plan, counted, monitoring, days=8, **fields):
    """Looks at a share that is truly better, day after day."""
    asked = plan(
        monitoring=monitoring, final=False, planned_units=8000, maximum_days=days, start=DAY, **fields
    )
    looks, found = (), []
    for day in range(1, days + 1):
        n = 1000 * day
        now = counted(control=(round(0.1 * n) + day % 3, n), treatment=(round(0.112 * n), n))
        analysis = analyze(asked, now, looks, DAY + timedelta(day - 1))
        looks = (*looks, analysis.look)
        found.append(analysis)
    return asked, found


def test_group_sequential_looks_are_repeated_p_values(plan, counted):
    _, found = courses(plan, counted, "group_sequential")
    fractions = [analysis.look.information for analysis in found]
    assert fractions == pytest.approx([day / 8 for day in range(1, 9)])
    scores = [analysis.look.comparisons["converted", "treatment"].fixed_z for analysis in found]
    expected = group_sequential.repeated_p_values(fractions, np.array(scores))
    assert [only(analysis).p_value for analysis in found] == pytest.approx(expected.tolist(), rel=1e-9)
    bounds = group_sequential.bounds(fractions)
    crossed = np.logical_or.accumulate(np.abs(scores) >= bounds)
    assert [only(analysis).significant for analysis in found] == crossed.tolist()
    last = only(found[-1])
    assert last.stagewise_p_value is not None
    assert last.median_unbiased is not None
    assert only(found[3]).stagewise_p_value is None


def test_always_valid_looks_are_the_least_of_their_p_values(plan, counted):
    _, found = courses(plan, counted, "always_valid")
    rho = always_valid.tuning(16_000, 0.05)
    least = 1.0
    for analysis in found:
        past = analysis.look.comparisons["converted", "treatment"]
        least = min(least, always_valid.t_p_value(past.effect / past.std_error, past.n, rho, past.df))
        assert only(analysis).p_value == pytest.approx(least, rel=1e-9)


def test_a_look_repeated_with_the_same_data_says_the_same(plan, counted):
    asked, found = courses(plan, counted, "group_sequential")
    now = counted(control=(802, 8000), treatment=(896, 8000))
    again = analyze(asked, now, tuple(one.look for one in found), DAY + timedelta(7))
    assert only(again).interval == pytest.approx(only(found[-1]).interval)
    assert only(again).p_value == only(found[-1]).p_value


def test_belief_waits_for_the_decision_point(plan, counted):
    _, found = courses(plan, counted, "fixed", minimum_days=4)
    early, late = only(found[4]), only(found[7])
    assert (early.p_win, early.expected_loss, early.shrunken_lift) == (None, None, None)
    assert early.reasons["p_win"] == "given after the decision point only"
    assert 0 < late.p_win < 1
    assert 0 < late.shrunken_lift < late.lift
    assert found[7].prior == "normal around 0 with std 5% (the minimum effect)"


def test_p_win_is_the_posterior_of_a_normal_prior(plan, counted):
    one = only(analyze(plan(), counted(control=(1000, 10_000), treatment=(1080, 10_000))))
    p_c, p_t = 0.1, 0.108
    ratio = p_t / p_c
    variance = (p_t * (1 - p_t) + ratio**2 * p_c * (1 - p_c)) / 9999 / p_c**2
    precision = 1 / variance + 1 / 0.05**2
    mean = one.lift / variance / precision
    assert one.shrunken_lift == pytest.approx(mean, rel=1e-6)
    assert one.p_win == pytest.approx(stats.norm.sf(0.025, mean, precision**-0.5), rel=1e-6)


def test_p_win_turns_where_lower_is_better(plan, evidence, shares):
    lower = Metric(name="churned", column="churned", kind="proportion", better="lower")
    samples = {"churned": shares(control=(1080, 10_000), treatment=(1000, 10_000))}
    one = only(analyze(plan(lower), evidence((lower,), samples)))
    assert one.lift < 0
    assert one.shrunken_lift < 0
    assert one.p_win > 0.5


def test_a_primary_that_is_clearly_worse_is_harm_at_any_time(plan, counted):
    asked = plan(final=False, monitoring="group_sequential", planned_units=50_000)
    worse = only(analyze(asked, counted(control=(600, 3000), treatment=(400, 3000))))
    assert worse.harm
    assert worse.harm_p_value <= asked.harm_alpha
    better = only(analyze(asked, counted(control=(400, 3000), treatment=(600, 3000))))
    assert not better.harm


def test_segments_are_one_family_of_their_own(plan, evidence, shares, part):
    parts = {"DE": part({"converted": shares(control=(100, 1000), treatment=(135, 1000))}),
             "FR": part({"converted": shares(control=(100, 1000), treatment=(101, 1000))})}  # fmt: skip
    metric = Metric(name="converted", column="converted", kind="proportion")
    whole = {"converted": shares(control=(200, 2000), treatment=(236, 2000))}
    analysis = analyze(plan(metric), evidence((metric,), whole, segments={"country": parts}))
    assert only(analysis).tests == 1
    found = {
        value: segment.metrics[0].comparisons[0] for value, segment in analysis.segments["country"].items()
    }
    alone = proportions_ztest([135, 100], [1000, 1000])[1]
    assert found["DE"].p_value == pytest.approx(alone, rel=1e-9)
    assert found["DE"].p_value_adjusted == pytest.approx(2 * alone, rel=1e-9)
    assert {one.tests for one in found.values()} == {2}
    assert "exploratory" in found["DE"].reasons["p_win"]


def test_secondaries_are_their_own_family_by_benjamini_hochberg(plan, evidence, shares):
    metrics = (
        Metric(name="converted", column="c", kind="proportion"),
        *(Metric(name=f"s{i}", column="s", kind="proportion", role="secondary") for i in range(3)),
    )
    counts = {"converted": 110, "s0": 131, "s1": 128, "s2": 104}
    samples = {name: shares(control=(100, 1000), treatment=(x, 1000)) for name, x in counts.items()}
    analysis = analyze(plan(*metrics), evidence(metrics, samples))
    assert only(analysis, "converted").tests == 1
    alone = [proportions_ztest([counts[f"s{i}"], 100], [1000, 1000])[1] for i in range(3)]
    expected = multipletests(alone, method="fdr_bh")[1]
    assert [only(analysis, f"s{i}").p_value_adjusted for i in range(3)] == pytest.approx(expected, rel=1e-9)


THREE = {"variants": ("control", "treatment", "other")}


def test_dunnett_under_looks_becomes_holm_and_says_so(plan, counted):
    found = counted(control=(10, 90), treatment=(20, 90), other=(15, 90))
    analysis = analyze(plan(family="dunnett", monitoring="always_valid", **THREE), found)
    assert analysis.notes == ("Dunnett holds for one look only, so Holm corrects the primaries",)


def test_dunnett_on_counts_that_are_tested_exactly_becomes_holm_and_says_so(plan, counted):
    found = counted(control=(1, 9), treatment=(2, 9), other=(3, 9))
    analysis = analyze(plan(family="dunnett", **THREE), found)
    assert "tested exactly" in analysis.notes[0]
    assert "Holm corrects the primaries" in analysis.notes[0]


def test_secondaries_under_looks_are_corrected_by_holm_and_it_says_so(plan, evidence, shares):
    metrics = (
        Metric(name="converted", column="c", kind="proportion"),
        *(Metric(name=f"s{i}", column="s", kind="proportion", role="secondary") for i in range(2)),
    )
    samples = {metric.name: shares(control=(100, 1000), treatment=(120, 1000)) for metric in metrics}
    analysis = analyze(plan(*metrics, monitoring="always_valid"), evidence(metrics, samples))
    assert analysis.notes == ("Benjamini-Hochberg holds for one look only, so Holm corrects the secondaries",)


def test_a_method_that_holds_is_not_noted(plan, counted):
    found = counted(control=(10, 90), treatment=(20, 90), other=(15, 90))
    assert analyze(plan(family="dunnett", **THREE), found).notes == ()
    assert (
        analyze(
            plan(family="dunnett", monitoring="always_valid"), counted(control=(1, 9), treatment=(2, 9))
        ).notes
        == ()
    )


def test_what_cannot_be_tested_says_why(plan, counted):
    same = only(analyze(plan(), counted(control=(0, 500), treatment=(0, 500))))
    assert same.p_value is None
    assert "every unit ended alike" in same.reasons["p_value"]
    assert same.interval[0] < 0 < same.interval[1]
    one_sided = only(analyze(plan(), counted(control=(0, 500), treatment=(20, 500))))
    assert one_sided.significant
    assert one_sided.lift is None
    assert one_sided.lift_interval[1] is None
    assert "lift" in one_sided.reasons


def test_an_analysis_costs_less_than_a_millisecond(plan, counted):
    """A simulation asks for a million: best of 20 batches, so that a busy machine does not fail it."""
    for monitoring in ("fixed", "group_sequential", "always_valid"):
        asked = plan(monitoring=monitoring, final=False, planned_units=20_000)
        now: Evidence = counted(control=(1000, 10_000), treatment=(1050, 10_000))
        analyze(asked, now)
        best = min(
            _seconds(lambda asked=asked, now=now: analyze(asked, now, closing=False)) for _ in range(20)
        )
        assert best < 0.001


def _seconds(call, times=10):
    begun = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begun) / times
