"""What a flag asks of a context: the attributes of its conditions, and the units that it draws on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
_TYPED = (
    "before",
    "after",
    "exists",
)  # operators whose operand says nothing about how an attribute is written


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An attribute that a flag asks for.

    Attributes:
        name: the attribute, with dots where it is a member of another. where: the rule or flag that asks.
        as_text: it is compared with text, so that ``01234`` and 1234 are not the same.
        drawn: it is a unit that is drawn on.
    """

    name: str
    where: str
    as_text: bool
    drawn: bool = False


def asked(key: str, payload: Json, seen: frozenset[str] = frozenset()) -> Iterator[Asked]:
    """All that a flag of a ruleset asks for, with the segments and flags that it refers to."""
    flag = payload["flags"][key]
    for rule in flag["rules"]:
        where = f"flag {key}, rule {rule['id']}"
        yield from _condition(rule.get("when"), payload, where)
        allocation = rule.get("experiment") or rule.get("rollout") or {}
        if allocation:
            yield Asked(name=allocation["unit"], where=where, as_text=True, drawn=True)
        if "holdout" in allocation:
            name = allocation["holdout"]
            unit = payload["holdouts"][name]["unit"]
            yield Asked(name=unit, where=f"holdout {name}", as_text=True, drawn=True)
    for needed in flag.get("prerequisites", ()):
        if needed["flag"] not in seen:
            yield from asked(needed["flag"], payload, seen | {key})


def _condition(condition: Json | None, payload: Json, where: str) -> Iterator[Asked]:
    if condition is None:
        return
    if "attr" in condition:
        text = condition["op"] not in _TYPED and _has_text(condition.get("value"))
        yield Asked(name=condition["attr"], where=where, as_text=text)
    elif "segment" in condition:
        name = condition["segment"]
        yield from _condition(payload["segments"][name]["when"], payload, f"segment {name}")
    elif "not" in condition:
        yield from _condition(condition["not"], payload, where)
    else:
        for part in condition.get("all") or condition["any"]:
            yield from _condition(part, payload, where)


def _has_text(operand: object) -> bool:
    if isinstance(operand, list | tuple):
        return any(isinstance(item, str) for item in operand)
    return isinstance(operand, str)
