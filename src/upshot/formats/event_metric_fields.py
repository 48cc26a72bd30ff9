"""What people write about one metric over events -> fields that the model's types accept.

Names are checked, spans of time and percentages are read; every mistake is reported at its place, and what is wrong is
left out.
"""

import dataclasses
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from upshot.formats.duration import parse_duration
from upshot.formats.flag_findings import CONDITION, Place, shown
from upshot.formats.number import parse_number
from upshot.model.event_metric import EventKind, EventMetric, EventType, Source

Fields = dict[str, Any]

SPAN = "a span of time, such as 7d, 24h or 90m"
SHARE = "a share between 0 and 1, such as 0.95 or 95%"
EXPECTED = {
    "absent": "true or false",
    "better": "one of higher, lower",
    "cap": SHARE,
    "covariate": SPAN,
    "day": "a whole number of days from 0",
    "denominator": "the events to divide by, such as {event: Session Ended}",
    "horizon": "one of leading, lagging",
    "kind": f"one of {', '.join(get_args(EventKind))}",
    "quantile": SHARE,
    "table": "the name of a table that is declared in tables",
    "steps": "a list of steps, such as [Product Viewed, {event: Order Completed}]",
    "type": f"one of {', '.join(get_args(EventType))}",
    "where": CONDITION,
    "window": SPAN,
}
"""Field -> what belongs there, for messages; fields that are not here are texts."""

SPANS = ("window", "covariate")
SHARES = ("cap", "quantile")
_REFUSED = object()


def metric_fields(raw: object, place: Place) -> Fields | None:
    """The fields of a metric; None where it is no mapping."""
    if not isinstance(raw, Mapping):
        place.report(f"{shown(raw)} is not a metric, such as {{kind: proportion, event: Order Completed}}")
        return None
    return _fields(raw, EventMetric, place)


def names_of(cls: type) -> tuple[str, ...]:
    """The fields that a file may give to a thing of this class."""
    return tuple(field.name for field in dataclasses.fields(cls) if field.name != "name")


def expected(field: str) -> str:
    """What belongs into a field, in words."""
    return EXPECTED.get(field, "a text of at least one character")


def _fields(raw: Mapping[Any, Any], cls: type, place: Place) -> Fields:
    fields: Fields = {}
    for name, value in raw.items():
        if name not in names_of(cls):
            close = get_close_matches(str(name), names_of(cls), n=1)
            known = ", ".join(names_of(cls))
            mend = f"did you mean {close[0]}?" if close else f"the fields here are {known}"
            place.at(str(name)).report(f"unknown field: {mend}")
        elif value is not None:
            found = _value(str(name), value, place.at(str(name)))
            fields |= {} if found is _REFUSED else {str(name): found}
    return fields


def _value(name: str, value: object, place: Place) -> object:
    if name in SPANS:
        return _span(name, value, place)
    if name in SHARES:
        return _share(name, value, place)
    if name == "denominator":
        return _source(value, place, expected(name))
    if name == "steps":
        return _steps(value, place)
    if name == "where" and not isinstance(value, Mapping):
        return _refuse(name, value, place)
    return value


def _refuse(name: str, value: object, place: Place) -> object:
    place.report(f"{shown(value)} is not {expected(name)}")
    return _REFUSED


def _span(name: str, value: object, place: Place) -> object:
    try:
        span = parse_duration(value) if isinstance(value, str) else None
    except ValueError:
        span = None
    return span or _refuse(name, value, place)


def _share(name: str, value: object, place: Place) -> object:
    try:
        share = parse_number(value) if isinstance(value, str) else value
    except ValueError:
        share = None
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        return _refuse(name, value, place)
    return float(share)


def _source(value: object, place: Place, what: str) -> object:
    """Events by their name alone, or with a filter and a property."""
    if isinstance(value, str) and value:
        return {"event": value}
    if isinstance(value, Mapping):
        return _fields(value, Source, place)
    place.report(f"{shown(value)} is not {what}")
    return _REFUSED


def _steps(value: object, place: Place) -> object:
    if not isinstance(value, list):
        return _refuse("steps", value, place)
    what = "a step, such as {event: Order Completed}"
    found = [_source(step, place.at(number), what) for number, step in enumerate(value)]
    return _REFUSED if _REFUSED in found else found
