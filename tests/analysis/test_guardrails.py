"""Guardrails: harm at any look, holding proven, and what is neither; with the numbers each rests on."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from upshot.analysis.analyze import analyze
from upshot.analysis.evidence import Sample
from upshot.model.metric import Metric
from upshot.stats import always_valid
from upshot.stats.clusters import ClusterTotals
from upshot.stats.moments import Moments
from upshot.stats.quantiles import QuantileSample

PRIMARY = Metric(name="converted", column="converted", kind="proportion")
CRASHED = Metric(name="crashed", column="crashed", kind="proportion", role="guardrail", better="lower")
LATENCY = Metric(name="latency", column="latency", kind="mean", role="guardrail", better="lower", margin=0.02)
GATED = {"final": False, "monitoring": "group_sequential", "planned_units": 50_000}


@pytest.fixture
def judge(plan, evidence, shares):
    """The guardrail of one metric in one variant, after any looks."""

    def judged(metric, samples, looks=(), **fields):
        whole = {"converted": shares(control=(100, 1000), treatment=(100, 1000)), metric.name: samples}
        asked = plan(PRIMARY, metric, **fields)
        analysis = analyze(asked, evidence((PRIMARY, metric), whole), looks)
        return analysis.metrics[1].comparisons[0].guardrail, analysis.look

    return judged


def normal(mean, std, n=5000):
    """A sample that has exactly this mean and standard deviation."""
    values = np.tile([-1.0, 1.0], n // 2) * math.sqrt((n - 1) / n)
    return Sample(moments=Moments.from_arrays(mean + std * values))


def test_a_crash_is_found_from_ten_events(judge, shares):
    rail = replace(CRASHED, margin=0.0)
    few, _ = judge(rail, shares(control=(0, 500), treatment=(9, 500)), **GATED)
    assert (few.state, few.p_value) == ("unproven", None)
    many, _ = judge(rail, shares(control=(0, 500), treatment=(15, 500)), **GATED)
    assert many.state == "harmed"
    assert many.p_value == pytest.approx(always_valid.two_rates_p_value(15, 500, 0, 500))
    assert many.bound == pytest.approx(always_valid.two_rates_bound(15, 500, 0, 500, 0.01) - 1)
    assert many.bound > 0
    assert "worse than control by at least" in many.sentence


def test_a_crash_within_its_margin_is_not_harm(judge, shares):
    samples = shares(control=(40, 10_000), treatment=(90, 10_000))
    assert judge(replace(CRASHED, margin=0.0), samples, **GATED)[0].state == "harmed"
    within, _ = judge(replace(CRASHED, margin=0.5), samples, **GATED)
    assert within.state == "unproven"
    assert within.threshold == 0.5


def test_a_margin_holds_when_the_interval_lies_within_it(judge):
    """300 ms against 300, std 60: the deterioration could be 0.8% at most, by Fieller at 95%."""
    samples = {"control": normal(300, 60), "treatment": normal(300, 60)}
    held, _ = judge(LATENCY, samples)
    assert held.state == "held"
    unit = 60 / math.sqrt(5000) / 300
    t = stats.t.ppf(0.975, 9998)
    a, b, c = 1 - t**2 * unit**2, 1, 1 - t**2 * unit**2
    worst = (b + math.sqrt(b**2 - a * c)) / a - 1  # Fieller for the ratio of two equal means
    assert f"more than {100 * worst:.2f}%"[:-3] in held.sentence
    tight, _ = judge(replace(LATENCY, margin=0.007), samples)
    assert tight.state == "unproven"
    assert "its margin is 0.7%" in tight.sentence


def test_a_margin_of_nothing_asks_for_a_gain_and_says_so(judge):
    same = {"control": normal(300, 60), "treatment": normal(300, 60)}
    bare, _ = judge(replace(LATENCY, margin=None), same)
    assert (bare.state, bare.threshold) == ("unproven", 0.0)
    assert "give it a margin" in bare.sentence
    faster, _ = judge(
        replace(LATENCY, margin=None), {"control": normal(300, 60), "treatment": normal(290, 60)}
    )
    assert faster.state == "held"


def test_harm_beyond_a_margin_is_a_bound_beyond_it(judge):
    slower = {"control": normal(300, 60), "treatment": normal(312, 60)}  # 4% slower, standard error 0.4%
    harmed, _ = judge(LATENCY, slower, **GATED)
    assert harmed.state == "harmed"
    assert 0.02 < harmed.bound < 0.04
    near, _ = judge(replace(LATENCY, margin=0.035), slower, **GATED)
    assert near.state == "unproven"
    assert near.bound == pytest.approx(harmed.bound)
    assert (near.bound > near.threshold) == (near.p_value is not None and near.p_value <= 0.01)


def test_higher_is_better_turns_a_margin(judge):
    speed = replace(LATENCY, name="speed", better="higher")
    assert (
        judge(speed, {"control": normal(300, 60), "treatment": normal(288, 60)}, **GATED)[0].state == "harmed"
    )
    assert (
        judge(speed, {"control": normal(300, 60), "treatment": normal(330, 60)}, **GATED)[0].state == "held"
    )


def test_harm_once_proven_stays(judge, shares):
    rail = replace(CRASHED, margin=0.0)
    harmed, look = judge(rail, shares(control=(0, 500), treatment=(15, 500)), **GATED)
    later, _ = judge(rail, shares(control=(40, 5000), treatment=(40, 5000)), (look,), **GATED)
    assert later.state == "harmed"
    assert later.p_value == harmed.p_value


def test_the_harm_level_is_shared_among_guardrails_and_variants(plan, evidence, shares):
    """18 more crashes are harm for one guardrail alone, not for one of four."""
    metrics = (PRIMARY, *(replace(CRASHED, name=f"g{i}", margin=0.0) for i in range(4)))
    rail = shares(control=(4, 5000), treatment=(22, 5000))
    p = always_valid.two_rates_p_value(22, 5000, 4, 5000)
    assert 0.01 / 4 < p < 0.01
    base = {"converted": shares(control=(100, 5000), treatment=(100, 5000))}

    def state(number):
        asked = metrics[: number + 1]
        whole = base | {metric.name: rail for metric in asked[1:]}
        return (
            analyze(plan(*asked, **GATED), evidence(asked, whole)).metrics[1].comparisons[0].guardrail.state
        )

    assert (state(1), state(4)) == ("harmed", "unproven")


def test_a_limit_is_harm_only_beyond_it_and_worse_than_control(judge, shares):
    rail = replace(CRASHED, maximum=0.001)
    beyond, _ = judge(rail, shares(control=(4, 10_000), treatment=(40, 10_000)), **GATED)
    assert beyond.state == "harmed"
    expected = max(
        always_valid.rate_p_value(40, 10_000, 0.001), always_valid.two_rates_p_value(40, 10_000, 4, 10_000)
    )
    assert beyond.p_value == pytest.approx(expected)
    both, _ = judge(rail, shares(control=(40, 10_000), treatment=(40, 10_000)), **GATED)
    assert both.state == "unproven"
    assert "control itself is above its limit" in both.sentence
    below, _ = judge(
        replace(CRASHED, maximum=0.02), shares(control=(4, 10_000), treatment=(40, 10_000)), **GATED
    )
    assert below.state != "harmed"


def test_a_limit_holds_when_wilsons_end_is_below_it(judge, shares):
    samples = shares(control=(3, 10_000), treatment=(3, 10_000))
    held, _ = judge(replace(CRASHED, maximum=0.001), samples)
    high = stats.binomtest(3, 10_000).proportion_ci(0.95, method="wilson").high
    assert held.state == "held"
    assert held.bound == pytest.approx(high)
    assert judge(replace(CRASHED, maximum=high * 0.99), samples)[0].state == "unproven"


def test_limits_of_means_have_two_sides(judge):
    slow = replace(LATENCY, margin=None, maximum=310.0)
    assert judge(slow, {"control": normal(300, 60), "treatment": normal(300, 60)})[0].state == "held"
    assert judge(slow, {"control": normal(300, 60), "treatment": normal(309, 60)})[0].state == "unproven"
    assert (
        judge(slow, {"control": normal(300, 60), "treatment": normal(330, 60)}, **GATED)[0].state == "harmed"
    )
    speed = replace(LATENCY, name="speed", better="higher", margin=None, minimum=290.0)
    assert judge(speed, {"control": normal(300, 60), "treatment": normal(300, 60)})[0].state == "held"
    assert (
        judge(speed, {"control": normal(300, 60), "treatment": normal(270, 60)}, **GATED)[0].state == "harmed"
    )


def test_a_quantiles_limit_is_the_share_of_units_over_it(judge):
    """p95 below 3000 ms: at most 5% of loads over 3000."""
    load = Metric(
        name="load",
        column="load",
        kind="quantile",
        quantile=0.95,
        role="guardrail",
        better="lower",
        maximum=3000.0,
    )

    def over(share, n=20_000):
        values = np.where(np.arange(n) < share * n, 4000.0, 1000.0 + np.arange(n) % 97)
        quantile = QuantileSample.from_array(values, 0.95)
        return Sample(moments=Moments.from_counts(int((values > 3000).sum()), n), quantile=quantile)

    held, _ = judge(load, {"control": over(0.04), "treatment": over(0.04)})
    assert (held.state, held.threshold) == ("held", pytest.approx(0.05))
    assert "share of units beyond 3,000" in held.sentence
    harmed, _ = judge(load, {"control": over(0.04), "treatment": over(0.07)}, **GATED)
    assert harmed.state == "harmed"


def test_a_limit_on_clusters_weighs_them_by_their_rows(judge):
    """One big cluster beside small ones: the mean over rows is 9.1, that over clusters 1.8."""
    rng = np.random.default_rng(3)
    weights = np.append(np.ones(60), 600.0)
    outcomes = np.append(rng.normal(1, 0.1, 60), 600 * 10.0)
    totals = ClusterTotals(outcomes, weights)
    one = Sample(moments=Moments.from_arrays(outcomes / weights), clusters=totals)
    queue = Metric(name="queue", column="queue", kind="mean", role="guardrail", better="lower", maximum=5.0)
    rail, _ = judge(queue, {"control": one, "treatment": one})
    assert rail.state == "unproven"
    assert "9.1" in rail.sentence


def test_a_guardrail_in_which_nothing_happened_is_unproven(judge, shares):
    rail, _ = judge(replace(CRASHED, margin=0.1), shares(control=(0, 5000), treatment=(0, 5000)))
    assert rail.state == "unproven"
    assert (rail.bound, rail.p_value) == (None, None)


def test_no_harm_is_called_in_one_course_of_a_hundred(plan, evidence, shares):
    """400 courses of 14 looks at equal crash rates, margin 0, seed 20260205: at most 1% + 3.5 standard errors."""
    rng, called = np.random.default_rng(20260205), 0
    rail = replace(CRASHED, margin=0.0)
    asked = plan(PRIMARY, rail, **GATED)
    for _ in range(400):
        events = {name: rng.binomial(700, 0.004, 14).cumsum() for name in ("control", "treatment")}
        looks = ()
        for day in range(14):
            n = 700 * (day + 1)
            counts = {name: (int(e[day]), n) for name, e in events.items()}
            whole = {
                "converted": shares(control=(n // 5, n), treatment=(n // 5, n)),
                "crashed": shares(**counts),
            }
            analysis = analyze(asked, evidence((PRIMARY, rail), whole), looks)
            looks = (*looks, analysis.look)
            if analysis.metrics[1].comparisons[0].guardrail.state == "harmed":
                called += 1
                break
    assert called / 400 <= 0.01 + 3.5 * (0.01 * 0.99 / 400) ** 0.5
