"""Rows of declared tables beside the events: only the columns and the times that can count leave where they are.

A time without an offset is one in UTC. What a condition or a value asks of a row is kept as the text of a JSON object,
as the properties of events are, so that both are read by one language.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from upshot.model.fact_table import ExposureTable, FactTable
from upshot.warehouse.declared import Complaints, Declared, check_columns, column_of, filled, opened

_ISO = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?\s?([Zz]|[+-]\d{2}(:?\d{2})?)?$"
_OFFSET = r"([Zz]|[+-]\d{2}(:?\d{2})?)$"
_DAY = timedelta(days=1)
_RFC3339 = "'%Y-%m-%dT%H:%M:%S.%fZ'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The times that can count: from ``since`` on, and before ``until``."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was taken of a table.

    Attributes:
        name: the table's, where it was put.
        rows: how many count. nameless: how many have no unit and count for nobody.
        is_naive: whether a time had no offset, and was taken for one in UTC.
    """

    name: str
    rows: int
    nameless: int
    is_naive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A column on its way: where it comes from, what it is called, and what its type was."""

    name: str
    place: str
    kind: dt.DataType


def take_facts(
    database: duckdb.DuckDBPyConnection,
    table: FactTable,
    asked: Mapping[str, str],
    span: Span,
    environ: Mapping[str, str],
) -> Taken:
    """Put the rows of a table into a database, with unit, time (in UTC) and properties.

    Args:
        asked: what conditions and values ask for -> the field that asks, for messages.

    Raises:
        DataError: it cannot be opened, asked or understood.
    """
    with opened(table, environ) as rows:
        check_columns(rows, table, {"unit": table.unit, "time": table.time})
        columns = _asked_columns(rows, table, asked)
        arrived = _arrive(database, table, rows, {}, columns, span, environ)
    name = f"facts_{table.name}"
    database.execute(
        f"CREATE OR REPLACE TEMP TABLE {_quoted(name)} AS "  # noqa: S608 - names are quoted
        f"SELECT unit, {arrived.time} AS time, {_properties(arrived.columns)} AS properties FROM arrived "
        "WHERE unit IS NOT NULL AND time IS NOT NULL"
    )
    return _told(database, name, arrived)


def take_exposures(
    database: duckdb.DuckDBPyConnection,
    table: ExposureTable,
    experiment: str,
    segments: Sequence[str],
    span: Span,
    environ: Mapping[str, str],
) -> Taken:
    """Put the exposures of an experiment into a database, as a table with the columns of its view ``exposures``.

    Args:
        segments: columns to keep as attributes.

    Raises:
        DataError: as of `take_facts`.
    """
    named = _named(table)
    fixed = {field: column for field, column in named.items() if field in ("variant", "phase")}
    with opened(table, environ) as rows:
        check_columns(rows, table, named)
        columns = _asked_columns(rows, table, {one: f"segment {one}" for one in segments})
        ours = (
            rows
            if table.experiment is None
            else rows.filter(rows[table.experiment].cast("string") == experiment)
        )
        arrived = _arrive(database, table, ours, fixed, columns, span, environ)
    phase = "TRY_CAST(phase AS INTEGER)" if "phase" in fixed else "1"
    name = "declared_exposures"
    database.execute("CREATE OR REPLACE TEMP TABLE declared_exposures AS SELECT * FROM exposures LIMIT 0")
    database.execute(
        "INSERT INTO declared_exposures BY NAME "  # noqa: S608 - names are quoted
        f"SELECT ? AS experiment_id, {phase} AS phase, variant, unit AS unit_id, unit, {arrived.time} AS time, "
        f"{_properties(arrived.columns)} AS attributes FROM arrived "
        "WHERE unit IS NOT NULL AND time IS NOT NULL AND variant IS NOT NULL",
        [experiment],
    )
    return _told(database, name, arrived)


def _named(table: ExposureTable) -> dict[str, str]:
    """Field -> column, of those that are declared."""
    columns = {
        "unit": table.unit,
        "variant": table.variant,
        "time": table.time,
        "experiment": table.experiment,
        "phase": table.phase,
    }
    return {field: column for field, column in columns.items() if column is not None}


def _asked_columns(rows: ir.Table, table: Declared, asked: Mapping[str, str]) -> list[_Column]:
    """The columns that are asked for, each once.

    Raises:
        DataError: one is not there.
    """
    found: dict[str, _Column] = {}
    for attribute, field in asked.items():
        name = column_of(attribute, rows.columns)
        if name is None:
            check_columns(rows, table, {field: attribute})
        elif name not in found:
            found[name] = _Column(name=name, place=f"c{len(found)}", kind=rows[name].type())
    return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrived:
    """A table ``arrived`` in the database: ``unit``, ``time`` as it came, and columns by their places.

    Attributes:
        time: the time in UTC, in SQL. columns: what came beside. is_naive: as of `Taken`.
    """

    time: str
    columns: Sequence[_Column]
    is_naive: bool


def _arrive(
    database: duckdb.DuckDBPyConnection,
    table: Declared,
    rows: ir.Table,
    fixed: Mapping[str, str],
    columns: Sequence[_Column],
    span: Span,
    environ: Mapping[str, str],
) -> _Arrived:
    """Read what is asked for, in batches, into the table ``arrived``."""
    complaints = Complaints(table, filled(table, environ))
    is_text = rows[table.time].type().is_string() or rows.get_backend().name == "sqlite"
    near = _near(
        rows, rows[table.time].cast("string") if is_text else rows[table.time], span, is_text=is_text
    )
    chosen = near.select(
        unit=near[table.unit].cast("string"),
        time=near[table.time].cast("string") if is_text else near[table.time],
        **{field: near[column].cast("string") for field, column in fixed.items()},
        **{column.place: _carried(near[column.name]) for column in columns},
    )
    database.execute("SET TimeZone = 'UTC'")
    what, mend = "its rows cannot be read", "mend its url, sql or columns"
    complaints.telling(lambda: _copied(database, chosen), what, mend)
    if is_text:
        return _Arrived(
            time="CAST(CAST(time AS TIMESTAMPTZ) AS TIMESTAMP)",
            columns=columns,
            is_naive=_naive_text(database, table, complaints),
        )
    is_zoned = rows[table.time].type().timezone is not None
    return _Arrived(time="CAST(time AS TIMESTAMP)", columns=columns, is_naive=not is_zoned)


def _near(rows: ir.Table, time: ir.Value, span: Span, *, is_text: bool) -> ir.Table:
    """The rows of a span, chosen where they are; texts by their days, a day more at each end for their offsets."""

    def bound(moment: datetime, aside: timedelta) -> Any:
        at = moment.astimezone(UTC)
        if is_text:
            return (at + aside).date().isoformat()
        return ibis.literal(at if time.type().timezone else at.replace(tzinfo=None), time.type())

    wanted = []
    if span.since is not None:
        wanted.append(time >= bound(span.since, -_DAY))
    if span.until is not None:
        wanted.append(time < bound(span.until, 2 * _DAY))
    return rows.filter(*wanted) if wanted else rows


def _carried(column: ir.Column) -> ir.Value:
    """A column as it can be carried: what Arrow and JSON have no word for goes as text."""
    kind = column.type()
    plain = kind.is_numeric() or kind.is_boolean() or kind.is_string() or kind.is_temporal() or kind.is_json()
    return column if plain or kind.is_nested() else column.cast("string")


def _copied(database: duckdb.DuckDBPyConnection, chosen: ir.Table) -> None:
    batches = chosen.to_pyarrow_batches()
    database.register("arriving", batches)
    try:
        database.execute("CREATE OR REPLACE TEMP TABLE arrived AS SELECT * FROM arriving")
    finally:
        database.unregister("arriving")


def _naive_text(database: duckdb.DuckDBPyConnection, table: Declared, complaints: Complaints) -> bool:
    """Whether a time has no offset.

    Raises:
        DataError: one is no time.
    """
    is_none = f"NOT regexp_matches(time, '{_ISO}') OR TRY_CAST(time AS TIMESTAMPTZ) IS NULL"
    bad = database.execute(f"SELECT time FROM arrived WHERE {is_none} LIMIT 1").fetchone()  # noqa: S608
    if bad is not None:
        raise complaints.error(
            f"time is {table.time}, and {bad[0]!r} is no time: give timestamps such as 2026-03-01T12:00:00Z"
        )
    naive = database.execute(
        f"SELECT count(*) FROM arrived WHERE NOT regexp_matches(substr(time, 11), '{_OFFSET}')"  # noqa: S608
    ).fetchone()
    return bool(naive and naive[0])


def _properties(columns: Iterable[_Column]) -> str:
    """The text of a JSON object, in SQL."""
    fields = ", ".join(f"{_text(column.name)}, {_json(column)}" for column in columns)
    return f"CAST(json_object({fields}) AS VARCHAR)"


def _json(column: _Column) -> str:
    kind, place = column.kind, column.place
    if kind.is_floating():
        return f"CASE WHEN isfinite({place}) THEN {place} END"
    if kind.is_timestamp():
        return f"strftime(CAST({place} AS TIMESTAMP), {_RFC3339})"
    return f"CAST({place} AS JSON)" if kind.is_json() else place


def _told(database: duckdb.DuckDBPyConnection, name: str, arrived: _Arrived) -> Taken:
    rows, nameless = (
        database.execute(f"SELECT count(*) FROM {where}").fetchone() or (0,)  # noqa: S608
        for where in (_quoted(name), "arrived WHERE unit IS NULL")
    )
    database.execute("DROP TABLE arrived")
    return Taken(name=name, rows=rows[0], nameless=nameless[0], is_naive=arrived.is_naive)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
