"""Properties of events, kept as the text of a JSON object, read as the flags' evaluator reads attributes of a context.

`docs/ruleset.md` says what a value is as text, as a number, an instant or a version. Where engines cannot follow to the
last digit it is: whole numbers from 10**15 on that are written with a point or an exponent, minus zero, comparisons
beyond 2**53, and the few letters whose lower case is several letters. In a path of dots a number is a place in a list,
too. SQLite cannot look into lists: there a list meets nothing but that it exists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from upshot.errors import DataError

NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?$"
INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-5][0-9]))?$"
)
LONGEST_NUMBER = 64


def _builtin(name: str, *kinds: str) -> Any:
    """A function of the engine, by the kinds that it takes and, last, the kind that it gives."""
    *takes, gives = kinds
    arity: dict[int, Callable[..., Any]] = {1: lambda value: value, 2: lambda value, path: (value, path)}
    return ibis.udf.scalar.builtin(arity[len(takes)], name=name, signature=(tuple(takes), gives))


_kind = _builtin("json_type", "string", "string", "string")
_item_kind = _builtin("json_type", "json", "string")
_string = _builtin("json_extract_string", "string", "string", "string")
_item_string = _builtin("json_extract_string", "json", "string", "string")
_extract = _builtin("json_extract", "string", "string", "int64")  # whatever it is: so it is cast to text


def _pointer(steps: list[str]) -> str:
    """RFC 6901: no character of a name means anything but the two that are escaped."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _path(steps: list[str]) -> str:
    return "$" + "".join(f'."{step}"' for step in steps)


@dataclass(frozen=True, slots=True)
class _Engine:
    """How an engine reads JSON, and what it calls the kinds of its values."""

    read: Any
    path: Callable[[list[str]], str]
    text: str
    wholes: tuple[str, ...]
    double: str
    truths: tuple[str, ...]
    array: str
    null: str
    has_items: bool

    def as_text(self, kind: ir.StringValue, raw: ir.StringValue) -> ir.StringValue:
        """A value as text; NULL for objects and lists. Whole numbers lose their point."""
        truth = raw if self.has_items else kind
        return ibis.cases(
            (kind.isin((self.text, *self.wholes)), raw),
            (kind == self.double, raw.cast("float64").cast("string").re_replace(r"\.0$", "")),
            (kind.isin(self.truths), truth),
            else_=ibis.null().cast("string"),
        )


_ENGINES = {
    "duckdb": _Engine(
        _string, _pointer, "VARCHAR", ("BIGINT", "UBIGINT", "HUGEINT"), "DOUBLE", ("BOOLEAN",), "ARRAY", "NULL", True
    ),
    "sqlite": _Engine(
        _extract, _path, "text", ("integer",), "real", ("true", "false"), "array", "null", False
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Property:
    """One property of each event.

    Attributes:
        kind: what JSON it is, in the engine's word; NULL where there is none or it is null.
        raw: its text as the engine gives it. engine: how it is read.
    """

    kind: ir.StringValue
    raw: ir.StringValue
    engine: _Engine

    @property
    def text(self) -> ir.StringValue:
        """As text; NULL for objects, lists and what is not there."""
        return self.engine.as_text(self.kind, self.raw)

    @property
    def is_text(self) -> ir.BooleanValue:
        return self.kind == self.engine.text

    @property
    def number(self) -> ir.FloatingValue:
        """As a finite number: a number, or text that is one as JSON writes it."""
        written = self.is_text & self.raw.re_search(NUMBER) & (self.raw.length() <= LONGEST_NUMBER)
        is_number = self.kind.isin((*self.engine.wholes, self.engine.double)) | written
        value = self.raw.cast("float64")
        finite = ibis.ifelse(value.abs() < float("inf"), value, ibis.null())
        return ibis.ifelse(is_number, finite, ibis.null())

    @property
    def instant(self) -> ir.TimestampValue:
        """As a point in time: RFC 3339 with its offset, or a date, which is its midnight in UTC."""
        is_instant = self.is_text & self.raw.re_search(INSTANT)
        whole = ibis.ifelse(self.raw.length() == len("2026-01-31"), self.raw + "T00:00:00Z", self.raw.upper())
        return ibis.ifelse(is_instant, whole, ibis.null()).try_cast("timestamp('UTC')")

    @property
    def is_list(self) -> ir.BooleanValue:
        return self.kind == self.engine.array

    @property
    def items(self) -> ir.ArrayValue:
        """The items of a list as text."""
        return self.raw.cast("json").cast("array<json>").map(self._item)

    def _item(self, item: Any) -> ir.StringValue:
        return self.engine.as_text(_item_kind(item), _item_string(item, "$"))


@dataclass(frozen=True, slots=True)
class Properties:
    """All properties of each event.

    Attributes:
        json: the column with the text of a JSON object. engine: whose SQL it will be, as Ibis calls it.
    """

    json: ir.StringColumn
    engine: str = "duckdb"

    def at(self, name: str) -> Property:
        """The property of that whole name, else what a path along its dots leads to.

        Raises:
            DataError: it is not known how the engine reads JSON.
        """
        if self.engine not in _ENGINES:
            known = " and ".join(_ENGINES)
            raise DataError(f"properties of events cannot be read in {self.engine}: it is known of {known}")
        engine = _ENGINES[self.engine]
        paths = [engine.path([name])] + ([engine.path(name.split("."))] if "." in name else [])
        kinds = [_kind(self.json, path).nullif(engine.null) for path in paths]
        raws = [engine.read(self.json, path).cast("string") for path in paths]
        if len(paths) == 1:
            return Property(kinds[0], raws[0], engine)
        return Property(ibis.coalesce(*kinds), ibis.coalesce(*raws), engine)
