"""Tables of facts and of exposures that stand beside the events of a data directory, for one question."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb
import ibis
import ibis.expr.types as ir

from upshot.analysis.conditions import attributes_of
from upshot.analysis.event_question import EventQuestion
from upshot.analysis.phrases import units as counted
from upshot.analysis.unit_table import reach
from upshot.errors import DataError
from upshot.model.event_metric import Source
from upshot.model.fact_table import ExposureTable, FactTable
from upshot.warehouse.facts import Span, Taken, take_exposures, take_facts

_LOGGED = "SELECT count(*) FROM exposures WHERE experiment_id = ? AND time < ?"
_SEEN = "SELECT min(time), max(time) FROM exposures WHERE experiment_id = ? AND time < ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Rows beside the events.

    Attributes:
        facts: the tables of the question's metrics, as `unit_table` takes them.
        told: what was read, in sentences.
    """

    facts: Mapping[str, ir.Table] = field(default_factory=dict)
    told: tuple[str, ...] = ()


def facts_beside(
    database: duckdb.DuckDBPyConnection, question: EventQuestion, span: Span | None = None
) -> Beside:
    """Read the tables that a question's metrics are of.

    Args:
        span: the times that can count; None: those that can for the exposures of the question's experiment.

    Raises:
        DataError: one cannot be read.
    """
    sources = [source for metric in question.measured for source in metric.sources]
    tables = {source.table.name: source.table for source in sources if source.table is not None}
    if not tables:
        return Beside()
    span = span or _span(database, question)
    taken = {
        name: take_facts(database, table, _asked_of(table, sources), span, os.environ)
        for name, table in tables.items()
    }
    backend = ibis.duckdb.from_connection(database)
    return Beside(
        facts={name: backend.table(one.name) for name, one in taken.items()},
        told=tuple(_told(tables[name], one) for name, one in taken.items()),
    )


def _asked_of(table: FactTable, sources: list[Source]) -> dict[str, str]:
    """The columns that the sources of a table ask for, and the field that asks."""
    ours = [source for source in sources if source.table == table]
    values = {source.value: "value" for source in ours if source.value is not None}
    conditions = {name: "where" for source in ours for name in attributes_of(source.where)}
    return conditions | values


def _span(database: duckdb.DuckDBPyConnection, question: EventQuestion) -> Span:
    """The times that can count for anybody who was exposed."""
    as_of = question.as_of.astimezone(UTC)
    first, last = _row(database, _SEEN, question.experiment, as_of)
    if first is None:
        return Span(since=as_of, until=as_of)
    before, after = reach(question.measured)
    until = as_of if after is None else min(as_of, last.replace(tzinfo=UTC) + after)
    return Span(since=first.replace(tzinfo=UTC) - before, until=until)


def exposures_beside(
    database: duckdb.DuckDBPyConnection,
    table: ExposureTable,
    experiment: str,
    as_of: datetime,
    segments: tuple[str, ...],
) -> tuple[str, ...]:
    """Let the database's view of exposures be those of a declared table; what was read, in sentences.

    Raises:
        DataError: the table cannot be read, or the experiment has exposures of its own, too.
    """
    if _row(database, _LOGGED, experiment, as_of)[0]:
        raise DataError(
            f"{experiment} has exposures that Upshot logged, and the workspace declares a table of them: one counts, "
            "leave out the section exposures of the metrics or name another folder with --metrics"
        )
    taken = take_exposures(database, table, experiment, segments, Span(until=as_of), os.environ)
    database.execute("ALTER VIEW exposures RENAME TO logged_exposures")
    database.execute(f"CREATE VIEW exposures AS SELECT * FROM {taken.name}")  # noqa: S608 - a name of ours
    whose = "" if table.experiment else f", all of them taken for {experiment}"
    return (_told(table, taken) + whose,)


def _row(database: duckdb.DuckDBPyConnection, sql: str, experiment: str | None, as_of: datetime) -> tuple:  # type: ignore[type-arg]
    naive = as_of.astimezone(UTC).replace(tzinfo=None)
    return database.execute(sql, [experiment, naive]).fetchone() or (None, None)


def _told(table: FactTable | ExposureTable, taken: Taken) -> str:
    return "; ".join(_parts(table, taken))


def _parts(table: FactTable | ExposureTable, taken: Taken) -> Iterator[str]:
    yield f"table {table.name}: {counted(taken.rows, 'row')} in the time that can count"
    if taken.is_naive:
        yield f"times in {table.time} have no offset and are taken for UTC"
    if taken.nameless:
        yield f"{counted(taken.nameless, 'row')} without {table.unit} left out"
