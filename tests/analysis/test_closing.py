import pytest

from upshot.analysis.analyze import analyze
from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.stats.group_sequential import stagewise_p_value
from upshot.stats.moments import Moments

METRIC = Metric(name="converted", column="converted", kind="proportion")


def evidence(n, control, treatment):
    samples = {
        "control": Sample(moments=Moments.from_counts(round(control * n), n)),
        "treatment": Sample(moments=Moments.from_counts(round(treatment * n), n)),
    }
    total = Slice(units={"control": n, "treatment": n}, samples={"converted": samples})
    return Evidence(unit="user", control="control", variants=tuple(samples), metrics=(METRIC,), total=total)


def run(rates, **changes):
    plan = Plan(
        metrics=(METRIC,),
        monitoring="group_sequential",
        planned_units=4000,
        looks=len(rates),
        floor=0,
        **changes,
    )
    looks = []
    for number, rate in enumerate(rates, start=1):
        analysis = analyze(plan, evidence(4000 * number // len(rates), 0.10, rate), tuple(looks))
        looks.append(analysis.look)
    return analysis, looks


def test_one_look_at_the_maximum_is_the_fixed_answer():
    analysis, _ = run([0.115])
    one = analysis.metrics[0].comparisons[0]
    assert one.stagewise_p_value == pytest.approx(one.p_value, rel=1e-6)
    assert one.median_unbiased == pytest.approx(one.effect, rel=1e-6)


def test_a_test_that_went_on_ends_where_it_crossed():
    analysis, looks = run([0.10, 0.15, 0.13, 0.12])
    one = analysis.metrics[0].comparisons[0]
    crossing = looks[1].comparisons["converted", "treatment"]
    assert one.significant
    assert one.stagewise_p_value == pytest.approx(stagewise_p_value([0.25, 0.5], crossing.fixed_z), rel=1e-6)
    assert 0 < one.median_unbiased < crossing.effect


def test_futility_is_advice_where_the_plan_asks_for_it():
    flat, _ = run([0.10, 0.10, 0.095])
    assert not flat.notes
    plan = {"futility": True}
    advised, looks = run([0.10, 0.10, 0.095], **plan)
    assert not advised.notes  # at the maximum there is nothing to give up
    running, _ = run([0.10, 0.095, 0.12], **plan)
    assert running.metrics[0].comparisons[0].p_value is not None
    half = analyze(
        Plan(
            metrics=(METRIC,),
            monitoring="group_sequential",
            planned_units=4000,
            looks=2,
            floor=0,
            futility=True,
        ),
        evidence(2000, 0.10, 0.09),
    )
    assert half.notes[0].startswith("futility: converted of treatment")
    assert len(looks) == 3


def test_a_look_without_a_test_forgets_nothing():
    plan = Plan(metrics=(METRIC,), monitoring="always_valid", planned_units=4000, floor=0)
    first = analyze(plan, evidence(2000, 0.10, 0.04)).look
    empty = analyze(plan, evidence(2000, 0.0, 0.0), (first,)).look
    assert empty.comparisons == first.comparisons


def test_units_where_the_split_allows_none_fail():
    plan = Plan(metrics=(METRIC,), split={"control": 1.0, "treatment": 0.0}, final=True)
    check = next(
        one for one in analyze(plan, evidence(2000, 0.10, 0.12)).checks if one.name == "sample_ratio"
    )
    assert check.status == "fail"
    assert "weight 0" in check.detail
