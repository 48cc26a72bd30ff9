import dataclasses

from upshot.formats.schema import plan_schema
from upshot.model.metric import Metric
from upshot.model.plan import Plan


def test_every_field_is_described_and_nothing_else_allowed() -> None:
    schema = plan_schema()
    for part, cls in ((schema, Plan), (schema["$defs"]["Metric"], Metric)):
        assert set(part["properties"]) == {field.name for field in dataclasses.fields(cls)}
        assert part["additionalProperties"] is False
        undescribed = [name for name, entry in part["properties"].items() if not entry.get("description")]
        assert undescribed == []


def test_percentages_and_short_metrics_are_allowed() -> None:
    schema = plan_schema()
    kinds = [choice["type"] for choice in schema["properties"]["alpha"]["anyOf"]]
    assert kinds == ["number", "string"]
    assert {"$ref": "#/$defs/Short"} in schema["properties"]["metrics"]["anyOf"][0]["items"]["anyOf"]
