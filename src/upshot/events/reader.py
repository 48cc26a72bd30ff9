"""Events with SQL: what is compacted and what was accepted a moment ago, each event once.

The views are of one moment. Segments are read before the manifest: what is compacted in between is in both, and is
recognised by its key; the other way round it could be in neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from upshot.errors import UnavailableError
from upshot.events.intake import Intake, read_bytes, read_segments
from upshot.events.layout import DataDirectory, existing
from upshot.events.manifest import EventFile, Manifest, RejectedFile, open_manifest
from upshot.events.message import Rejection
from upshot.events.segment import segments
from upshot.events.table import SCHEMA, to_table
from upshot.model.event_metric import EXPOSURE

LONGEST_TAIL = 256 << 20
"""Bytes that are read besides the files: about 600,000 events, which take some seconds and as many MB of memory."""

_SAID = """json_extract_string(properties, [
        'experiment_id', 'phase', 'variant', 'variation_id', 'variation_name', 'flag', 'revision', 'unit', 'unit_id',
        'attributes', 'instance', 'seq'
    ])"""
_IS_SENT = f"type = 'track' AND event = '{EXPOSURE}'"
_MET = """
    said[1] AS experiment_id,
    TRY_CAST(said[2] AS INTEGER) AS phase,
    COALESCE(said[3], said[4], said[5]) AS variant,
    said[6] AS flag,
    said[7] AS revision,
    said[8] AS unit_kind,
    COALESCE(said[9], unit) AS unit_id,
    said[10] AS attributes
"""
_IS_EXPOSURE = "said[1] IS NOT NULL AND COALESCE(said[3], said[4], said[5]) IS NOT NULL"
_EXPOSURES = f"""
CREATE VIEW exposures AS
SELECT
    {_MET}, said[11] AS instance, TRY_CAST(said[12] AS BIGINT) AS seq,
    unit, unit_number, user_id, anonymous_id, group_id, time, received_at, source, message_id, arrival
FROM (SELECT *, {_SAID} AS said FROM events WHERE {_IS_SENT})
WHERE {_IS_EXPOSURE}
"""  # noqa: S608 - constants


def exposures_among(events: str) -> str:
    """A query of the exposures among some events: who met what, and when, as the view has it.

    It reads the properties of each exposure once, where the view reads them again for each condition.

    Args:
        events: what stands behind FROM: a table or view of events, and conditions of it that need no property.
    """
    return f"""
        WITH told AS MATERIALIZED (
            SELECT unit, unit_number, time, {_SAID} AS said FROM (FROM {events}) WHERE {_IS_SENT}
        )
        SELECT {_MET}, unit, unit_number, time FROM told WHERE {_IS_EXPOSURE}
    """  # noqa: S608 - constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is kept at one moment: Parquet files, and the events that are in none yet.

    Attributes:
        files: that count.
        tail: a table of `table.SCHEMA`; `arrival` is null, and units that have no number yet have a negative one.
        rejected: files of what was rejected. refused: messages that are no events and are in none yet.
    """

    files: tuple[EventFile, ...]
    tail: pa.Table
    rejected: tuple[RejectedFile, ...]
    refused: tuple[Rejection, ...]


def snapshot(directory: Path) -> Snapshot:
    """What is kept now.

    Raises:
        InputError: there is no such directory. UnavailableError: compaction is too far behind.
    """
    place = existing(directory)
    contents = _contents(place)
    with open_manifest(place.manifest) as manifest, manifest.snapshot():
        compacted = {Path(name).stem for name in manifest.segments()}
        keys = [place.events / file.name for file in manifest.key_files()]
        waiting = [data for name, data in contents.items() if name not in compacted]
        intake = read_segments(waiting, keys, manifest.deletions())
        return Snapshot(
            files=manifest.event_files(),
            tail=_tail(manifest, intake),
            rejected=manifest.rejected_files(),
            refused=intake.rejections,
        )


def connect(
    directory: Path,
    *,
    after: int | None = None,
    memory: str = "2GB",
    threads: int | None = None,
    locked: bool = True,
    attached: Path | None = None,
) -> duckdb.DuckDBPyConnection:
    """A connection to a database in memory with the views `events` and `exposures`, as they are now.

    It reads the files of events and nothing else: no other file, no network. What it read may be replaced after a
    while (`compaction.GRACE`), so connect again for each piece of work.

    Args:
        after: only events that arrived after this `arrival`, and those that are not compacted yet (their `arrival`
            is null: they will have one when they are). None: all.
        memory: that a query may take, as DuckDB writes it.
        threads: that a query may take; None: as many as there are cores.
        locked: whether queries are kept from its settings; Ibis has to set the time zone. Files stay closed either way.
        attached: a file of DuckDB to read and write beside, as ``kept``; made where there is none.

    Raises:
        duckdb.Error: what is to be attached is damaged, or another one has it.
        InputError: there is no such directory. UnavailableError: compaction is too far behind.
    """
    found = snapshot(directory)
    connection = duckdb.connect(
        ":memory:", config={"memory_limit": memory, **({"threads": threads} if threads else {})}
    )
    if attached is not None:
        connection.execute(f"ATTACH {_quoted(str(attached))} AS kept")
    connection.register("arrived", found.tail)
    connection.execute("CREATE TABLE tail AS SELECT * FROM arrived")
    connection.unregister("arrived")
    events = DataDirectory(directory).events.resolve()
    files = [file for file in found.files if after is None or file.last_arrival > after]
    connection.execute(_events([events / file.name for file in files], after))
    connection.execute(_EXPOSURES)
    for setting in (
        f"allowed_directories = [{_quoted(str(events))}]",
        "enable_external_access = false",
        "python_enable_replacements = false",
        f"lock_configuration = {str(locked).lower()}",
    ):
        connection.execute(f"SET {setting}")
    return connection


def _contents(place: DataDirectory) -> dict[str, bytes]:
    """What segments hold, by their names without suffix."""
    contents: dict[str, bytes] = {}
    waiting = 0
    for path in segments(place.log):
        data = read_bytes(path)
        if data is not None:
            contents[path.stem] = data
            waiting += len(data)
        if waiting > LONGEST_TAIL:
            raise UnavailableError(
                f"more than {LONGEST_TAIL >> 20} MB of events in {place.log} are not compacted yet: try again when the "
                "server has caught up, or run `upshot events compact`",
                retry_after=10,
            )
    return contents


def _tail(manifest: Manifest, intake: Intake) -> pa.Table:
    events = tuple(intake.events.values())
    units = {event.unit for event in events}
    numbers = manifest.numbers(units)
    strangers = sorted(units - numbers.keys())
    numbers |= {unit: -number for number, unit in enumerate(strangers, 1)}
    return to_table(events, numbers, None)


def _events(paths: Sequence[Path], after: int | None) -> str:
    names = ", ".join(_quoted(str(path)) for path in paths)
    columns = ", ".join(SCHEMA.names)
    new = f"WHERE arrival > {after:d}" if after is not None else ""
    kept = f"SELECT {columns} FROM read_parquet([{names}]) {new} UNION ALL " if names else ""  # noqa: S608
    return f"CREATE VIEW events AS {kept}SELECT {columns} FROM tail"  # noqa: S608


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
