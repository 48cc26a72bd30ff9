"""What `benchmarks.live` asks, written by hand as an analyst would: one query a metric over the ids that people know.

Nothing of Upshot is in it but the views of events and exposures, so that it is an oracle for the numbers and the peer
for the time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations_with_replacement

import duckdb
import numpy as np
from numpy.typing import NDArray

from benchmarks.live_shop import EXPERIMENT

FIRST = f"""
SELECT unit_id, min(variant) AS variant, min(time) AS first
FROM exposures
WHERE experiment_id = '{EXPERIMENT}' AND time < $as_of
GROUP BY unit_id
HAVING min(variant) = max(variant)
"""
_COUNT = "count(*) FILTER ({})::DOUBLE"
_ANY = "(count(*) FILTER ({}) > 0)::INTEGER::DOUBLE"
_SUM = "coalesce(sum(CAST(properties ->> '{}' AS DOUBLE)) FILTER ({{}}), 0)"
_INSIDE = "event = '{}' AND time >= first AND time < first + INTERVAL 7 DAY"
_BEFORE = "event = '{}' AND time < first AND time >= first - INTERVAL 7 DAY"
QUERIES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "converted": ((_ANY, "Order Completed"),),
    "revenue": ((_SUM.format("usd"), "Order Completed"),),
    "clicks": ((_COUNT, "Click"),),
    "searches": ((_COUNT, "Search"),),
    "duration": ((_SUM.format("seconds"), "Session Ended"),),
    "errors": ((_COUNT, "Error"), (_COUNT, "Page Viewed")),
    "shared": ((_ANY, "Shared"),),
    "premium": ((_COUNT.replace("{}", "{} AND (properties ->> 'plan') = 'pro'"), "Saved"),),
}
"""Each metric: what is made of a unit's events, and of which; the second of a ratio is its denominator."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Of one metric and variant: how many units, the means of its quantities and their covariances."""

    units: int
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]


def plain_numbers(
    database: duckdb.DuckDBPyConnection, as_of: datetime, *, once: bool = False
) -> dict[str, dict[str, Numbers]]:
    """Every metric of every variant: the outcome, a denominator, and the same from before the exposure.

    Args:
        once: whether exposures are read once for all metrics, and not by each query.
    """
    moment = as_of.replace(tzinfo=None)
    if once:
        database.execute(f"CREATE TEMP TABLE exposed AS {FIRST}", {"as_of": moment})
    exposed = "exposed" if once else f"({FIRST})"
    found: dict[str, dict[str, Numbers]] = {}
    for name, parts in QUERIES.items():
        rows = database.execute(_query(parts, exposed), {"as_of": moment}).fetchall()
        found[name] = {row[0]: _numbers(row[1], row[2:], 2 * len(parts)) for row in rows}
    return found


def _query(parts: tuple[tuple[str, str], ...], exposed: str) -> str:
    columns = [made.format(_INSIDE.format(event)) for made, event in parts]
    columns += [made.format(_BEFORE.format(event)) for made, event in parts]
    events = ", ".join(f"'{event}'" for _, event in parts)
    named = ", ".join(f"{column} AS x{place}" for place, column in enumerate(columns))
    return f"""
        SELECT variant, count(*), {", ".join(_statistics(len(columns)))}
        FROM (
            SELECT variant, first, {named}
            FROM {exposed} AS first_exposure
            LEFT JOIN (SELECT * FROM events WHERE event IN ({events}) AND time < $as_of) ON user_id = unit_id
            GROUP BY unit_id, variant, first
        )
        WHERE first + INTERVAL 7 DAY <= $as_of
        GROUP BY variant
    """


def _statistics(count: int) -> Iterator[str]:
    yield from (f"avg(x{place})" for place in range(count))
    for one, other in combinations_with_replacement(range(count), 2):
        yield f"covar_samp(x{one}, x{other})"


def _numbers(units: int, values: tuple[float, ...], count: int) -> Numbers:
    covariances = np.empty((count, count))
    pairs = combinations_with_replacement(range(count), 2)
    for (one, other), value in zip(pairs, values[count:], strict=True):
        covariances[one, other] = covariances[other, one] = value
    return Numbers(units, np.array(values[:count]), covariances)
