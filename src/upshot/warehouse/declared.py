"""Tables that a workspace declares: from their URL and query to an Ibis table whose columns were checked.

A complaint is one sentence that names the table, the field and the mend; what a URL holds of passwords is in none.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from upshot.errors import DataError
from upshot.model.fact_table import ExposureTable, FactTable
from upshot.warehouse.sources import CSV, DUCKDB, PARQUET, SQLITE, open_table

Declared = FactTable | ExposureTable

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<plain>[A-Za-z_]\w*))")
_LOCAL = re.compile(r"^(?:sqlite|duckdb)://(?=.)")
_PASSWORD = re.compile(r"(?<=://)[^/@]*@|(?i:password|token|secret|key)=[^&\s]*")


@contextmanager
def opened(declared: Declared, environ: Mapping[str, str]) -> Iterator[ir.Table]:
    """Its rows, not read yet, and its connection closed afterwards; text files have unit and time as written.

    Raises:
        DataError: a variable of the environment is missing, or what the URL names cannot be opened or asked.
    """
    url = filled(declared, environ)
    place = _LOCAL.sub("", url)
    complaints = Complaints(declared, url)
    is_file = place.lower().endswith((*CSV, *PARQUET)) and "://" not in place
    backend, files = (
        _of_file(declared, place, complaints) if is_file else (_connected(place, complaints), None)
    )
    try:
        if declared.sql is not None:
            query = declared.sql.strip().rstrip(";")
            yield complaints.telling(lambda: backend.sql(query), "sql cannot be run", "mend it")
        else:
            yield files if files is not None else _named(backend, declared, complaints)
    finally:
        backend.disconnect()


def filled(declared: Declared, environ: Mapping[str, str]) -> str:
    """The URL with the environment's values in the place of ``$NAME`` and ``${NAME}``.

    Raises:
        DataError: one is missing.
    """

    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        if not environ.get(name):
            raise DataError(
                f"{_of(declared)}: url names ${name}, which is not set: set it in the environment"
            )
        return environ[name]

    return _VARIABLE.sub(value, declared.url)


def _of(declared: Declared) -> str:
    return f"table {declared.name}" if isinstance(declared, FactTable) else declared.name


class Complaints:
    """What engines and drivers complain of a table, as one sentence without what its URL keeps secret."""

    def __init__(self, declared: Declared, url: str) -> None:
        self._declared = declared
        self._secrets = [url] if url != declared.url else []
        self._secrets += [
            part for match in _PASSWORD.finditer(url) for part in re.split(r"[:@=]", match[0]) if part
        ]

    def telling(self, action: Callable[[], Any], what: str, mend: str) -> Any:
        """What the action gives.

        Raises:
            DataError: it failed; drivers have no error in common, so whatever it raises is told.
        """
        try:
            return action()
        except (DataError, MemoryError):
            raise
        except Exception as error:
            raise self.error(f"{what} ({self._said(error)}): {mend}") from None

    def error(self, message: str) -> DataError:
        """About this table."""
        return DataError(f"{_of(self._declared)}: {message}")

    def _said(self, error: Exception) -> str:
        text = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())
        for secret in self._secrets:
            text = text.replace(secret, "***") if len(secret) > 2 else text
        return (_PASSWORD.sub("***", text) or type(error).__name__)[:160].rstrip(" :.")


def _of_file(declared: Declared, path: str, complaints: Complaints) -> tuple[Any, ir.Table]:
    """The rows of a text or Parquet file, which a query calls by the name of the table."""
    try:
        table = open_table(path, as_text=(declared.unit, declared.time))
    except DataError as error:
        raise complaints.error(f"url: {error}") from None
    backend = table.get_backend()
    if declared.sql is not None:
        backend.create_view(declared.name, table)
    return backend, table


def _connected(place: str, complaints: Complaints) -> Any:
    name = place.lower()
    if name.endswith((*DUCKDB, *SQLITE)) and "://" not in place:
        if not Path(place).is_file():
            raise complaints.error(f"url: there is no file {place}: check the path")
        opening: Callable[[], Any] = lambda: _local(place)  # noqa: E731
    elif "://" in place:
        opening = lambda: ibis.connect(place)  # noqa: E731
    else:
        known = ", ".join((*CSV[:1], *PARQUET[:1], *DUCKDB[:1], *SQLITE[:1]))
        raise complaints.error(
            f"url is no file that is known and no URL: give {known}, or such as postgresql://..."
        )
    mend = "check that it is up and that the url is right"
    return complaints.telling(opening, "url cannot be connected to", mend)


def _local(path: str) -> Any:
    """A database in a file, which is only read."""
    if path.lower().endswith(DUCKDB):
        return ibis.duckdb.connect(path, read_only=True)
    return ibis.sqlite.connect(path)


def _named(backend: Any, declared: Declared, complaints: Complaints) -> ir.Table:
    """A table of a database by its name; its only one where it has no name."""
    *schema, name = (declared.table or "").split(".")
    where = {"database": tuple(schema) if len(schema) > 1 else schema[0]} if schema else {}
    names = complaints.telling(
        lambda: sorted(backend.list_tables(**where)), "its tables cannot be listed", "check the url"
    )
    if not name and len(names) == 1:
        name = names[0]
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names[:20]) or 'none'}"
        asked = f"there is no {declared.table}" if declared.table else "this is missing"
        raise complaints.error(f"table: {asked}: {hint}")
    return backend.table(name, **where)


def check_columns(table: ir.Table, declared: Declared, wanted: Mapping[str, str]) -> None:
    """Refuse a table that has not the columns that a field names.

    Args:
        wanted: field of the declaration -> column.

    Raises:
        DataError: the first that is missing, or whose type cannot be what it should be.
    """
    complaints = Complaints(declared, declared.url)
    for field, column in wanted.items():
        if column not in table.columns:
            near = get_close_matches(column, table.columns, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(table.columns[:20])}"
            raise complaints.error(f"{field} is {column}, and there is no such column: {hint}")
    for sentence in _wrong_types(table, declared):
        raise complaints.error(sentence)


def _wrong_types(table: ir.Table, declared: Declared) -> Iterator[str]:
    unit, time = table[declared.unit].type(), table[declared.time].type()
    if not (unit.is_string() or unit.is_integer() or unit.is_uuid()):
        yield (
            f"unit is {declared.unit}, which is {unit}: ids are texts or whole numbers, make it one in sql, such as "
            f"cast({declared.unit} as text)"
        )
    if time.is_date():
        yield (
            f"time is {declared.time}, which is a date: what happened on the day of the first exposure would count as "
            "before it, give a timestamp"
        )
    elif not (time.is_timestamp() or time.is_string()):
        yield (
            f"time is {declared.time}, which is {time}: give a timestamp, made in sql where it is stored otherwise, "
            f"such as to_timestamp({declared.time})"
        )


def column_of(attribute: str, columns: Sequence[str]) -> str | None:
    """The column that a property or a path of dots begins in; None: there is none."""
    return next((name for name in (attribute, attribute.split(".", maxsplit=1)[0]) if name in columns), None)
