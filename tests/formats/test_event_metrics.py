import re
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from upshot.errors import PlanError
from upshot.formats.duration import duration_text, parse_duration
from upshot.formats.event_metric_schema import metrics_schema
from upshot.formats.event_metrics import (
    metrics_from_yaml,
    metrics_to_mapping,
    metrics_to_yaml,
    read_metric_files,
)
from upshot.formats.fact_tables import EXAMPLE
from upshot.formats.yaml_text import read_yaml
from upshot.model.event_metric import EventKind, EventMetric, Source

SCHEMA = Draft202012Validator(metrics_schema())


def problems(text):
    return [one.removeprefix("a.yaml: ") for one in read_metric_files({"a.yaml": text}).problems]


def of(fields):
    """What is wrong with one metric, called m."""
    return [one.removeprefix("metrics.m.") for one in problems(f"metrics: {{m: {{{fields}}}}}")]


def test_a_metric_is_read_as_it_is_written():
    text = """
    metrics:
      revenue:
        kind: mean
        event: Order Completed
        where: {attr: currency, op: eq, value: USD}
        value: revenue
        window: 14d
        covariate: 36h
        cap: 99.9%
        unit: USD
    """
    assert metrics_from_yaml(text) == {
        "revenue": EventMetric(
            name="revenue",
            kind="mean",
            event="Order Completed",
            where={"attr": "currency", "op": "eq", "value": "USD"},
            value="revenue",
            window=timedelta(days=14),
            covariate=timedelta(hours=36),
            cap=0.999,
            unit="USD",
        )
    }


def test_events_may_be_given_by_their_name_alone():
    steps = "f: {kind: funnel, steps: [A, {event: B, type: page}]}"
    text = f"metrics: {{{steps}, r: {{kind: ratio, event: A, denominator: B}}}}"
    found = metrics_from_yaml(text)
    assert found["f"].steps == (Source(event="A"), Source(event="B", type="page"))
    assert found["r"].denominator == Source(event="B")


def test_all_mistakes_of_all_files_are_told_at_once_each_with_its_file():
    found = read_metric_files(
        {
            "a.yaml": "metrics: {m: {kind: meen, event: 3, windw: 7d}, n: {kind: count, event: A}}",
            "b.yaml": "metrics: {n: {kind: count, event: B}}\nflags: {}",
            "c.yaml": "[1]",
            "d.yaml": "metrics: {x: [",
            "e.yaml": "metrics: 4",
            "f.yaml": "metrics: {1: {kind: count}, a b: {kind: count, event: A}}",
            "g.yaml": "",
        }
    )
    assert found.problems == (
        "d.yaml: line 1: expected the node content, but found '<stream end>': mend the YAML there",
        "b.yaml: metrics.n: it is in a.yaml too: keep one of them",
        "b.yaml: there is no section flags: a file of metrics has the sections metrics, tables, exposures",
        "c.yaml: [1] is no file of metrics: begin with metrics: and the name of a metric",
        "e.yaml: metrics: 4 is not a mapping: give each metric its name and fields",
        "f.yaml: metrics: the name 1 is not text: quote it",
        "a.yaml: metrics.m.windw: unknown field: did you mean window?",
        f"a.yaml: metrics.m.kind: 'meen' is not one of {', '.join(get_args(EventKind))}",
        "a.yaml: metrics.m.event: 3 is not a text of at least one character",
        "f.yaml: metrics.a b: a name is letters, digits and _ . : - without spaces",
    )
    assert found.metrics["n"].event == "A"


MISTAKES = """
kind: count
  event: this is missing: give the name of the event that is looked for, or a table
kind: mean, event: A
  value: this is missing: give the numeric property of the event, such as value: revenue
kind: count, event: A, value: v
  value: a count looks at no property: leave value out, or filter by it with where
kind: ratio, event: A
  denominator: this is missing: give the events to divide by, such as denominator: {event: Session Ended}
kind: count, event: A, denominator: B
  denominator: this makes a ratio, but the kind is count: write ratio, or leave it out
kind: funnel, steps: [A]
  steps: a funnel needs two steps at least: list events in the order in which they should happen
kind: count, event: A, steps: [A, B]
  steps: steps make a funnel, but the kind is count: write funnel, or leave them out
kind: funnel, steps: [A, {event: B, value: v}]
  steps: a step looks at no property: leave its value out, or filter by it with where
kind: funnel, event: A, steps: [A, B]
  event: a funnel has its events in steps: move event, table, type and where into its first step
kind: quantile, event: A, value: v
  quantile: this is missing: give the level, such as quantile: 95%
kind: count, event: A, quantile: 0.5
  quantile: the level is for a quantile, but the kind is count: leave it out
kind: retention
  day: this is missing: give how many days after the first exposure, such as day: 7
kind: count, event: A, day: 1
  day: the day is for retention, but the kind is count: leave it out
kind: count, event: A, absent: true
  absent: units without an event are counted by a proportion or by retention, not by a count
kind: time_to_event, event: A
  window: this is missing: units without the event count as the whole window, so give one, such as window: 7d
kind: proportion, event: A, absent: true
  window: this is missing: a unit is without the event once a time is over, so give one, such as window: 30d
kind: time_to_event, event: A, window: 7d, unit: weeks
  unit: a time is shown in seconds, minutes, hours or days: give one of them
kind: funnel, steps: [A, B], covariate: 7d
  covariate: a funnel has no covariate from before: leave it out
kind: proportion, event: A, cap: 99%
  cap: a cap is for counts, means and ratios, not for a proportion: leave it out
kind: count, event: A, where: {any: [{attr: ip, op: in_cidr, value: x}]}
  where: in_cidr is for flags; events are asked without it: filter by another
kind: funnel, steps: [A, {event: B, where: {not: {attr: ip, op: in_cidr}}}]
  steps[1].where: in_cidr is for flags; events are asked without it: filter by another
kind: count, event: A, window: 0d
  window: '0d' is not a span of time, such as 7d, 24h or 90m
kind: count, event: A, cap: 1
  cap: 1 is not a share between 0 and 1, such as 0.95 or 95%
kind: count, event: A, cap: many
  cap: 'many' is not a share between 0 and 1, such as 0.95 or 95%
kind: count, event: A, where: yes
  where: 'yes' is not a condition, such as {attr: country, op: in, value: [CA, US]}
kind: retention, day: -1
  day: -1 is not a whole number of days from 0
kind: count, event: A, absent: maybe
  absent: 'maybe' is not true or false
kind: funnel, steps: [A, {evnt: B}]
  steps[1].evnt: unknown field: did you mean event?
  steps[1].event: this is missing: give the name of an event, or a table
kind: funnel, steps: A
  steps: 'A' is not a list of steps, such as [Product Viewed, {event: Order Completed}]
kind: ratio, event: A, denominator: 3
  denominator: 3 is not the events to divide by, such as {event: Session Ended}
kind: ratio, event: A, denominator: {event: B, type: pge}
  denominator.type: 'pge' is not one of track, page, screen, identify, group, alias
kind: count, table: orders
  table: there is no table orders: declare it in the section tables, such as {TABLE}
kind: count, table: 3
  table: 3 is not the name of a table that is declared in tables
"""
"""One metric's fields, and below them what is said of them."""


def mistakes():
    for entry in re.split(r"\n(?! |$)", MISTAKES.strip()):
        fields, *said = entry.replace("{TABLE}", EXAMPLE).split("\n  ")
        yield pytest.param(fields, said, id=fields)


@pytest.mark.parametrize(("fields", "said"), list(mistakes()))
def test_each_mistake_is_told_with_its_field_and_its_mend(fields, said):
    assert of(fields) == said


def test_what_is_no_metric_is_told():
    assert problems("metrics: {m: 3}") == [
        "metrics.m: 3 is not a metric, such as {kind: proportion, event: Order Completed}"
    ]


def test_one_text_raises_all_of_it():
    with pytest.raises(PlanError) as refused:
        metrics_from_yaml("metrics: {m: {kind: count}, n: {kind: retention}}", "shop.yaml")
    assert len(refused.value.problems) == 2
    assert str(refused.value).startswith("shop.yaml has 2 problems:")


SPANS = st.integers(1, 10**6).map(lambda seconds: timedelta(seconds=seconds)) | st.integers(1, 400).map(
    lambda days: timedelta(days=days)
)
SPANS = SPANS.filter(lambda span: len(duration_text(span)) <= 6)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12)
CONDITIONS = st.builds(
    lambda attr, value: {"all": [{"attr": attr, "op": "eq", "value": value}]}, NAMES, st.booleans() | NAMES
)
SOURCES = st.builds(
    Source, event=NAMES, type=st.sampled_from([None, "track", "page"]), where=st.none() | CONDITIONS
)
METRICS = st.one_of(
    st.builds(
        EventMetric, name=st.just("m"), kind=st.sampled_from(["proportion", "count"]), event=NAMES,
        where=st.none() | CONDITIONS, window=st.none() | SPANS, covariate=st.none() | SPANS, description=NAMES,
        better=st.sampled_from(["higher", "lower"]),
    ),
    st.builds(
        EventMetric, name=st.just("m"), kind=st.just("ratio"), event=NAMES, value=st.none() | NAMES,
        denominator=SOURCES, cap=st.none() | st.floats(0.5, 0.999), horizon=st.sampled_from(["leading", "lagging"]),
    ),
    st.builds(
        EventMetric, name=st.just("m"), kind=st.just("funnel"),
        steps=st.lists(SOURCES, min_size=2, max_size=4).map(tuple), window=SPANS,
    ),
    st.builds(
        EventMetric, name=st.just("m"), kind=st.just("retention"), day=st.integers(0, 400), absent=st.booleans(),
        window=st.none() | SPANS,
    ),
    st.builds(
        EventMetric, name=st.just("m"), kind=st.just("quantile"), event=NAMES, value=NAMES,
        quantile=st.floats(0.01, 0.99), unit=NAMES,
    ),
)  # fmt: skip


@given(METRICS)
def test_what_is_written_reads_back_the_same_and_editors_allow_it(metric):
    assert metrics_from_yaml(metrics_to_yaml({"m": metric})) == {"m": metric}
    written = read_yaml(metrics_to_yaml({"m": metric}), "m")
    assert [error.message for error in SCHEMA.iter_errors(written)] == []


def test_no_metrics_are_an_empty_file():
    assert metrics_to_mapping({}) == {}
    assert metrics_from_yaml("metrics:") == {}


@pytest.mark.parametrize(
    ("text", "hours"), [("7d", 168), ("2w", 336), ("24h", 24), ("90m", 1.5), ("1800s", 0.5)]
)
def test_spans_of_time_are_read_as_people_write_them(text, hours):
    assert parse_duration(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["7", "d", "7 d", "1.5d", "-1d", "7days", "", "1000000d"])
def test_other_spans_are_refused(text):
    with pytest.raises(ValueError, match=text or "^$"):
        parse_duration(text)
