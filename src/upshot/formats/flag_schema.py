"""The JSON Schema of files of flags, with which editors complete and check them while people type."""

import json
import sys
from typing import Any

from pydantic import TypeAdapter

from upshot.formats.flag_fields import CALLED, NAMED, NUMBERS, SHORT, short_rule
from upshot.formats.flag_findings import INSIDE
from upshot.formats.schema import PERCENTAGE, attributes
from upshot.model.flag import FlagSet, Monitoring

OPERATORS = (
    "eq", "ne", "in", "not_in", "in_ci", "not_in_ci", "gt", "gte", "lt", "lte", "contains", "contains_ci",
    "starts_with", "starts_with_ci", "ends_with", "ends_with_ci", "regex", "regex_ci", "exists", "before", "after",
    "in_cidr", "semver_eq", "semver_ne", "semver_gt", "semver_gte", "semver_lt", "semver_lte",
)  # fmt: skip
"""Those of `docs/ruleset.md`; the evaluator's own list is below this layer, and a test holds them alike."""

Schema = dict[str, Any]

_HERE: Schema = {"$ref": "#/$defs/Condition"}
CONDITION: Schema = {
    "description": "who is meant, by what their context says",
    "oneOf": [
        {
            "type": "object",
            "properties": {
                "attr": {
                    "type": "string",
                    "description": "an attribute of the context, or a path such as plan.tier",
                },
                "op": {"enum": list(OPERATORS)},
                "value": {"description": "what the operator compares with"},
            },
            "required": ["attr", "op"],
            "additionalProperties": False,
        },
        *(
            {"type": "object", "properties": {form: inner}, "required": [form], "additionalProperties": False}
            for form, inner in (
                ("all", {"type": "array", "items": _HERE, "minItems": 1}),
                ("any", {"type": "array", "items": _HERE, "minItems": 1}),
                ("not", _HERE),
                ("segment", {"type": "string"}),
            )
        ),
    ],
}


def flags_schema() -> Schema:
    """JSON Schema (2020-12) of what `flags_from_yaml` reads, described by the model's docstrings."""
    whole: Schema = TypeAdapter(FlagSet).json_schema()
    parts: dict[str, Schema] = whole["$defs"]
    for cls in CALLED:
        _shape(parts[cls.__name__], cls)
    flag = parts["Flag"]["properties"]
    flag |= {name: _short(name, parts) for name in SHORT}
    parts["Condition"] = CONDITION
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Upshot flags",
        "type": "object",
        "properties": {
            section: {"type": ["object", "null"], "additionalProperties": {"$ref": f"#/$defs/{name}"}}
            for section, name in (
                ("flags", "Flag"), ("segments", "Segment"), ("layers", "LayerOrNothing"), ("holdouts", "Holdout")
            )
        },
        "additionalProperties": False,
        "$defs": parts | {"LayerOrNothing": {"anyOf": [{"$ref": "#/$defs/Layer"}, {"type": "null"}]}},
    }  # fmt: skip


def _shape(part: Schema, cls: type) -> None:
    """As files have it: no name of its own inside, nothing unknown, each field described."""
    properties: dict[str, Schema] = part["properties"]
    properties.pop(NAMED.get(cls, ""), None)
    outside = {inside: outside for outside, inside in INSIDE.items()} if cls is Monitoring else {}
    texts = attributes(cls.__doc__ or "")
    part["properties"] = {
        outside.get(name, name): _described(name, schema, texts.get(name, ""))
        for name, schema in properties.items()
    }
    part["additionalProperties"] = False
    part["description"] = (cls.__doc__ or "").partition("\n")[0]
    optional = {"type", "variants", NAMED.get(cls)}
    part["required"] = [name for name in part.get("required", ()) if name not in optional]


def _described(name: str, schema: Schema, text: str) -> Schema:
    if name == "when":
        schema = dict(_HERE)
    elif name in NUMBERS:
        kept: Schema = {key: schema.pop(key) for key in ("title", "default") if key in schema}
        schema = kept | {"anyOf": [*schema.pop("anyOf", [schema]), PERCENTAGE]}
    elif name == "split":
        schema["additionalProperties"] = {"anyOf": [schema["additionalProperties"], PERCENTAGE]}
    elif name in ("at", "starts", "until"):
        schema = {key: value for key, value in schema.items() if key != "default"}
    return {**schema, "description": text}


def _short(name: str, parts: dict[str, Schema]) -> Schema:
    """A field of the short form is the field of the rule, or of the rollout, that it stands for."""
    home = "Rule" if name in short_rule({name: None}) else "Rollout"
    schema: Schema = dict(parts[home]["properties"][name])
    schema["description"] = f"short form, one rule that gives on: {schema['description']}"
    return schema


def schema_text() -> str:
    """The schema as the file `docs/flags.schema.json` holds it."""
    return json.dumps(flags_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
