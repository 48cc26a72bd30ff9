"""Open a source as an Ibis table: a file, several files, a database, a frame in memory."""

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from upshot.errors import DataError

CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
PARQUET = (".parquet", ".pq")
DUCKDB = (".duckdb", ".ddb")
SQLITE = (".sqlite", ".sqlite3", ".db")
NAMED = re.compile(r"^(?P<name>[^=/\\]+)=(?P<path>.+)$")

VARIANT = "variant"
"""The column that several files get: the name in front of each."""


def open_table(
    source: Any, table: str | None = None, sep: str | None = None, *, as_text: bool | Collection[str] = False
) -> ir.Table:
    """An Ibis table over a source.

    Args:
        source: a path (CSV, gzip'd too, Parquet, DuckDB, SQLite), an Ibis URL, a pandas, polars or pyarrow
            frame, or an Ibis table.
        table: the table's name, where the source is a database.
        sep: the separator of CSV, where it cannot be guessed.
        as_text: read every column of CSV (or these columns) as text, so that 007 stays 007.

    Raises:
        DataError: there is no such file or table, or it cannot be read.
    """
    if isinstance(source, ir.Table):
        return source
    if not isinstance(source, str | Path):
        return _frame(source)
    text = str(source)
    if "://" in text:
        return _from_url(text, table)
    path = Path(text)
    if not path.is_file():
        raise DataError(_missing(path))
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty: give a file with a header and rows")
    return _file(path, table, sep, as_text)


def named_as_written(table: ir.Table, source: str) -> ir.Table:
    """The table for the text of a query: a file goes by its path, which DuckDB reads, not by a name of ours."""
    is_text_or_parquet = "://" not in source and source.lower().endswith((*CSV, *PARQUET))
    return ibis.table(table.schema(), name=source) if is_text_or_parquet else table


def open_files(
    sources: Sequence[str], sep: str | None = None, table: str | None = None
) -> tuple[ir.Table, bool]:
    """One table over one or several sources, and whether the variant came from their names.

    Several files are written ``control=a.csv.gz treatment=b.csv.gz``; only columns that all have are kept.

    Raises:
        DataError: names and plain paths are mixed, or a file cannot be read.
    """
    named = [match for source in sources if "://" not in source and (match := NAMED.match(source))]
    if len(sources) == 1 and not (named and not Path(sources[0]).exists()):
        return open_table(sources[0], table, sep), False
    if len(named) != len(sources):
        plain = next(source for source in sources if not NAMED.match(source))
        raise DataError(f"{plain} has no variant: with several files write NAME=FILE for each")
    backend = ibis.duckdb.connect()
    parts = [_named_file(backend, Path(match["path"]), match["name"], sep) for match in named]
    shared = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
    typed = [part.select(shared) for part in _same_types(parts, shared)]
    return ibis.union(*typed, distinct=False), True


def _named_file(backend: Any, path: Path, name: str, sep: str | None) -> ir.Table:
    if not path.is_file():
        raise DataError(_missing(path))
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty: give a file with a header and rows")
    read = _reader(backend, path, sep)
    return read.mutate(**{VARIANT: ibis.literal(name)})


def _same_types(parts: Sequence[ir.Table], shared: Sequence[str]) -> list[ir.Table]:
    """A column that is guessed as another type in one file (empty there, or 1 and 1.5) is read alike in all."""
    result = list(parts)
    for name in shared:
        kinds = {str(part[name].type()) for part in parts}
        if len(kinds) > 1:
            numeric = all(part[name].type().is_numeric() or part[name].type().is_null() for part in parts)
            kind = "float64" if numeric else "string"
            result = [part.mutate(**{name: part[name].cast(kind)}) for part in result]
    return result


def _file(path: Path, table: str | None, sep: str | None, as_text: bool | Collection[str]) -> ir.Table:
    name = path.name.lower()
    if name.endswith(DUCKDB):
        return _pick(_opened(path, lambda: ibis.duckdb.connect(str(path), read_only=True)), str(path), table)
    if name.endswith(SQLITE):
        return _pick(_opened(path, lambda: ibis.sqlite.connect(str(path))), str(path), table)
    return _reader(ibis.duckdb.connect(), path, sep, as_text)


def _reader(backend: Any, path: Path, sep: str | None, as_text: bool | Collection[str] = False) -> ir.Table:
    name = path.name.lower()
    if name.endswith(PARQUET):
        return _opened(path, lambda: backend.read_parquet(str(path)))
    if not name.endswith(CSV):
        known = ", ".join((*CSV[:2], *PARQUET[:1], *DUCKDB[:1], *SQLITE[:1]))
        raise DataError(f"{path} is no kind of file that is known: give {known}")
    options: dict[str, Any] = {"delim": sep} if sep else {}
    read = _opened(path, lambda: _loaded(backend, path, options, as_text))
    if len(read.columns) == 1 and not sep and re.search(r"[;\t|]", read.columns[0]):
        raise DataError(f"{path} has one column, {read.columns[0]!r}: name its separator with --sep")
    return read


def _loaded(backend: Any, path: Path, options: dict[str, Any], as_text: bool | Collection[str]) -> ir.Table:
    """Text is parsed once: a view would parse it again for each query."""
    if as_text is True:
        options = {**options, "all_varchar": True}
    elif as_text:
        header = backend.read_csv(str(path), header=True, all_varchar=True, **options).columns
        types = {name: "VARCHAR" for name in header if name in as_text}
        options = {**options, "types": types} if types else options
    view = backend.read_csv(str(path), header=True, sample_size=-1, **options)
    return backend.create_table(ibis.util.gen_name("csv"), view, temp=True)


def _opened(path: Path, action: Any) -> Any:
    """Run what opens a file; an engine's complaint becomes one sentence."""
    try:
        return action()
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("duckdb", "_duckdb", "sqlite3", "ibis"):
            raise
        said = " ".join(str(error).split())[:160]
        raise DataError(
            f"{path} cannot be read: it is broken, half-written or of another kind ({said})"
        ) from None


def _pick(backend: Any, source: str, table: str | None) -> ir.Table:
    try:
        names = sorted(backend.list_tables())
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("duckdb", "_duckdb", "sqlite3", "ibis"):
            raise
        raise DataError(
            f"{source} is no database that can be read: {str(error).splitlines()[0][:120]}"
        ) from None
    if table is None and len(names) == 1:
        table = names[0]
    if table is None or table not in names:
        known = ", ".join(names[:20]) or "none"
        asked = "which table" if table is None else f"there is no table {table!r}"
        near = get_close_matches(table or "", names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {known}"
        raise DataError(f"{source}: {asked}: name one with --table ({hint})")
    return backend.table(table)


def _from_url(url: str, table: str | None) -> ir.Table:
    scheme = url.split("://", maxsplit=1)[0]
    try:
        backend = ibis.connect(url)
    except Exception as error:
        said = " ".join(str(error).split())[:160]
        raise DataError(f"{scheme}://... cannot be connected to: {said}") from None
    return _pick(backend, f"{scheme}://...", table)


def _frame(frame: Any) -> ir.Table:
    try:
        backend = ibis.duckdb.connect()
        return backend.create_table("data", ibis.memtable(frame).to_pyarrow(), temp=True)
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        kind = type(frame).__name__
        raise DataError(
            f"a {kind} cannot be read as a table: give pandas, polars, pyarrow or Ibis ({error})"
        ) from None


def _missing(path: Path) -> str:
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    near = get_close_matches(path.name, names, n=1)
    hint = f": did you mean {folder / near[0]}?" if near else ": check the path"
    return f"there is no file {path}{hint}"
