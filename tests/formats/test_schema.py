import dataclasses
from pathlib import Path

from upshot.formats.schema import plan_schema, schema_text
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


def test_the_file_for_editors_is_fresh() -> None:
    path = Path(__file__).parents[2] / "docs" / "plan.schema.json"
    assert path.read_text(encoding="utf-8") == schema_text(), (
        "run: python -m upshot.formats.schema > docs/plan.schema.json"
    )
