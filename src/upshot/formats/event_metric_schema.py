"""The JSON Schema of files of metrics, with which editors complete and check them while people type."""

import json
import sys
from typing import Any

from pydantic import TypeAdapter

from upshot.formats.duration import PATTERN
from upshot.formats.event_metric_fields import SHARES, SPANS
from upshot.formats.event_metric_rules import BEYOND_SQL
from upshot.formats.fact_tables import fields_of
from upshot.formats.flag_schema import OPERATORS
from upshot.formats.schema import PERCENTAGE, attributes
from upshot.model.event_metric import EventMetric, Source
from upshot.model.fact_table import ExposureTable, FactTable

Schema = dict[str, Any]

_HERE: Schema = {"$ref": "#/$defs/Condition"}
_EVENTS: Schema = {"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/Source"}]}
_SPAN: Schema = {"type": "string", "pattern": f"^{PATTERN}$"}


def metrics_schema() -> Schema:
    """JSON Schema (2020-12) of what `metrics_from_yaml` reads, described by the model's docstrings."""
    metric: Schema = TypeAdapter(EventMetric).json_schema()
    definitions: Schema = metric.pop("$defs")
    source = definitions["Source"]
    for part, cls in ((metric, EventMetric), (source, Source)):
        _shape(part, cls)
    del metric["properties"]["name"]
    metric["required"] = ["kind"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Upshot metrics",
        "type": "object",
        "properties": {
            "metrics": {"type": ["object", "null"], "additionalProperties": {"$ref": "#/$defs/Metric"}},
            "tables": {"type": ["object", "null"], "additionalProperties": {"$ref": "#/$defs/Table"}},
            "exposures": {"anyOf": [{"$ref": "#/$defs/Exposures"}, {"type": "null"}]},
        },
        "additionalProperties": False,
        "$defs": {
            "Metric": metric,
            "Source": source,
            "Table": _table(FactTable),
            "Exposures": _table(ExposureTable),
            "Condition": _condition(),
        },
    }


def _table(cls: type) -> Schema:
    """A table as people write it: all of its fields are texts."""
    texts, fields = attributes(cls.__doc__ or ""), fields_of(cls)
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "description": (cls.__doc__ or "").partition("\n")[0],
        "properties": {name: {**text, "description": texts[name]} for name in fields},
        "required": [name for name, is_needed in fields.items() if is_needed],
        "not": {"required": ["sql", "table"]},
        "additionalProperties": False,
    }


def _shape(part: Schema, cls: type) -> None:
    """As files have it: nothing unknown, each field described."""
    texts = attributes(cls.__doc__ or "")
    part["properties"] = {
        name: {**_written(name, schema), "description": texts[name]}
        for name, schema in part["properties"].items()
    }
    part["additionalProperties"] = False
    part["description"] = (cls.__doc__ or "").partition("\n")[0]


def _written(name: str, schema: Schema) -> Schema:
    """A field as people write it."""
    if name == "where":
        return dict(_HERE)
    if name == "table":
        return {"type": "string", "minLength": 1}
    if name == "denominator":
        return dict(_EVENTS)
    if name == "steps":
        return {"type": "array", "items": _EVENTS, "minItems": 2}
    if name in SPANS:
        return dict(_SPAN)
    if name in SHARES:
        return {"anyOf": [*schema["anyOf"], PERCENTAGE]}
    return schema


def _condition() -> Schema:
    """The conditions of flags, without their segments and what SQL has no word for."""
    leaf: Schema = {
        "type": "object",
        "properties": {
            "attr": {"type": "string", "description": "a property of the event, or a path such as plan.tier"},
            "op": {"enum": [name for name in OPERATORS if name not in BEYOND_SQL]},
            "value": {"description": "what the operator compares with"},
        },
        "required": ["attr", "op"],
        "additionalProperties": False,
    }
    parts = {"type": "array", "items": _HERE, "minItems": 1}
    forms = [
        {"type": "object", "properties": {form: inner}, "required": [form], "additionalProperties": False}
        for form, inner in (("all", parts), ("any", parts), ("not", _HERE))
    ]
    return {"description": "which events are meant, by what their properties say", "oneOf": [leaf, *forms]}


def schema_text() -> str:
    """The schema as the file `docs/metrics.schema.json` holds it."""
    return json.dumps(metrics_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
