"""Experiments from and to YAML."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from upshot.errors import InputError, PlanError
from upshot.formats.experiment_schema import experiment_schema, schema_text
from upshot.formats.experiments import (
    ORDER,
    design_from_mapping,
    design_from_yaml,
    design_of,
    design_to_mapping,
    design_to_yaml,
    details_to_mapping,
    read_design,
)
from upshot.formats.yaml_text import read_yaml
from upshot.model.experiment import Design, Execution, LaggingMetric
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.model.standards import STANDARDS

TEXT = """
id: EXP-2026-001
name: Shorter onboarding
type: onboarding
flag: onboarding
owner: ann@example.org
hypothesis: If we ask less, then more people finish, because each question loses some
background: Half of them leave at the second question
variants: {control: six questions, treatment: three questions}
plan:
  metrics: {primary: [conversion_rate], guardrail: ["crash_rate,max=0.1%"]}
  split: {control: 1, treatment: 1}
  monitoring: group_sequential
  planned_units: 5000
segments: [country]
rollback: turn the flag off
execution: {automatic: [KILL], rollout: [10%, 50%, 100%], every: 12h, holdback: 5%}
lagging: [{metric: d30_retention, after: 30d}]
tags: [signup]
exceptions: {minimum_runtime: it must be done before the holidays}
"""
VALID = Draft202012Validator(experiment_schema())


def problems(text):
    with pytest.raises(PlanError) as refused:
        design_from_yaml(text)
    return refused.value.problems


def test_a_file_says_all_of_it():
    design = design_from_yaml(TEXT)
    assert (design.id, design.name, design.owner) == ("EXP-2026-001", "Shorter onboarding", "ann@example.org")
    assert design.hypothesis.startswith("If we ask less")
    assert [metric.name for metric in design.plan.metrics] == ["conversion_rate", "crash_rate"]
    assert design.execution == Execution(
        automatic=("KILL",), rollout=(0.1, 0.5, 1.0), every=timedelta(hours=12), holdback=0.05
    )
    assert design.lagging == (LaggingMetric(metric="d30_retention", after=timedelta(days=30)),)
    assert set(read_yaml(TEXT, "")) == set(ORDER)


def test_a_plan_is_enough():
    design = design_from_yaml("plan: {metrics: [a]}")
    assert design == Design(plan=Plan(metrics=(Metric(name="a", column="a"),)))
    assert design_from_yaml(design_to_yaml(design)) == design


def test_every_mistake_is_named_at_once():
    text = """
id: 7
nam: x
type: onbording
flag: 3
variants: {ctrl: six steps, treatment: 3}
plan: {name: x, metrics: [a], monitoring: group_sequentia}
segments: country
execution: {automatic: [GO], rollout: [50%, 0%], every: 12, holdback: 105%, x: 1}
lagging: [{metric: d30_retention, after: 30days}, {after: 1d}, 5]
tags: [a, 1]
exceptions: {minimum_runtme: reason, power: ""}
"""
    said = problems(text)
    for begin, mend in (
        ("nam is no field", "did you mean name?"),
        ("plan: name stands at the top", "leave it out of the plan"),
        ("id is 7", "give a text"),
        ("plan: monitoring is 'group_sequentia'", "use one of fixed"),
        ("execution: x is no field", "use one of automatic"),
        ("execution: every is 12", "such as 30d"),
        ("lagging 1: after is '30days'", "such as 30d"),
        ("type is 'onbording'", "use one of viral"),
        ("flag is 3", "give a text"),
        ("variants: treatment is 3", "says what it is"),
        ("segments is 'country'", "give a list"),
        ("execution: automatic: 1 is 'GO'", "SHIP, KILL"),
        ("execution: rollout: 2 is 0", "shares above 0%"),
        ("execution: holdback is 1.05", "below 100%"),
        ("lagging: 2: metric is missing", "name of a metric"),
        ("lagging: 3 is 5", "give a list"),
        ("tags: 2 is 1", "list of words"),
        ("exceptions: minimum_runtme is no standard", "did you mean minimum_runtime?"),
        ("exceptions: power has no reason", "say why"),
    ):
        found = [one for one in said if one.startswith(begin)]
        assert len(found) == 1, (begin, said)
        assert mend in found[0]
    assert len(said) == 19


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: a", "plan is missing"),
        ("plan: 5", "plan is 5: give a mapping"),
        ("plan: {metrics: []}", "plan: metrics has no primary"),
        ("{plan: {metrics: [a]}, variants: {b: words}}", "variants has no control"),
        (
            "{plan: {metrics: [a], split: {control: 1, b: 1}}, variants: {control: x, c: y}}",
            "variants are control, c, and the plan's split has control, b",
        ),
        ("{plan: {metrics: [a]}, type: aa}", "type is aa, and the plan's purpose ab"),
        ("{plan: {metrics: [a]}, segments: [a, a]}", "segments names one attribute twice"),
        (
            "{plan: {metrics: [a]}, lagging: [{metric: b, after: 1d}, {metric: b, after: 2d}]}",
            "lagging names b 2",
        ),
        (
            "{plan: {metrics: [a]}, execution: {rollout: [50%, 10%, 100%]}}",
            "execution: rollout does not grow",
        ),
        ("{plan: {metrics: [a]}, execution: {rollout: [10%, 50%]}}", "execution: rollout ends at 50%"),
        ("{plan: {metrics: [a]}, execution: 5}", "execution is 5: give a mapping"),
        ("{plan: {metrics: [a]}, lagging: 5}", "lagging is 5: give a list"),
    ],
)
def test_what_contradicts_itself_is_refused(text, sentence):
    assert any(one.startswith(sentence) for one in problems(text)), problems(text)


def test_what_is_no_file_of_an_experiment_is_told(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_design(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        read_design(tmp_path)
    with pytest.raises(PlanError, match="holds no fields"):
        design_from_yaml("5")


words = st.text(min_size=1, max_size=8).filter(lambda text: text.strip() == text)
shares = st.integers(1, 99).map(lambda percent: percent / 100)
designs = st.builds(
    Design,
    plan=st.builds(
        Plan,
        metrics=st.just((Metric(name="a", column="a"),)),
        name=words,
        hypothesis=words,
        owner=words,
        monitoring=st.sampled_from(["fixed", "always_valid"]),
    ),
    type=st.sampled_from([None, "viral", "ui"]),
    flag=words,
    background=words,
    variants=st.dictionaries(words, words).map(lambda named: {"control": "as it is", **named} if named else {}),
    segments=st.lists(words, unique=True, max_size=3).map(tuple),
    execution=st.builds(
        Execution,
        automatic=st.lists(st.sampled_from(["SHIP", "KILL", "EXTEND"]), unique=True).map(tuple),
        rollout=st.sets(shares, min_size=1).map(lambda steps: (*sorted(steps), 1.0)) | st.just(()),
        every=st.integers(1, 999).map(lambda hours: timedelta(hours=hours)),
        holdback=shares | st.just(0.0),
    ),
    lagging=st.dictionaries(words, st.integers(1, 99)).map(
        lambda named: tuple(LaggingMetric(metric=name, after=timedelta(days=n)) for name, n in named.items())
    ),
    tags=st.lists(words, max_size=3).map(tuple),
    exceptions=st.dictionaries(st.sampled_from(STANDARDS), words),
)  # fmt: skip


@given(designs)
def test_what_is_written_reads_back_the_same(design):
    assert design_from_yaml(design_to_yaml(design)) == design
    assert design_from_mapping(design_to_mapping(design)) == design
    assert design_of(design.plan, details_to_mapping(design)) == design


@given(designs)
def test_the_schema_takes_what_is_written(design):
    assert list(VALID.iter_errors(read_yaml(design_to_yaml(design), ""))) == []


def test_the_schema_describes_every_field_and_allows_nothing_else():
    schema = experiment_schema()
    Draft202012Validator.check_schema(schema)
    assert list(schema["properties"]) == list(ORDER)
    for part in (schema, *(schema["$defs"][name] for name in ("Execution", "LaggingMetric", "Plan"))):
        assert part["additionalProperties"] is False
    described = (schema["properties"], schema["$defs"]["Execution"]["properties"])
    assert [
        n for part in described for n, one in part.items() if not one.get("description") and n != "plan"
    ] == []


@pytest.mark.parametrize(
    "text",
    [
        "{plan: {metrics: [a]}, typ: ui}",
        "{plan: {metrics: [a], name: x}}",
        "{plan: {metrics: [a]}, exceptions: {power_: x}}",
        "{plan: {metrics: [a]}, execution: {every: 7}}",
        "{name: a}",
    ],
)
def test_the_schema_refuses_what_is_refused(text):
    assert not VALID.is_valid(read_yaml(text, ""))
    assert problems(text)


def test_the_file_for_editors_is_fresh(request):
    path = request.config.rootpath / "docs" / "experiment.schema.json"
    assert path.read_text(encoding="utf-8") == schema_text(), (
        "run: python -m upshot.formats.experiment_schema > docs/experiment.schema.json"
    )
