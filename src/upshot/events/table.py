"""Events as columns: the schema of the Parquet files and of what readers see."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from upshot.events.message import Event

DAY = 86_400_000_000
"""Microseconds of a day."""

_TIME = pa.timestamp("us")  # UTC without saying so: with a zone DuckDB goes through ICU, which is slower

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("message_id", pa.string()),
        ("hashed_id", pa.bool_()),
        ("type", pa.string()),
        ("event", pa.string()),
        ("unit", pa.string()),
        ("unit_number", pa.int64()),
        ("user_id", pa.string()),
        ("anonymous_id", pa.string()),
        ("group_id", pa.string()),
        ("time", _TIME),
        ("received_at", _TIME),
        ("sent_at", _TIME),
        ("timestamp", _TIME),
        ("properties", pa.string()),
        ("context", pa.string()),
        ("arrival", pa.int64()),
    ]
)
"""`unit_number` is the unit's number in the manifest; `arrival` is higher for events that were compacted later."""

ORDER = [
    ("unit_number", "ascending"),
    ("time", "ascending"),
    ("message_id", "ascending"),
    ("source", "ascending"),
]


def to_table(events: Sequence[Event], numbers: Mapping[str, int], arrival: int | None) -> pa.Table:
    """Events as a table, in their order; `arrival` is None for what is not compacted yet."""
    units = [event.unit for event in events]
    columns = {
        "unit": units,
        "unit_number": [numbers[unit] for unit in units],
        "arrival": [arrival] * len(events),
    }
    for field in SCHEMA:
        if field.name not in columns:
            columns[field.name] = [getattr(event, field.name) for event in events]
    return pa.table(
        {field.name: pa.array(columns[field.name], field.type) for field in SCHEMA}, schema=SCHEMA
    )


def from_table(table: pa.Table) -> Iterator[Event]:
    """The events of a table, as they were before."""
    fields = [SCHEMA.field(name) for name in Event.__struct_fields__]
    columns = [
        table[field.name].cast(pa.int64() if field.type == _TIME else field.type).to_pylist()
        for field in fields
    ]
    return (
        Event(**dict(zip(Event.__struct_fields__, values, strict=True)))
        for values in zip(*columns, strict=True)
    )
