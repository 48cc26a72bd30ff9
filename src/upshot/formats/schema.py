"""The JSON Schema of a plan file, with which editors complete and check it while people type."""

import json
import re
import sys
from typing import Any

from upshot.formats.plans import ADAPTER
from upshot.formats.validation import NUMERIC
from upshot.model.metric import Metric
from upshot.model.plan import Plan

SHORT_FORM = "a column, then options after commas: revenue,mean,covariate=revenue_before"
PERCENTAGE = {"type": "string", "pattern": r"^-?[0-9.,_]+%?$"}


def plan_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `plan_from_yaml` reads, described by the model's docstrings."""
    schema: dict[str, Any] = ADAPTER.json_schema()
    metric = schema["$defs"]["Metric"]
    for part, cls in ((schema, Plan), (metric, Metric)):
        part["additionalProperties"] = False
        _describe(part["properties"], cls.__doc__ or "")
    metric["required"] = ["column"]
    entries = {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/Metric"}, {"$ref": "#/$defs/Short"}]}}
    schema["$defs"]["Short"] = {"type": "string", "description": SHORT_FORM}
    roles = dict.fromkeys(("primary", "secondary", "guardrail"), entries)
    schema["properties"]["metrics"] = {
        "anyOf": [entries, {"type": "object", "properties": roles, "additionalProperties": False}],
        "description": schema["properties"]["metrics"].get("description", ""),
    }
    weight = schema["properties"]["split"]["additionalProperties"]
    schema["properties"]["split"]["additionalProperties"] = {"anyOf": [weight, PERCENTAGE]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Upshot plan"}


def _describe(properties: dict[str, Any], docstring: str) -> None:
    """Add what the docstring says of each field, and let numbers be percentages."""
    texts = attributes(docstring)
    for name, schema in properties.items():
        if name in NUMERIC:
            choices = schema.pop("anyOf", None) or [
                {k: schema.pop(k) for k in list(schema) if k not in _KEPT}
            ]
            schema["anyOf"] = [*choices, PERCENTAGE]
        if name in texts:
            schema["description"] = texts[name]


_KEPT = ("title", "default", "description")


def attributes(docstring: str) -> dict[str, str]:
    """The entries of a docstring's ``Attributes`` section; one entry may describe several fields."""
    section = docstring.partition("Attributes:")[2]
    entries = re.findall(r"^ {8}(\w[\w, ]*): (.*(?:\n {12}.*)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for names, text in entries for name in names.split(", ")}


def schema_text() -> str:
    """The schema as the file `docs/plan.schema.json` holds it."""
    return json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
