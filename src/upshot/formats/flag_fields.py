"""What people write about one flag, segment, layer or holdout -> fields that the model's types accept.

Names are checked, numbers may be percentages, times must say their offset, and the short form of a flag becomes
the rule that it stands for. Every mistake is reported at its place; what is wrong is left out.
"""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from upshot.formats.flag_findings import ENTRIES, EXPECTED, INSIDE, Place, shown
from upshot.formats.number import parse_number
from upshot.model.flag import (
    Flag,
    Holdout,
    Layer,
    Monitoring,
    Prerequisite,
    Rollout,
    Rule,
    Segment,
    Step,
    Trial,
)

Fields = dict[str, Any]

CALLED = {
    Flag: "a flag, such as {enabled: true, percentage: 10}",
    Segment: "a segment, such as {when: {attr: beta, op: eq, value: true}}",
    Layer: "a layer, such as {description: who may be on the checkout page}",
    Holdout: "a holdout, such as {percentage: 5}",
    Rule: "a rule, such as {id: everybody, variant: treatment}",
    Step: "a step, such as {at: 2026-12-01T09:00:00Z, percentage: 50}",
    Prerequisite: "a prerequisite, such as {flag: payments, variants: [on]}",
    Rollout: EXPECTED["rollout"],
    Trial: EXPECTED["experiment"],
    Monitoring: EXPECTED["monitoring"],
}
PARTS: dict[str, type] = {"monitoring": Monitoring, "rollout": Rollout, "experiment": Trial}
LISTS: dict[str, type] = {"rules": Rule, "prerequisites": Prerequisite, "schedule": Step}
NAMED = {Flag: "key", Segment: "name", Layer: "name", Holdout: "name"}
SHORT = ("percentage", "segments", "when", "schedule", "unit")
"""Fields of the short form of a flag: those of the one rule that it stands for."""

PERCENTAGES = ("percentage", "traffic", "layer_share")
NUMBERS = (*PERCENTAGES, "phase", "error_threshold", "latency_threshold")
INSTANTS = ("at", "starts", "until")


def fields_of(raw: object, cls: type, place: Place) -> Fields | None:
    """The fields of a thing of this class; None where it is no mapping."""
    if raw is None and cls is Layer:
        return {}
    if not isinstance(raw, Mapping):
        place.report(f"{shown(raw)} is not {CALLED[cls]}")
        return None
    fields: Fields = {}
    for written, value in raw.items():
        name = INSIDE.get(written, written) if cls is Monitoring else written
        if name not in names_of(cls):
            _unknown(written, cls, place)
        elif value is not None:
            fields[name] = _value(name, value, place.at(name))
    fields = {name: value for name, value in fields.items() if value is not _REFUSED}
    if cls is Rollout and "schedule" in fields:
        fields.setdefault("percentage", 0)
    return fields


def names_of(cls: type) -> tuple[str, ...]:
    """The fields that a file may give to a thing of this class."""
    own = tuple(field.name for field in dataclasses.fields(cls) if field.name != NAMED.get(cls))
    return own + SHORT if cls is Flag else own


_REFUSED = object()


def _unknown(written: object, cls: type, place: Place) -> None:
    outside = {inside: outside for outside, inside in INSIDE.items()}
    known = [outside.get(name, name) for name in names_of(cls)]
    close = get_close_matches(str(written), known, n=1)
    mend = f"did you mean {close[0]}?" if close else f"the fields here are {', '.join(known)}"
    place.at(str(written)).report(f"unknown field: {mend}")


def _value(name: str, value: object, place: Place) -> object:
    if name in PARTS:
        fields = fields_of(value, PARTS[name], place)
        return _REFUSED if fields is None else fields
    if name in LISTS:
        return _entries(name, value, place)
    if name in NUMBERS:
        return _number(name, value, place)
    if name in INSTANTS:
        return _instant(value, place)
    if name == "split" and isinstance(value, Mapping):
        weights = {
            variant: _number("split", weight, place.at(str(variant))) for variant, weight in value.items()
        }
        return _REFUSED if _REFUSED in weights.values() else weights
    if name == "overrides" and isinstance(value, Mapping):
        return {str(unit) if type(unit) is int else unit: variant for unit, variant in value.items()}
    return value


def _entries(name: str, value: object, place: Place) -> object:
    if not isinstance(value, list):
        place.report(f"{shown(value)} is not {EXPECTED[name]}")
        return _REFUSED
    found = [fields_of(entry, LISTS[name], place.entry(number, entry)) for number, entry in enumerate(value)]
    return [fields for fields in found if fields is not None]


def _number(name: str, value: object, place: Place) -> object:
    """A number, also as people write it: in ``percentage`` ``10%`` is 10, in a share ``1%`` is 0.01."""
    number = value
    if isinstance(value, str):
        try:
            number = parse_number(value.removesuffix("%") if name in (*PERCENTAGES, "split") else value)
        except ValueError:
            number = True
    if isinstance(number, bool):
        place.report(f"{shown(value)} is not {ENTRIES.get(name, EXPECTED[name])}")
        return _REFUSED
    return number


def _instant(value: object, place: Place) -> object:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        if moment.tzinfo is not None:
            return moment
    except ValueError:
        pass
    place.report(f"{shown(value)} is not {EXPECTED['at']}")
    return _REFUSED


# From the short form of a flag to what it stands for


def completed(fields: Fields, place: Place) -> Fields:
    """A flag's fields with what people may leave out: the type, the variants on and off, the one rule's frame."""
    fields = _with_rule(fields, place)
    if "variants" not in fields and fields.get("type", "boolean") == "boolean":
        default = "off" if fields.get("rules") else "on"
        fields = {"type": "boolean", "variants": {"on": True, "off": False}, "default": default} | fields
    variants = fields.get("variants")
    if "type" not in fields and isinstance(variants, Mapping):
        fields["type"] = type_of(variants, place)
    return fields


def is_short(raw: object) -> bool:
    """Whether a flag is written in its short form."""
    return isinstance(raw, Mapping) and "rules" not in raw and any(name in raw for name in SHORT)


def _with_rule(fields: Fields, place: Place) -> Fields:
    short = {name: fields[name] for name in SHORT if name in fields}
    if not short:
        return fields
    names = " and ".join(short)
    rest = {name: value for name, value in fields.items() if name not in short}
    if "rules" in rest:
        place.report(f"{names} is the short form of one rule: write it among the rules, or leave rules out")
        return rest
    if "variants" in rest or rest.get("type", "boolean") != "boolean":
        place.report(f"{names} is short for a flag that is on or off: for other variants write rules")
        return rest
    return rest | {"rules": [short_rule(short)]}


def short_rule(short: Fields) -> Fields:
    """The rule that a short form stands for: those whom it names get ``on``, or a percentage of them.

    >>> short_rule({"segments": ["early-adopters"], "percentage": 10})
    {'id': 'rollout', 'segments': ['early-adopters'], 'rollout': {'variant': 'on', 'percentage': 10}}
    """
    rule: Fields = {"id": "rollout"} | {name: short[name] for name in ("segments", "when") if name in short}
    drawn = {name: short[name] for name in ("percentage", "schedule", "unit") if name in short}
    if not drawn:
        return rule | {"variant": "on"}
    if "schedule" in drawn:
        drawn.setdefault("percentage", 0)
    return rule | {"rollout": {"variant": "on"} | drawn}


def type_of(variants: Mapping[str, object], place: Place) -> str:
    """The type that all values have."""
    kinds = {_kind(value) for value in variants.values()}
    if len(kinds) == 1 and None not in kinds:
        return str(kinds.pop())
    place.at("type").report("this is missing, and the variants do not tell it: give " + EXPECTED["type"])
    return "string"


def _kind(value: object) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, Mapping | list):
        return "object"
    return "string" if isinstance(value, str) else None
