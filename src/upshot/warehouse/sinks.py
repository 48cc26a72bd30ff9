"""Write rows to a file, CSV or Parquet: the whole file appears at once, or none."""

import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from upshot.errors import DataError, InputError

KINDS = (".csv", ".parquet")


def check_sink(path: Path) -> None:
    """Refuse a place that cannot be written to before any work is done.

    Raises:
        InputError: its name says neither CSV nor Parquet, or there is no such folder.
    """
    if path.suffix.lower() not in KINDS:
        raise InputError(f"out {path}: give a name that ends in {' or '.join(KINDS)}")
    if not path.parent.is_dir():
        raise InputError(f"out {path}: there is no folder {path.parent}: make it first")


def write_rows(path: Path, batches: Iterable[pa.RecordBatch]) -> None:
    """Write batches of one schema, of which there is at least one, though it may be empty.

    Raises:
        InputError: the file cannot be written.
        DataError: CSV has no form for a column, such as a list.
    """
    rest = iter(batches)
    first = next(rest)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _writer(partial, path.suffix.lower(), first.schema) as writer:
            for batch in chain([first], rest):
                writer.write_batch(batch)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"out {path} cannot be written: {error.strerror or error}") from error
    except pa.ArrowInvalid as error:
        raise DataError(f"out {path}: {str(error).splitlines()[0]}: write .parquet instead") from error
    finally:
        partial.unlink(missing_ok=True)


def _writer(path: Path, suffix: str, schema: pa.Schema) -> Any:
    if suffix == ".parquet":
        from pyarrow.parquet import ParquetWriter

        return ParquetWriter(path, schema, compression="zstd")
    from pyarrow.csv import CSVWriter

    return CSVWriter(path, schema)
