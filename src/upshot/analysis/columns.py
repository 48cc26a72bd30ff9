"""Columns of a table as the analysis needs them: found by name, checked by type, read as numbers."""

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from math import isnan

import ibis
import ibis.expr.types as ir
from ibis.common.exceptions import IbisError

from upshot.analysis.question import Question
from upshot.errors import DataError
from upshot.model.metric import Metric

ROWS = "rows"
"""The denominator that stands for "one a row"."""


def filtered(table: ir.Table, where: str | None) -> ir.Table:
    """The rows that meet an SQL condition.

    Raises:
        DataError: the condition is not SQL over this table's columns.
    """
    if not where:
        return table
    try:
        result = table.alias("data").sql(f"SELECT * FROM data WHERE {where}")  # noqa: S608  -- the user's own condition on the user's own data
        result.schema()
    except Exception as error:
        if not isinstance(error, IbisError) and type(error).__module__.split(".")[0] not in _ENGINES:
            raise
        said = str(error).strip().splitlines()[0][:160]
        raise DataError(f"where is {where!r}: it is no condition over this table ({said})") from None
    return result


_ENGINES = ("ibis", "sqlglot", "duckdb", "_duckdb", "sqlite3", "psycopg", "pyspark", "clickhouse_connect")


def check_names(table: ir.Table, question: Question) -> None:
    """Every column that the question names is there.

    Raises:
        DataError: one is missing; the message suggests what was meant.
    """
    wanted: list[tuple[str, str | None]] = [
        ("variant", question.variant),
        ("unit", question.unit),
        ("variants", question.variants),
        ("time", question.time),
        ("cluster", question.cluster),
        ("count", question.count),
        *(("segment", name) for name in question.segments),
    ]
    for metric in question.metrics:
        wanted.append((f"metric {metric.name}", metric.column))
        wanted.append((f"denominator of {metric.name}", None if metric.per == ROWS else metric.per))
        wanted += [(f"covariate of {metric.name}", name) for name in metric.covariates]
    for what, name in wanted:
        if name is not None and name not in table.columns:
            raise DataError(missing_column(what, name, table.columns))
    if question.time is not None and table[question.time].type().is_numeric():
        raise DataError(
            f"time: the column {question.time!r} holds numbers, not times: give dates or times, such as seconds "
            f"since 1970 turned into times by to_timestamp({question.time})"
        )


def missing_column(what: str, name: str, columns: Iterable[str]) -> str:
    """The sentence for a column that is not there."""
    known = list(columns)
    separator = next((mark for mark in ";\t|," if mark in known[0]), None) if len(known) == 1 else None
    if separator is not None:
        return (
            f"{what}: there is no column {name!r}, for the file was read as one column, {known[0]!r}: its "
            f"separator seems to be {separator!r} (--sep)"
        )
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(known[:20])}"
    return f"{what}: there is no column {name!r}; {hint}"


def without_nan(table: ir.Table, question: Question) -> ir.Table:
    """The table with NaN as missing, in the columns that are measured.

    NaN sorts above every number in DuckDB, PostgreSQL, Snowflake and Spark, so the largest value tells.
    """
    used = [name for m in question.metrics for name in (m.column, m.per or m.column, *m.covariates)]
    known = [name for name in dict.fromkeys(used) if name in table.columns]
    floating = [name for name in known if table[name].type().is_floating()]
    if not floating:
        return table
    largest = table.aggregate({name: table[name].max() for name in floating}).to_pyarrow().to_pylist()[0]
    return table.mutate(
        {
            name: ibis.ifelse(table[name].isnan(), ibis.null(), table[name])
            for name in floating
            if largest[name] is not None and isnan(largest[name])
        }
    )


def number(table: ir.Table, what: str, name: str) -> ir.Column:
    """A column as float64; booleans as 0 and 1; missing stays missing.

    Raises:
        DataError: the column holds neither numbers nor booleans.
    """
    column = table[name]
    kind = column.type()
    if kind.is_boolean():
        return column.cast("int64").cast("float64")
    if kind.is_numeric():
        return column.cast("float64")
    if kind.is_null():
        raise DataError(f"{what}: the column {name!r} is empty in every row")
    raise DataError(
        f"{what}: the column {name!r} holds {_in_words(kind)}, not numbers: name a numeric column, or say which "
        f"value counts ({name},value=...)"
    )


def _in_words(kind: object) -> str:
    text = str(kind).removeprefix("!")
    return {"string": "text", "timestamp": "times", "date": "dates"}.get(text.split("(")[0], text)


def outcome(table: ir.Table, metric: Metric) -> ir.Column:
    """A row's outcome: whether it is the wanted value, or its number; of a quantile it may be a list of numbers."""
    if metric.kind == "quantile" and table[metric.column].type().is_array():
        return table[metric.column]
    if metric.value is not None:
        return (table[metric.column].cast("string") == metric.value).cast("int64").cast("float64")
    return number(table, f"metric {metric.name}", metric.column)


def with_kinds(table: ir.Table, metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    """The metrics with their kinds decided: 0/1 and booleans are proportions, other numbers means.

    Raises:
        DataError: a proportion holds something else than 0 and 1.
    """
    open_ = [metric for metric in metrics if metric.kind in (None, "proportion") and metric.value is None]
    asked = {metric.name: outcome(table, metric) for metric in open_}
    raw = {metric.name: table[metric.column] for metric in open_ if table[metric.column].type().is_integer()}
    ends = {f"{end} {name}": getattr(column, end)() for name, column in raw.items() for end in ("min", "max")}
    found = table.aggregate(ends).to_pyarrow().to_pylist()[0] if ends else {}
    doubtful = {  # between 0 and 1 an integer is 0 or 1; other numbers have to be counted
        metric.name: other_than_shares(asked[metric.name])
        for metric in open_
        if not _within(found.get(f"min {metric.name}"), found.get(f"max {metric.name}"))
    }
    others = table.aggregate(doubtful).to_pyarrow().to_pylist()[0] if doubtful else {}
    return tuple(decided(metric, others.get(metric.name)) for metric in metrics)


def _within(least: float | None, most: float | None) -> bool:
    return least is not None and most is not None and least >= 0 and most <= 1


def other_than_shares(values: ir.Column) -> ir.Scalar:
    """How many values are neither 0 nor 1."""
    return (values.notnull() & ~values.isin([0.0, 1.0])).sum()


def decided(metric: Metric, others: int | None) -> Metric:
    """The metric with its kind, given how many of its values are neither 0 nor 1.

    Raises:
        DataError: it is asked for as a proportion, and some are.
    """
    if metric.kind is None:
        if metric.per is not None:
            return replace(metric, kind="ratio")
        return replace(metric, kind="mean" if others else "proportion")
    if metric.kind == "proportion" and others:
        raise DataError(
            f"metric {metric.name}: {others:,} rows of {metric.column!r} hold something else than 0 and 1: write "
            f"{metric.column},mean for a mean, or say which value counts ({metric.column},value=...)"
        )
    return metric
