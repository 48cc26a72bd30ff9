"""Conditions over properties of events as Ibis expressions: the language of flags, which `docs/ruleset.md` defines.

An absent or null property meets no operator, negative ones included, and `not` is two-valued: no expression here is
ever NULL.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import reduce
from operator import and_, eq, ge, gt, le, lt, ne, or_
from typing import Any, cast

import ibis
import ibis.expr.types as ir

from upshot.analysis.properties import Properties, Property
from upshot.errors import DataError
from upshot.model.event_metric import Condition

Test = Callable[[Property, Any], ir.BooleanValue]
Compare = Callable[[Any, Any], Any]

LONGEST_MATCHED = 256
_NUMBER = r"(0|[1-9][0-9]{0,17})"
VERSION = (
    rf"^[vV]?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?"
    r"(?:-([0-9A-Za-z-]{1,64}(?:\.[0-9A-Za-z-]{1,64}){0,15}))?(?:\+[0-9A-Za-z.-]{1,256})?$"
)
_LEADING_ZERO = r"(?:^|\.)0[0-9]+(?:\.|$)"


def met(condition: Condition, properties: Properties) -> ir.BooleanValue:
    """Whether each event meets the condition.

    Raises:
        DataError: it is no condition that events can be asked.
    """
    for form, joined in (("all", and_), ("any", or_)):
        if form in condition:
            return reduce(joined, [met(part, properties) for part in _parts(condition[form], form)])
    if "not" in condition:
        return ~met(_condition(condition["not"]), properties)
    return _leaf(condition, properties)


def attributes_of(condition: object) -> Iterator[str]:
    """What a condition asks for, as often as it does; whatever is no condition asks for nothing.

    >>> list(attributes_of({"not": {"all": [{"attr": "plan.tier", "op": "exists"}]}}))
    ['plan.tier']
    """
    if not isinstance(condition, Mapping):
        return
    if isinstance(condition.get("attr"), str):
        yield condition["attr"]
    yield from attributes_of(condition.get("not"))
    for form in ("all", "any"):
        parts = condition.get(form)
        for part in parts if isinstance(parts, list | tuple) else ():
            yield from attributes_of(part)


def _parts(value: object, form: str) -> list[Condition]:
    if not isinstance(value, list | tuple) or not value:
        raise DataError(f"{form} is {value!r}: give a list of conditions")
    return [_condition(part) for part in value]


def _condition(value: object) -> Condition:
    if not isinstance(value, Mapping):
        raise DataError(
            f"{value!r} is no condition: give one such as {{attr: country, op: in, value: [CA, US]}}"
        )
    return value


def _leaf(condition: Condition, properties: Properties) -> ir.BooleanValue:
    name, operator = condition.get("attr"), condition.get("op")
    if not isinstance(name, str) or not isinstance(operator, str) or operator not in OPERATORS:
        raise DataError(
            f"{dict(condition)!r} is no condition over events: give attr, op and value, with op one of "
            f"{', '.join(OPERATORS)}"
        )
    try:
        test = OPERATORS[operator](properties.at(name), condition.get("value"))
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{operator} cannot compare with {condition.get('value')!r} ({error})") from None
    return ibis.coalesce(test, ibis.literal(value=False))


# Text, and lists of texts


def as_text(value: object) -> str:
    """An operand as properties are compared with it.

    >>> as_text(True), as_text(7.0), as_text("a")
    ('true', '7', 'a')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(int(value)) if value == int(value) else repr(value)
    raise TypeError("a text, a number, true or false is needed")


def _member(*, negative: bool = False, fold: bool = False) -> Test:
    """Whether the value is among some texts; of a list: whether one of its items is."""

    def test(found: Property, operand: Any) -> ir.BooleanValue:
        given = operand if isinstance(operand, list | tuple) else [operand]
        wanted = sorted({as_text(one).lower() if fold else as_text(one) for one in given})

        def among(text: Any) -> ir.BooleanValue:
            return (text.lower() if fold else text).isin(wanted)

        one = among(found.text)
        if found.engine.has_items:
            one = ibis.ifelse(found.is_list, found.items.filter(among).length() > 0, one)
        return ~one if negative else one

    return test


def _text(has: Callable[[Any, str], ir.BooleanValue], *, fold: bool = False) -> Test:
    def test(found: Property, operand: Any) -> ir.BooleanValue:
        return has(found.text.lower(), operand.lower()) if fold else has(found.text, operand)

    return test


def _regex(*, fold: bool = False) -> Test:
    """A search; the pattern is of the subset that RE2 shares with the flags' evaluator."""

    def test(found: Property, operand: Any) -> ir.BooleanValue:
        pattern = f"(?i){operand}" if fold else str(operand)
        return (found.text.length() <= LONGEST_MATCHED) & found.text.re_search(pattern)

    return test


# Numbers, times, versions


def _number(compare: Compare) -> Test:
    def test(found: Property, operand: Any) -> ir.BooleanValue:
        if isinstance(operand, bool) or not isinstance(operand, int | float):
            raise TypeError("a number is needed")
        return cast("ir.BooleanValue", compare(found.number, float(operand)))

    return test


def _instant(compare: Compare) -> Test:
    def test(found: Property, operand: Any) -> ir.BooleanValue:
        moment = datetime.fromisoformat(operand.upper())
        wanted = ibis.literal(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        return cast("ir.BooleanValue", compare(found.instant, wanted))

    return test


def _version(compare: Compare) -> Test:
    def test(found: Property, operand: Any) -> ir.BooleanValue:
        wanted = version_key(operand)
        is_version = found.raw.re_search(VERSION) & ~_prerelease(found.raw).re_search(_LEADING_ZERO)
        key = ibis.ifelse(found.is_text & is_version, _version_key(found.raw), ibis.null())
        return cast("ir.BooleanValue", compare(key, wanted))

    return test


def version_key(text: str) -> str:
    """A text that sorts, byte by byte, as Semantic Versioning 2.0.0 orders versions (section 11).

    >>> version_key("1.0.0-rc.2") < version_key("1.0.0-rc.10") < version_key("v1") < version_key("1.10")
    True
    """
    match = re.fullmatch(VERSION, text)
    if match is None:
        raise ValueError("a version such as 1.4.0 is needed")
    *numbers, prerelease = match.groups()
    whole = "".join((number or "0").zfill(18) for number in numbers)
    if not prerelease:
        return f"{whole}1"
    return f"{whole}0" + "!".join(_identifier_key(one) for one in prerelease.split("."))


def _identifier_key(identifier: str) -> str:
    """Numbers come before words, and by value; the mark between identifiers comes before all their characters."""
    return "0" + identifier.zfill(64) if identifier.isdecimal() else "1" + identifier


def _prerelease(text: ir.StringValue) -> ir.StringValue:
    return text.re_extract(VERSION, 4)


def _version_key(text: ir.StringValue) -> ir.StringValue:
    """`version_key` of a column of versions."""
    numbers = [text.re_extract(VERSION, group) for group in (1, 2, 3)]
    whole = reduce(lambda one, other: one + other, [number.lpad(18, "0") for number in numbers])
    prerelease = _prerelease(text)
    identifiers = prerelease.split(".").map(_identifier_column)
    return whole + ibis.ifelse(prerelease == "", "1", ibis.literal("0") + identifiers.join("!"))


def _identifier_column(identifier: Any) -> ir.StringValue:
    number = ibis.literal("0") + identifier.lpad(64, "0")
    return ibis.ifelse(identifier.re_search("^[0-9]+$"), number, ibis.literal("1") + identifier)


OPERATORS: Mapping[str, Test] = {
    "eq": _member(),
    "ne": _member(negative=True),
    "in": _member(),
    "not_in": _member(negative=True),
    "in_ci": _member(fold=True),
    "not_in_ci": _member(negative=True, fold=True),
    "gt": _number(gt),
    "gte": _number(ge),
    "lt": _number(lt),
    "lte": _number(le),
    "contains": _text(lambda text, part: text.contains(part)),
    "contains_ci": _text(lambda text, part: text.contains(part), fold=True),
    "starts_with": _text(lambda text, part: text.startswith(part)),
    "starts_with_ci": _text(lambda text, part: text.startswith(part), fold=True),
    "ends_with": _text(lambda text, part: text.endswith(part)),
    "ends_with_ci": _text(lambda text, part: text.endswith(part), fold=True),
    "regex": _regex(),
    "regex_ci": _regex(fold=True),
    "exists": lambda found, _: found.kind.notnull(),
    "before": _instant(lt),
    "after": _instant(gt),
    "semver_eq": _version(eq),
    "semver_ne": _version(ne),
    "semver_gt": _version(gt),
    "semver_gte": _version(ge),
    "semver_lt": _version(lt),
    "semver_lte": _version(le),
}
"""All operators of flags but `in_cidr`, which SQL has no word for."""
