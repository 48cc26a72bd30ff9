"""The description of the API in OpenAPI 3.1: what FastAPI makes of the routes, with the schemas of files put in."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

Schema = dict[str, Any]

_NEVER = "422"  # what cannot be read is a 400 here
_UNUSED = ("HTTPValidationError", "ValidationError")
_COMPONENTS = "#/components/schemas/"
_WRITTEN = {"flags": "Flag", "segments": "Segment", "layers": "Layer", "holdouts": "Holdout"}


def describe(api: FastAPI) -> None:
    """Have an application describe itself as it is; made once, when somebody asks."""
    plain = api.openapi

    def described() -> Schema:
        if api.openapi_schema is None:
            _mend(plain())
        return api.openapi_schema or {}

    api.openapi = described  # type: ignore[method-assign]


def _mend(schema: Schema) -> None:
    from upshot.formats.experiment_schema import experiment_schema
    from upshot.formats.flag_schema import flags_schema

    parts, paths = schema["components"]["schemas"], schema["paths"]
    for operations in paths.values():
        for operation in operations.values():
            operation["responses"].pop(_NEVER, None)
    for name in _UNUSED:
        parts.pop(name, None)
    parts |= _components("Design", experiment_schema()) | _components("Flags", flags_schema())
    for asked in ("Proposal", "Edited"):
        _point(parts[asked], "design", "Design")
    for section, kind in _WRITTEN.items():
        parts[f"Writing{kind}"] = {**parts["Writing"], "title": f"Writing{kind}"}
        _point(parts[f"Writing{kind}"], "fields", f"Flags{kind}")
        put = paths[f"/{section}/{{name}}"]["put"]
        put["requestBody"]["content"]["application/json"]["schema"] = _ref(f"Writing{kind}")
    del parts["Writing"]
    _protect(schema)


def _point(part: Schema, field: str, component: str) -> None:
    """Let a field of a body be what a component says, in the words that it had."""
    about = {"description": part["properties"][field]["description"]}
    part["properties"] = {**part["properties"], field: _ref(component) | about}


def _components(name: str, schema: Schema) -> dict[str, Schema]:
    """A JSON Schema that stands alone as components, each named after it."""
    definitions = schema.pop("$defs")
    whole = {key: value for key, value in schema.items() if key != "$schema"}
    named = {name: whole} | {f"{name}{part}": inner for part, inner in definitions.items()}
    return {part: _renamed(inner, name) for part, inner in named.items()}


def _renamed(value: Any, name: str) -> Any:
    """The same schema, whose references are to components."""
    if isinstance(value, Mapping):
        return {
            key: _COMPONENTS + name + inner.removeprefix("#/$defs/")
            if key == "$ref"
            else _renamed(inner, name)
            for key, inner in value.items()
        }
    return [_renamed(inner, name) for inner in value] if isinstance(value, list) else value


def _ref(component: str) -> Schema:
    return {"$ref": _COMPONENTS + component}


def _protect(schema: Schema) -> None:
    """Say how who asks is known."""
    schema["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "upshot_session"},
    }
    schema["security"] = [{"key": []}, {"session": []}]
    schema["paths"]["/session"]["post"]["security"] = []
