"""Events for others: every one, or those of one person, as Parquet or as messages that any Segment server takes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
from pyarrow import parquet

from upshot.errors import InputError
from upshot.events.disk import written_whole
from upshot.events.message import KINDS
from upshot.events.reader import connect

_AT_ONCE = 50_000
_MESSAGE = "type, message_id, event, user_id, anonymous_id, group_id, time, received_at, properties, context"


def export(directory: Path, target: Path, *, unit: str | None = None) -> int:
    """Write events to a file that is there as a whole or not at all; how many they are.

    Args:
        directory: the data directory.
        target: ends in `.parquet` (columns) or `.jsonl` (a message a line, ready to be sent again).
        unit: only events whose user or anonymous id this is.

    Raises:
        InputError: the target ends otherwise, or its directory is missing.
    """
    if target.suffix not in (".parquet", ".jsonl"):
        raise InputError(
            f"{target} ends in {target.suffix or 'nothing'}: give a name that ends in .parquet or .jsonl"
        )
    if not target.parent.is_dir():
        raise InputError(f"there is no directory {target.parent}: make it first")
    with connect(directory) as database, written_whole(target) as part:
        if target.suffix == ".parquet":
            return _write_parquet(_selected(database, unit, "*"), part)
        return _write_messages(_selected(database, unit, _MESSAGE), part)


def messages(directory: Path, *, unit: str | None = None) -> Iterator[dict[str, Any]]:
    """Events as the messages that they came as, with `receivedAt` and with the server's time in `timestamp`."""
    with connect(directory) as database:
        for batch in _selected(database, unit, _MESSAGE):
            yield from map(_message, batch.to_pylist())


def _selected(database: duckdb.DuckDBPyConnection, unit: str | None, columns: str) -> pa.RecordBatchReader:
    his = "WHERE $unit IN (user_id, anonymous_id)" if unit is not None else ""
    query = f"SELECT {columns} FROM events {his} ORDER BY time, source, message_id"  # noqa: S608 - a constant
    return database.execute(query, {"unit": unit} if unit is not None else {}).to_arrow_reader(_AT_ONCE)


def _write_parquet(batches: pa.RecordBatchReader, path: Path) -> int:
    written = 0
    with parquet.ParquetWriter(path, batches.schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            written += batch.num_rows
    return written


def _write_messages(batches: pa.RecordBatchReader, path: Path) -> int:
    written = 0
    with path.open("wb") as file:
        for batch in batches:
            file.writelines(msgspec.json.encode(_message(row)) + b"\n" for row in batch.to_pylist())
            written += batch.num_rows
    return written


def _message(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a message; what it does not have is left out."""
    kind = row["type"]
    assert kind in KINDS
    content = "traits" if kind in ("identify", "group") else "properties"
    found = {
        "type": kind,
        "messageId": row["message_id"],
        "event" if kind == "track" else "name": row["event"],
        "userId": row["user_id"],
        "previousId" if kind == "alias" else "anonymousId": row["anonymous_id"],
        "groupId": row["group_id"] if kind == "group" else None,
        "timestamp": _zoned(row["time"]),
        "receivedAt": _zoned(row["received_at"]),
        content: msgspec.Raw(row["properties"].encode()),
        "context": msgspec.Raw(row["context"].encode()),
    }
    return {name: value for name, value in found.items() if value is not None}


def _zoned(time: datetime) -> str:
    return time.replace(tzinfo=UTC).isoformat()
