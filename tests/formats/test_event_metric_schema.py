from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from upshot.formats.event_metric_fields import names_of
from upshot.formats.event_metric_schema import metrics_schema, schema_text
from upshot.formats.yaml_text import read_yaml
from upshot.model.event_metric import EventMetric, Source

VALID = Draft202012Validator(metrics_schema())


def test_it_is_a_schema():
    Draft202012Validator.check_schema(metrics_schema())


@pytest.mark.parametrize(("part", "cls"), [("Metric", EventMetric), ("Source", Source)])
def test_every_field_is_described_and_nothing_else_allowed(part, cls):
    schema = metrics_schema()["$defs"][part]
    assert set(schema["properties"]) == set(names_of(cls))
    assert schema["additionalProperties"] is False
    assert [name for name, entry in schema["properties"].items() if not entry.get("description")] == []


@pytest.mark.parametrize(
    "text",
    [
        "metrics: {a: {kin: count}}",
        "metrics: {a: {event: A}}",
        "metrics: {a: {kind: count, event: A, window: 7}}",
        "metrics: {a: {kind: count, event: A, where: {segment: b}}}",
        "metrics: {a: {kind: count, event: A, where: {attr: ip, op: in_cidr, value: x}}}",
        "metrics: {a: {kind: funnel, steps: [A]}}",
        "flags: {}",
    ],
)
def test_what_would_be_refused_is_marked_by_editors(text):
    assert list(VALID.iter_errors(read_yaml(text, "metrics"))) != []


def test_the_file_for_editors_is_fresh():
    path = Path(__file__).parents[2] / "docs" / "metrics.schema.json"
    assert path.read_text(encoding="utf-8") == schema_text(), (
        "run: python -m upshot.formats.event_metric_schema > docs/metrics.schema.json"
    )
