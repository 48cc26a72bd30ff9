"""The shop of `benchmarks.live`: what its units do, as compaction and merging would have left it on the disk."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from upshot.events.compaction import write_events
from upshot.events.layout import DataDirectory
from upshot.events.manifest import Change, open_manifest
from upshot.events.merge import partitioned
from upshot.events.table import DAY, SCHEMA
from upshot.model.event_metric import EXPOSURE

SEED = 20_261_124
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
PAST, DAYS = 7, 14
"""Days before the first exposure, and days of exposures."""
EXPERIMENT = "EXP-2026-001"
NAME = "%08x-7c1d-4a52-9e61-0b6f2f5e90aa"
"""Ids are as long as those of visitors are, and in the order of the numbers."""
SHARES = {
    "Page Viewed": 0.34, "Click": 0.2, "Search": 0.12, "Session Ended": 0.12, "Order Completed": 0.08, "Shared": 0.05,
    "Error": 0.04, "Saved": 0.05,
}  # fmt: skip

_SENT = f"""
SELECT
    'shop' AS source, kind || '-' || row_number() OVER () AS message_id, false AS hashed_id, 'track' AS type, event,
    name AS unit, number AS unit_number, name AS user_id, NULL AS anonymous_id, NULL AS group_id,
    time, time AS received_at, time AS sent_at, time AS timestamp,
    CASE WHEN event = '{EXPOSURE}' THEN
        '{{"experiment_id":"{EXPERIMENT}","phase":1,"flag":"shop","unit":"targetingKey","unit_id":"' || name
        || '","variant":"' || variant || '"}}'
    ELSE
        '{{"usd":' || amount || ',"seconds":' || CAST(amount * 7 AS INTEGER) || ',"page":"/shop/' || number % 97
        || '","plan":"' || ['free', 'pro', 'team'][number % 3 + 1] || '"}}'
    END AS properties,
    '{{}}' AS context, arrival
FROM (
    SELECT *, printf('{NAME}', number * 4000) AS name, make_timestamp(moment) AS time FROM done
)
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """How large it is.

    Attributes:
        events: in `PAST` and `DAYS` days together, exposures among them. units: each is exposed once, at some moment.
        exposed: by unit when, microseconds since 1970. treated: by unit whether it has the treatment.
    """

    events: int
    units: int
    exposed: NDArray[np.int64] = field(init=False)
    treated: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng((SEED, 0))
        begin = int(BEGIN.timestamp()) * 1_000_000
        object.__setattr__(self, "exposed", begin + rng.integers(PAST * DAY, (PAST + DAYS) * DAY, self.units))
        object.__setattr__(self, "treated", rng.random(self.units) < 0.5)

    def open(self, place: DataDirectory) -> None:
        """Give every unit its number."""
        place.make()
        with open_manifest(place.manifest) as manifest:
            manifest.intern(NAME % (number * 4000) for number in range(1, self.units + 1))

    def pass_day(self, place: DataDirectory, day: int) -> None:
        """Write what happens on a day, 0 the first, in files as merging leaves them."""
        rng = np.random.default_rng((SEED, 1, day))
        begin = int((BEGIN + timedelta(days=day)).timestamp()) * 1_000_000
        arrival = pa.scalar(day + 1, pa.int64())
        parts = [self._events(rng, begin), self._exposures(begin)]
        done = pa.concat_tables(parts)
        done = done.append_column("arrival", pa.repeat(arrival, len(done)))
        done = done.append_column("kind", pa.repeat(f"day-{day}", len(done)))
        with duckdb.connect() as database:
            database.register("done", done)
            table = database.execute(_SENT).to_arrow_table().cast(SCHEMA)
        files = tuple(
            write_events(part, place.events, day=number, bucket=bucket)
            for number, bucket, part in partitioned(table)
        )
        with open_manifest(place.manifest) as manifest:
            manifest.commit(Change(files=files, tally={"segments": 1}), begin + DAY)

    def _events(self, rng: np.random.Generator, begin: int) -> pa.Table:
        count = (self.events - self.units) // (PAST + DAYS)
        names = np.array(list(SHARES))
        return pa.table(
            {
                "number": rng.integers(1, self.units + 1, count),
                "moment": rng.integers(begin, begin + DAY, count),
                "event": names[rng.choice(len(names), count, p=list(SHARES.values()))],
                "amount": np.round(rng.lognormal(3, 1, count), 2),
                "variant": np.full(count, ""),
            }
        )

    def _exposures(self, begin: int) -> pa.Table:
        whose = np.flatnonzero((self.exposed >= begin) & (self.exposed < begin + DAY))
        return pa.table(
            {
                "number": whose + 1,
                "moment": self.exposed[whose],
                "event": np.full(len(whose), EXPOSURE),
                "amount": np.zeros(len(whose)),
                "variant": np.where(self.treated[whose], "treatment", "control"),
            }
        )
