"""Tables that exist already, read where they are: facts about units, and exposures that a team logs by itself."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import MinLen

Text = Annotated[str, MinLen(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactTable:
    """A table whose rows are facts about units, each at its time.

    Attributes:
        name: how metrics call it; unique in a workspace.
        url: where it is: a file (CSV, Parquet, DuckDB, SQLite) or the URL of a database, as Ibis has them;
            ``$NAME`` in it is taken from the environment, so that no password is written down.
        sql: the query whose rows it has; in it a CSV or Parquet file is called by the name of this table.
        table: the name of a table of the database, instead of a query.
        unit: the column with the id of the unit, as exposures have it.
        time: the column with the time of the fact; a time without an offset is one in UTC.
    """

    name: Text
    url: Text
    sql: Text | None = None
    table: Text | None = None
    unit: Text
    time: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureTable:
    """A table of exposures that a team logs by itself: in a workspace that has one, experiments are read from it.

    Attributes:
        url: where it is, as of a table of facts.
        sql: the query whose rows it has; in it a CSV or Parquet file is called ``exposures``.
        table: the name of a table of the database, instead of a query.
        unit: the column with the id of the unit.
        variant: the column with the variant that the unit met.
        time: the column with the time of the exposure; a time without an offset is one in UTC.
        experiment: the column with the experiment's id; left out: all rows are of the experiment that is asked.
        phase: the column with the number of the phase; left out: all are of phase 1.
    """

    url: Text
    sql: Text | None = None
    table: Text | None = None
    unit: Text
    variant: Text
    time: Text
    experiment: Text | None = None
    phase: Text | None = None

    @property
    def name(self) -> str:
        """What messages and queries call it."""
        return "exposures"
