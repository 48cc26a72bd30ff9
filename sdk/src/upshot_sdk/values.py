"""Values of variants: what each type of flag may serve, and how a value is given to a caller who wants a type."""

from collections.abc import Mapping
from typing import Any

from upshot_sdk.node import Node, is_number

TYPES = ("boolean", "string", "number", "object")
MAX_DEPTH = 32

_NOTHING = type(None)


def read_variants(node: Node, kind: str) -> dict[str, Any]:
    """Variant -> value, each of the flag's type; problems go to the node.

    A number flag that has a value with a decimal point is one of floats: its whole numbers become floats, so
    that every variant is of one type in every language.
    """
    members = {name: member for name, member in node.members() if _checked(member, kind)}
    if not node.problems and not members:
        node.problem("give at least one variant")
    values = {name: member.value for name, member in members.items()}
    if kind != "number" or not any(isinstance(value, float) for value in values.values()):
        return values
    for name, member in members.items():
        values[name] = as_float(member.value)
        if values[name] is None:
            member.problem("this is too large to be exact beside numbers with a decimal point")
    return values


def _checked(node: Node, kind: str) -> bool:
    value = node.value
    fits = {
        "boolean": lambda: isinstance(value, bool),
        "string": lambda: isinstance(value, str),
        "number": lambda: is_number(value),
        "object": lambda: isinstance(value, dict | list) and is_json(value),
    }
    if kind in fits and not fits[kind]():
        node.expected(f"a value of type {kind}")
        return False
    return True


def is_json(value: object, depth: int = 1) -> bool:
    """JSON of bounded depth: objects and lists of text, finite numbers, booleans and null."""
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, dict):
        return all(isinstance(name, str) and is_json(inner, depth + 1) for name, inner in value.items())
    if isinstance(value, list):
        return all(is_json(inner, depth + 1) for inner in value)
    return value is None or isinstance(value, str | bool) or is_number(value)


def as_float(value: Any) -> float | None:
    """A number as a float, where that loses nothing."""
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if converted == value else None


def natural_types(kind: str, values: Mapping[str, Any]) -> frozenset[type]:
    """Types of a caller's default for which a flag's values can be handed out as they are.

    None of an object flag: callers may change what they are given, so each gets a copy.
    """
    if kind == "object":
        return frozenset()
    return frozenset({_NOTHING, *(type(value) for value in values.values())})


def given_as(value: Any, default: Any) -> tuple[Any, bool]:
    """The value as the type of the caller's default, and whether that can be done.

    >>> given_as(3, 0.5), given_as(3.0, 1), given_as(True, 1), given_as("on", None)
    ((3.0, True), (3, True), (None, False), ('on', True))
    """
    if isinstance(value, dict | list):
        fits = default is None or isinstance(default, dict | list | tuple | Mapping)
        return (copied(value), True) if fits else (None, False)
    if default is None:
        return value, True
    if isinstance(value, bool) or isinstance(default, bool):
        return (value, True) if isinstance(value, bool) and isinstance(default, bool) else (None, False)
    if isinstance(value, str):
        return (value, True) if isinstance(default, str) else (None, False)
    if isinstance(default, float):
        converted = as_float(value)
        return converted, converted is not None
    if isinstance(default, int) and value == int(value):
        return int(value), True
    return None, False


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: copied(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [copied(inner) for inner in value]
    return value
