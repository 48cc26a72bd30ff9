import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.errors import InputError, PlanError
from upshot.formats.canonical import content_hash
from upshot.formats.plans import plan_from_mapping, plan_from_yaml, plan_to_yaml, read_plan
from upshot.model.metric import Metric
from upshot.model.plan import Plan

WHOLE = """
id: EXP-2026-001
name: Shorter checkout
hypothesis: We believe that one page will raise conversion because people leave on page two
unit: user_id
control: off
split: {on: 50%, off: 50%}
minimum_effect: 5%
monitoring: group_sequential
planned_units: 57,760
start: 2026-12-01
metrics:
  primary: [converted, "revenue,mean,covariate=revenue_before"]
  secondary: ["action,value=click,name=clicked"]
  guardrail:
    - crashed,max=0.1%
    - {column: latency_ms, better: lower, margin: 2%}
"""


def test_a_plan_as_people_write_it() -> None:
    plan = plan_from_yaml(WHOLE)
    assert plan.control == "off"
    assert plan.split == {"on": 0.5, "off": 0.5}
    assert (plan.minimum_effect, plan.planned_units, plan.start) == (0.05, 57760, date(2026, 12, 1))
    assert [(metric.name, metric.role) for metric in plan.metrics] == [
        ("converted", "primary"),
        ("revenue", "primary"),
        ("clicked", "secondary"),
        ("crashed", "guardrail"),
        ("latency_ms", "guardrail"),
    ]


def test_five_mistakes_are_named_at_once() -> None:
    text = """
alpha: 5
min_effect: 0.05
monitoring: bayesian
split: {control: 0.5, treatment: 0.4}
metrics: [{column: revenue, kind: ratio}, {column: x, kind: average}]
minimum_days: 30
"""
    with pytest.raises(PlanError) as error:
        plan_from_yaml(text, "plan.yaml")
    problems = "\n".join(error.value.problems)
    assert len(error.value.problems) == 7
    for words in (
        "alpha is 5: give a number between 0 and 1",
        "min_effect is no field of a plan: did you mean minimum_effect?",
        "monitoring is 'bayesian': use one of fixed, group_sequential, always_valid",
        "split adds up to 0.9",
        "metric revenue: a ratio needs its denominator",
        "metric x: kind is 'average': use one of proportion, mean",
        "minimum_days is 30, above maximum_days 28",
    ):
        assert words in problems
    assert str(error.value).startswith("plan.yaml has 7 problems:")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metrics": []}, "no primary"),
        ({"metrics": ["a", "a"]}, "metric a is there 2 times"),
        ({"metrics": [3]}, "metric 1 is 3"),
        ({"metrics": {"primary": ["a"], "secundary": ["b"]}}, "metric"),
        ({"metrics": [{"name": "a"}]}, "metric a: column is missing"),
        ({"metrics": [{"column": "a", "margin": "2%"}]}, "metric a: a margin is for guardrails"),
        ({"metrics": [{"column": "a", "colour": 1}]}, "metric a: colour is no field of a metric"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"alpha": True}, "alpha is true: give a number"),
        ({"looks": 2.5}, "looks is 2.5: give a whole number of 1 or more"),
        ({"split": {"control": 1}}, "split names only control"),
        ({"split": {"control": 0, "b": 0}}, "split adds up to 0"),
        (
            {"split": {"control": -1, "b": 1}},
            "split: control is -1: give each variant a weight of 0 or more",
        ),
        ({"split": {"a": 1, "b": 1}}, "control is control, which is not in the split (a, b)"),
        ({"split": "half"}, "split is 'half'"),
        ({"minimum_effect": 5}, "minimum_effect is 5: give a number between 0 and 1 (or a percentage)"),
        ({"ship_threshold": "10%"}, "ship_threshold is 0.1, above minimum_effect 0.05"),
        ({"monitoring": "group_sequential"}, "give planned_units"),
        ({"planned_units": 10, "maximum_units": 5}, "planned_units is 10, above maximum_units 5"),
        ({"family": "dunnett", "monitoring": "always_valid"}, "family is dunnett"),
        ({"futility": True}, "futility is on"),
        ({"start": "2026-12-02", "end": "2026-12-01"}, "end is 2026-12-01, before start 2026-12-02"),
        ({"start": "soon"}, "start is 'soon': give a day as 2026-12-31"),
        ({"tie_break": "speed"}, "tie_break is speed: use one of largest_lift, first, converted"),
        ({"policy": "do_no_harm"}, "under do_no_harm a primary needs a margin"),
        ({"control": ""}, "control is ''"),
        ({"futility": "maybe"}, "futility is 'maybe': write true or false"),
    ],
)
def test_each_mistake_is_one_sentence_with_its_mend(change: dict[str, object], words: str) -> None:
    with pytest.raises(PlanError) as error:
        plan_from_mapping({"metrics": ["converted"], **change})
    assert words in "\n".join(error.value.problems)
    assert all(": " in problem and "\n" not in problem for problem in error.value.problems)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("metrics: [a\nalpha: 0.1", "line"),
        ("alpha: 0.1\nalpha: 0.2\nmetrics: [a]", "line 2: alpha is given twice"),
        ("- a\n- b", "holds no fields"),
        ("", "holds no fields"),
        ("name: !!python/object:os.system {}", "YAML"),
    ],
)
def test_text_that_is_no_plan(text: str, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        plan_from_yaml(text, "plan.yaml")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(WHOLE, encoding="utf-8")
    assert read_plan(path) == plan_from_yaml(WHOLE)
    with pytest.raises(InputError, match="does not exist"):
        read_plan(tmp_path / "none.yaml")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(path)


names = st.from_regex(r"[a-z][a-z_ %,'#:]{0,8}[a-z]", fullmatch=True)
shares = st.floats(0.001, 0.999)
plain_metrics = st.builds(
    Metric,
    name=names,
    column=names,
    kind=st.sampled_from([None, "proportion", "mean", "count"]),
    better=st.sampled_from(["higher", "lower"]),
    cap=st.none() | shares,
)
guardrails = st.builds(
    Metric,
    name=names,
    column=names,
    role=st.just("guardrail"),
    better=st.sampled_from(["higher", "lower"]),
    margin=shares,
)
plans = st.builds(
    Plan,
    metrics=st.builds(
        lambda primary, rest: (primary, *rest),
        plain_metrics,
        st.lists(plain_metrics | guardrails, max_size=3),
    ).filter(lambda metrics: len({metric.name for metric in metrics}) == len(metrics)),
    control=st.just("off"),
    split=st.sampled_from([{}, {"off": 1.0, "on": 3.0}, {"on": 0.25, "off": 0.75}]),
    name=st.text(max_size=20),
    hypothesis=st.text(max_size=20),
    minimum_effect=shares,
    alpha=shares,
    power=shares,
    monitoring=st.sampled_from(["fixed", "always_valid"]),
    planned_units=st.none() | st.integers(1, 10**9),
    start=st.none() | st.dates(),
    final=st.booleans(),
)


@given(plans)
def test_what_is_written_is_read_back(plan: Plan) -> None:
    again = plan_from_yaml(plan_to_yaml(plan))
    assert again == plan
    assert content_hash(again) == content_hash(plan)


def test_json_is_read_too() -> None:
    plan = plan_from_yaml(json.dumps({"metrics": ["converted"], "alpha": 0.01}))
    assert plan.alpha == 0.01
