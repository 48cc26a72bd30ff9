"""What is counted is what is there."""

import time

from upshot.events.compaction import compact
from upshot.events.stock import SourceStock, take_stock

NOON = 1_772_366_400_000_000


def test_nothing_is_nothing(kept):
    stock = take_stock(kept.path)
    assert (stock.events, stock.files, stock.segments, stock.lag, stock.rejected) == (0, 0, 0, 0.0, 0)
    assert stock.free_bytes > 0


def test_events_are_counted_by_source_wherever_they_are(kept, message):
    kept.accept(message(1), message(1), {"type": "track", "event": "E", "userId": "u"}, {"type": "track"})
    compact(kept.path)
    kept.accept(message(2), received=NOON + 7)
    waiting = kept.accept(message(3), source="app", received=NOON + 9)
    waiting.rename(waiting.with_name(f"{time.time_ns() - 90 * 10**9:020}-1-a.seg"))
    stock = take_stock(kept.path)
    assert stock.sources == {
        "app": SourceStock(events=1, without_id=0, first=NOON + 9, last=NOON + 9),
        "web": SourceStock(events=3, without_id=1, first=NOON, last=NOON + 7),
    }
    assert (stock.events, stock.files, stock.segments, stock.rejected) == (4, 1, 2, 1)
    assert stock.lag > 90
    assert stock.tally == {"duplicates": 1, "events": 2, "rejected": 1, "segments": 1}
