"""`upshot assign`: a table of ids in, the variant of each row out."""

import json
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.errors import InputError

if TYPE_CHECKING:
    from upshot.services.assignment import Assignment, Tally

EPILOG = """\b
Which variant is drawn depends on the unit's id only; conditions ask for more. A flag without conditions is
decided in SQL by the engine that holds the data. A flag with conditions is decided by Upshot's SDK, row by row,
as in an application: each attribute that it asks for must be a column of that name. An empty cell is a missing
value; nothing is drawn for a row without an id.

\b
Examples:
  upshot assign ids.csv --id user_id --flags flags --flag checkout --out assigned.parquet
  upshot assign shop.duckdb --table users --id id --flags flags --experiment EXP-2026-001 --out in.csv
  upshot assign --sql --engine bigquery --table shop.users --id id --flags flags --flag checkout
"""


@click.command("assign", epilog=EPILOG)
@click.argument("source", required=False, metavar="[DATA]")
@click.option("--id", "unit_id", required=True, metavar="COLUMN", help="The ids of units (targetingKey).")
@click.option("--flags", "directory", required=True, metavar="DIR", help="Folder of flags as YAML files.")
@click.option("--flag", metavar="KEY", help="The flag that decides.")
@click.option("--experiment", metavar="ID", help="Only units that this experiment enrols get a variant.")
@click.option("--out", metavar="FILE", help="Write all columns with the variant: .parquet or .csv.")
@click.option("--as", "column", default="variant", metavar="COLUMN", help="The new column [variant].")
@click.option("--at", metavar="TIME", help="Rules in force at this time, such as 2026-12-01T00:00Z [now].")
@click.option("--sep", metavar="CHAR", help="The separator of CSV files, where it is not found by itself.")
@click.option("--table", metavar="NAME", help="The table, where DATA is a database.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the query and stop.")
@click.option("--engine", metavar="NAME", help="With --sql and no DATA: whose SQL it is.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def command(source: str | None, directory: str, **options: Any) -> None:
    """Assign each unit of a table the variant that a flag gives it.

    DATA is a CSV (gzip too) or Parquet file, a DuckDB or SQLite file, or any Ibis URL. The flags are those applied
    last (`upshot flag apply`).
    """
    from upshot.services.assignment import plan_assignment
    from upshot.store.flag_files import FlagDirectory

    assignment = plan_assignment(
        FlagDirectory(directory),
        flag=options["flag"],
        experiment=options["experiment"],
        id=options["unit_id"],
        column=options["column"],
        now=_time(options["at"]),
    )
    if options["as_sql"]:
        _print_sql(source, assignment, options)
    else:
        _assign(source, assignment, options)


def _assign(source: str | None, assignment: "Assignment", options: dict[str, Any]) -> None:
    from upshot.services.assignment import Tally, assign
    from upshot.warehouse.sinks import check_sink, write_rows

    out = Path(options["out"]) if options["out"] else None
    if out:
        check_sink(out)
    if source is None:
        raise InputError("no data: name a file, or give --sql and --engine to print the query only")
    if options["engine"]:
        raise InputError(_ENGINE_OF_DATA)
    engine, batches = assign(_opened(source, assignment, options), assignment)
    tally = Tally()
    rows = tally.counting(batches, assignment)
    if out:
        write_rows(out, rows)
    else:
        deque(rows, maxlen=0)
    _print(tally, engine, assignment, options)


_ENGINE_OF_DATA = "engine goes with --sql and no DATA: data are decided by the engine that holds them"


def _opened(source: str, assignment: "Assignment", options: dict[str, Any]) -> Any:
    from upshot.warehouse.sources import open_table

    return open_table(source, options["table"], options["sep"], as_text=assignment.texts)


def _time(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"at {text!r}: write a time such as 2026-12-01T09:00Z, or a day") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print_sql(source: str | None, assignment: "Assignment", options: dict[str, Any]) -> None:
    import ibis

    from upshot.services.assignment import query, unbound
    from upshot.warehouse.sources import named_as_written

    engine = options["engine"]
    if source and engine:
        raise InputError(_ENGINE_OF_DATA)
    if source:
        table = _opened(source, assignment, options)
        engine, table = table.get_backend().name, named_as_written(table, source)
    elif engine:
        table = unbound(options["table"] or "ids", assignment)
    else:
        raise InputError("no data: name a file, or say whose SQL is wanted with --engine")
    found = query(table, assignment, engine)
    click.echo(str(ibis.to_sql(found, dialect=engine)))


def _print(tally: "Tally", engine: str, assignment: "Assignment", options: dict[str, Any]) -> None:
    if options["as_json"]:
        about = {"flag": assignment.flag, "experiment": assignment.experiment, "decided_by": engine}
        revision = {"revision": assignment.published.revision, "at": assignment.now.isoformat()}
        click.echo(json.dumps(about | revision | tally.to_dict() | {"out": options["out"]}))
        return
    how = "row by row by the SDK" if engine == "sdk" else f"in SQL by {engine}"
    click.echo(f"{assignment.experiment or assignment.flag}: {tally.rows:,} rows, decided {how}")
    width = max((len(name) for name, _ in tally.shares()), default=0)
    for name, rows in tally.shares():
        click.echo(f"  {name:<{width}}  {rows:>12,}  {rows / tally.rows:>6.1%}")
    if tally.without_id:
        has, them = ("row has", "it") if tally.without_id == 1 else ("rows have", "them")
        click.echo(f"{tally.without_id:,} {has} no {assignment.id}: nothing is drawn for {them}.")
    click.echo(
        f"Written to {options['out']}." if options["out"] else "Nothing is written: name a file with --out."
    )
