"""The JSON of an analysis: the names of the contract, and null with a reason."""

import json
from dataclasses import replace
from datetime import date

import pytest

from upshot.analysis.analyze import analyze
from upshot.analysis.contract import analysis_to_dict
from upshot.model.metric import Metric

GUARD = Metric(
    name="crashed", column="crashed", kind="proportion", role="guardrail", better="lower", margin=0.1
)
SHARE = Metric(name="converted", column="converted", kind="proportion")


@pytest.fixture
def told(plan, evidence, shares, part):
    segment = part({"converted": shares(control=(30, 300), treatment=(40, 300))})
    whole = {
        "converted": shares(control=(100, 1000), treatment=(130, 1000)),
        "crashed": shares(control=(0, 1000), treatment=(2, 1000)),
    }
    found = evidence((SHARE, GUARD), whole, segments={"country": {"DE": segment}})
    analysis = analyze(plan(SHARE, GUARD), found, day=date(2026, 2, 2))
    return analysis_to_dict(analysis, {"verdict": "SHIP"})


def test_it_has_the_fields_of_the_contract(told):
    assert set(told) >= {
        "format", "unit", "control", "monitoring", "alpha", "look", "checks", "metrics", "segments", "verdict",
    }  # fmt: skip
    assert told["verdict"] == {"verdict": "SHIP"}
    assert told["look"] == {
        "number": 1, "information": 1.0, "day": "2026-02-02", "units": {"control": 1000, "treatment": 1000},
    }  # fmt: skip
    assert {"name", "status", "p_value", "detail"} <= set(told["checks"][0])
    metric = told["metrics"][0]
    assert {"name", "kind", "role", "variants", "comparisons"} <= set(metric)
    assert {"n", "mean", "std"} <= set(metric["variants"]["control"])
    assert set(metric["comparisons"][0]) >= {
        "variant", "effect", "std_error", "interval", "interval_unadjusted", "lift", "lift_interval", "p_value",
        "p_value_adjusted", "tests", "significant", "method", "p_win",
    }  # fmt: skip
    assert set(told["segments"]["country"]["DE"]) == {"checks", "metrics"}
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_what_is_null_has_a_sentence_beside_it(told):
    counts = next(check for check in told["checks"] if check["name"] == "unseen_variants")
    assert counts["p_value"] is None
    assert counts["reasons"] == {"p_value": "this check counts and tests nothing"}
    rail = told["metrics"][1]["comparisons"][0]
    assert rail["lift"] is None
    assert rail["lift_interval"][1] is None
    assert {"lift", "lift_interval"} <= set(rail["reasons"])
    assert rail["guardrail"]["reasons"]["p_value"] == "too little was seen yet for a bound"
    assert told["progress"]["days_left"] is None
    assert "days_left" in told["progress"]["reasons"]


def test_infinity_and_nan_become_null(plan, counted):
    analysis = analyze(plan(), counted(control=(100, 1000), treatment=(130, 1000)))
    metric = analysis.metrics[0]
    broken = replace(
        metric.comparisons[0], lift=float("nan"), interval=(float("-inf"), 1.0), p_win=float("inf")
    )
    told = analysis_to_dict(replace(analysis, metrics=(replace(metric, comparisons=(broken,)),)))
    one = told["metrics"][0]["comparisons"][0]
    assert (one["lift"], one["interval"], one["p_win"]) == (None, [None, 1.0], None)
    assert set(one["reasons"]) == {"lift", "interval", "p_win"}
