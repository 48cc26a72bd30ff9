"""The draw ``md5/1`` and the allocations built on it, as Ibis expressions: a warehouse repeats what the SDK does.

A digest is compared as hexadecimal text, which sorts as the number that it spells, so that no engine has to turn
hex into integers. Word 0 begins the text and needs no cutting out: a longer text compares right with a shorter.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

import ibis
import ibis.expr.types as ir

from upshot.assignment.ranges import SPACE
from upshot.errors import DataError

Json = Mapping[str, Any]
Ranges = Sequence[Sequence[int]]
Units = Callable[[str], ir.StringValue]


def _builtin(name: str, function: Callable[..., Any], *kinds: str) -> Any:
    """A function of the engine, by the kinds that it takes and, last, the kind that it gives."""
    *takes, gives = kinds
    return ibis.udf.scalar.builtin(function, name=name, signature=(tuple(takes), gives))


_md5 = _builtin("md5", lambda text: text, "string", "string")  # hexadecimal, in lower case
_md5_bytes = _builtin("md5", lambda text: text, "string", "binary")  # where the engine's md5 gives bytes
_hex = _builtin("hex", lambda raw: raw, "binary", "string")  # in upper case
_to_hex = _builtin("to_hex", lambda raw: raw, "binary", "string")  # in lower case
_from = _builtin("substr", lambda text, start: (text, start), "string", "int64", "string")  # from 1 on


Digest = Callable[[ir.StringValue], ir.StringValue]

_DIGESTS: Mapping[str, Digest] = {
    **dict.fromkeys(("duckdb", "sqlite", "postgres", "pyspark", "databricks", "snowflake"), _md5),
    "clickhouse": lambda text: _hex(_md5_bytes(text)).lower(),
    "bigquery": lambda text: _to_hex(_md5_bytes(text)),
}
ENGINES = tuple(_DIGESTS)


def digest_of(engine: str) -> Digest:
    """How an engine writes the MD5 of a text in hexadecimal.

    SQLite has no md5: `register_md5` gives it to a connection.

    Raises:
        DataError: it is not known how the engine does.
    """
    if engine not in _DIGESTS:
        raise DataError(f"{engine} is no engine whose md5 is known: give one of {', '.join(ENGINES)}")
    return _DIGESTS[engine]


def register_md5(connection: Any) -> None:
    """Give a connection of `sqlite3` the function ``md5``."""
    from hashlib import md5

    def hexadecimal(text: str | None) -> str | None:
        return None if text is None else md5(text.encode(), usedforsecurity=False).hexdigest()

    connection.create_function("md5", 1, hexadecimal, deterministic=True)


def as_unit(column: ir.Value) -> ir.StringValue:
    """A column of unit ids as the text that is drawn on.

    Raises:
        DataError: the ids are floats, dates or whatever else languages write in different ways.
    """
    kind = column.type()
    if kind.is_string():
        return column
    if kind.is_integer() or kind.is_uuid():
        return column.cast("string")
    raise DataError(
        f"column {column.get_name()} is {kind}: unit ids are texts or whole numbers, since other kinds are written "
        "differently by different programs; give the column of ids as the application sends them"
    )


def drawn(allocation: Json, payload: Json, units: Units, engine: str) -> ir.StringValue:
    """The variant that an allocation gives each unit: NULL for units that are not enrolled.

    Args:
        allocation: a rollout or an experiment of a ruleset: salt, unit, traffic, split, layer, holdout.
        payload: the ruleset, for the salts of its layers and holdouts.
        units: the name of a unit (``targetingKey``) -> the column of its ids.
        engine: whose SQL it will be, as Ibis calls it.

    Raises:
        DataError: it is not known how the engine writes an MD5.
    """
    ids = units(allocation["unit"])
    digest = _salted(allocation["salt"], ids, engine)
    enrolled = _gates(allocation, payload, units, engine)
    if not _everybody(allocation["traffic"]):
        enrolled.append(_inside(_from(digest, 9), allocation["traffic"]))
    split = {variant: ranges for variant, ranges in allocation["split"].items() if ranges}
    cases = [
        (reduce(and_, [*enrolled, ids.notnull() if _everybody(ranges) else _inside(digest, ranges)]), variant)
        for variant, ranges in split.items()
    ]
    return ibis.cases(*cases, else_=nobody()) if cases else nobody()


def nobody() -> ir.StringValue:
    """No variant, whatever the unit."""
    return ibis.null().cast("string")


def _gates(allocation: Json, payload: Json, units: Units, engine: str) -> list[ir.BooleanValue]:
    """What keeps units out of an experiment. Layers are drawn on its own unit, holdouts on theirs."""
    gates = []
    if "layer" in allocation:
        layer = allocation["layer"]
        drawn_in = _salted(payload["layers"][layer["name"]]["salt"], units(allocation["unit"]), engine)
        gates.append(_inside(drawn_in, layer["ranges"]))
    if "holdout" in allocation:
        holdout = payload["holdouts"][allocation["holdout"]]
        drawn_in = _salted(holdout["salt"], units(holdout["unit"]), engine)
        gates.append(~_inside(drawn_in, holdout["ranges"]))
    return gates


def _salted(salt: str, ids: ir.StringValue, engine: str) -> ir.StringValue:
    return digest_of(engine)(ibis.literal(f"{salt}.") + ids)


def _inside(word: ir.StringValue, ranges: Ranges) -> ir.BooleanValue:
    """Whether the word that a text begins with is in one of the ranges; NULL where there is no text."""
    return reduce(or_, [_between(word, start, end) for start, end in ranges or [(0, 0)]])


def _between(word: ir.StringValue, start: int, end: int) -> ir.BooleanValue:
    bounds = []
    if start > 0:
        bounds.append(word >= f"{start:08x}")
    if end < SPACE:
        bounds.append(word < f"{end:08x}")
    return reduce(and_, bounds) if bounds else word.notnull()


def _everybody(ranges: Ranges) -> bool:
    return [tuple(piece) for piece in ranges] == [(0, SPACE)]
