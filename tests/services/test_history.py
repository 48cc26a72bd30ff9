"""Planning from one's own events: sent to the log, half of it compacted, against counting them by hand."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pytest

from upshot.errors import DataError, InputError, NotFoundError
from upshot.events.compaction import compact
from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog, Limits
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.services.history import Wanted, history, own_aa

BEGUN = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOW = BEGUN + timedelta(days=43, hours=6)
UNITS = 400
METRICS = metrics_from_yaml(
    """
    metrics:
      bought: {kind: proportion, event: Order, window: 7d}
      spent: {kind: mean, event: Order, value: usd, window: 7d, covariate: 14d}
      never: {kind: proportion, event: Nothing, window: 7d}
      rate: {kind: ratio, event: Order, denominator: {event: Page}, window: 7d}
    """
)


def days_of(unit):
    """On which days a unit comes: a quarter each day, others with a rhythm of their own. Seed: the unit."""
    rng = np.random.default_rng(unit)
    return sorted(set(rng.choice(43, rng.integers(1, 12), replace=False).tolist()))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    frames = []
    for day in range(43):
        at = BEGUN + timedelta(days=day)
        messages = []
        for unit in range(UNITS):
            if day in days_of(unit):
                messages.append({"event": "Page", "userId": f"u{unit}"})
                if unit % 4 == 0:
                    messages.append(
                        {"event": "Order", "userId": f"u{unit}", "properties": {"usd": 5 + unit % 9}}
                    )
        batch = [{"type": "track", "messageId": f"{day}-{i}", **one} for i, one in enumerate(messages)]
        frames.append(Frame(Source("web"), int(at.timestamp() * 1e6), json.dumps({"batch": batch}).encode()))
    for part in (frames[:20], frames[20:]):
        compact(path)
        log = EventLog.open(path, Limits(free_bytes=0))
        for answer in [log.append(frame) for frame in part]:
            answer.result(30)
        log.close()
    return path


def wanted(kept, metric, **fields):
    return Wanted(data=kept, definitions=METRICS, metric=metric, as_of=NOW, **fields)


def test_traffic_is_of_different_units(kept):
    """The first day is the one after logging began, the last one the day before now."""
    found = history(wanted(kept, "bought")).arrivals
    assert found.days == 42
    for length in (1, 7, 28, 42):
        counts = [
            len(
                [unit for unit in range(UNITS) if any(start <= day < start + length for day in days_of(unit))]
            )
            for start in range(1, 43 - length + 1)
        ]
        assert found.units(length) == pytest.approx(np.mean(counts))
    assert found.units(28) < 4 * found.units(7)


def test_baseline_and_spread_are_those_of_units_that_came(kept):
    until = NOW - timedelta(days=7)
    since = until - timedelta(days=28)

    def value(unit, usd):
        times = [BEGUN + timedelta(days=day) for day in days_of(unit)]
        inside = [time for time in times if since <= time < until]
        if not inside:
            return None
        orders = (
            [one for one in times if inside[0] <= one < inside[0] + timedelta(days=7)]
            if unit % 4 == 0
            else []
        )
        return sum((5 + unit % 9) if usd else 1 for _ in orders)

    spent = [one for unit in range(UNITS) if (one := value(unit, usd=True)) is not None]
    bought = [one > 0 for unit in range(UNITS) if (one := value(unit, usd=False)) is not None]
    share = history(wanted(kept, "bought"))
    assert (share.units, share.baseline) == (len(bought), pytest.approx(np.mean(bought)))
    assert (share.metric.kind, share.window, share.r_squared) == ("proportion", 7, 0.0)
    mean = history(wanted(kept, "spent"))
    assert mean.baseline == pytest.approx(np.mean(spent))
    assert mean.std == pytest.approx(np.std(spent, ddof=1))
    assert 0.1 < mean.r_squared < 0.9, "who bought before buys again"
    ratio = history(wanted(kept, "rate"))
    assert 0 < ratio.baseline < 1
    assert ratio.std > 0


def test_an_audience_is_smaller(kept):
    everybody, buyers = history(wanted(kept, "bought")), history(wanted(kept, "bought", audience="Order"))
    assert buyers.arrivals.units(28) < everybody.arrivals.units(28) / 2
    assert buyers.baseline == 1


def test_the_metric_holds_its_level_on_its_past(kept):
    found = own_aa(wanted(kept, "spent"), splits=300)
    assert found.holds
    assert found.units == history(wanted(kept, "spent")).units


@pytest.mark.parametrize(
    ("metric", "fields", "error", "says"),
    [
        ("bough", {}, NotFoundError, "did you mean bought"),
        ("never", {}, DataError, "metric never: it was 0 for all"),
        ("bought", {"audience": "Orders"}, DataError, "nobody came before 2026-04-14"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(kept, metric, fields, error, says):
    with pytest.raises(error, match=says):
        history(wanted(kept, metric, **fields))


def test_alpha_is_a_share(kept):
    with pytest.raises(InputError, match="alpha is 2"):
        own_aa(wanted(kept, "bought"), alpha=2)


def test_a_metric_of_a_table_has_the_past_of_the_same_events(kept, tmp_path):
    with duckdb.connect(tmp_path / "shop.duckdb") as shop:
        shop.execute("CREATE TABLE orders (who VARCHAR, seen_at TIMESTAMPTZ, usd INTEGER)")
        rows = [
            (f"u{unit}", BEGUN + timedelta(days=day), 5 + unit % 9)
            for unit in range(0, UNITS, 4)
            for day in days_of(unit)
        ]
        shop.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    table = f"tables: {{orders: {{url: {tmp_path}/shop.duckdb, unit: who, time: seen_at}}}}\n"
    spent = "metrics: {spent: {kind: mean, table: orders, value: usd, window: 7d, covariate: 14d}}"
    asked = replace(wanted(kept, "spent"), definitions=metrics_from_yaml(table + spent))
    found, events = history(asked), history(wanted(kept, "spent"))
    assert (found.units, found.since, found.window) == (events.units, events.since, events.window)
    for name in ("baseline", "std", "r_squared"):
        assert getattr(found, name) == pytest.approx(getattr(events, name), rel=1e-12)
    assert own_aa(asked, splits=100).units == own_aa(wanted(kept, "spent"), splits=100).units
