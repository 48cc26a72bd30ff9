"""What a validator found, as one sentence with the field, its value and the mend."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from upshot.model.plan import Plan

_SCHEMA = TypeAdapter(Plan).json_schema()
PROPERTIES: dict[str, Any] = {**_SCHEMA["$defs"]["Metric"]["properties"], **_SCHEMA["properties"]}


def _choices(name: object) -> list[dict[str, Any]]:
    schema = PROPERTIES.get(str(name), {})
    return [choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null"]


NUMERIC = {
    name
    for name in PROPERTIES
    if any(choice.get("type") in ("number", "integer") for choice in _choices(name))
}


def sentence(error: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """One sentence for one finding of pydantic.

    Args:
        error: an entry of `ValidationError.errors()`.
        fields: what was validated, to name a metric by its name rather than its place.
    """
    where, key = _place(error["loc"], fields)
    if error["type"] == "missing":
        return f"{where} is missing: {_mend(key)}"
    return f"{where} is {_shown(error['input'])}: {_mend(key)}"


def _place(loc: tuple[Any, ...], fields: Mapping[str, Any]) -> tuple[str, str]:
    if loc[0] == "metrics" and len(loc) > 2:
        metric = fields["metrics"][loc[1]]
        return f"metric {metric.get('name', loc[1] + 1)}: {loc[2]}", str(loc[2])
    if loc[0] == "split" and len(loc) > 1:
        return f"split: {loc[1]}", "split"
    return str(loc[0]), str(loc[0])


def _shown(value: object) -> str:
    return (
        f"{value!r}"
        if isinstance(value, str)
        else str(value).lower()
        if isinstance(value, bool)
        else f"{value}"
    )


def _mend(key: str) -> str:
    if key == "split":
        return "give each variant a weight of 0 or more"
    if key == "metrics":
        return "give a list of metrics, for example metrics: [converted]"
    choices = _choices(key)
    words = [word for choice in choices for word in choice.get("enum", [])]
    if words:
        return f"use one of {', '.join(words)}"
    kind = choices[0].get("type")
    if kind in ("number", "integer"):
        return f"give a {'whole number' if kind == 'integer' else 'number'}{_range(choices[0])}"
    if choices[0].get("format") == "date":
        return "give a day as 2026-12-31"
    if kind == "array":
        return "give a list of columns"
    return {"boolean": "write true or false", "string": "give a text"}.get(
        str(kind), "see the JSON Schema of a plan"
    )


def _range(schema: Mapping[str, Any]) -> str:
    if "exclusiveMinimum" in schema and "exclusiveMaximum" in schema:
        return f" between {schema['exclusiveMinimum']:g} and {schema['exclusiveMaximum']:g} (or a percentage)"
    if "minimum" in schema and "exclusiveMaximum" in schema:
        return f" from {schema['minimum']:g} to below {schema['exclusiveMaximum']:g} (or a percentage)"
    return f" of {schema['minimum']:g} or more" if "minimum" in schema else ""
