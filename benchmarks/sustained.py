"""Events for minutes on end, compaction and a dashboard's query beside them: how far is what can be seen behind?

A sender keeps to a rate whatever the answers take. Beside it two lags are taken again and again: the age of the oldest
segment that is in no file yet (an event is as old at most), and how old the newest event is that a query over the
views has just told, the time that the query took included.
"""

import http.client
import json
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.wrk import KEY, server
from upshot.errors import UnavailableError
from upshot.events.layout import DataDirectory
from upshot.events.manifest import open_manifest
from upshot.events.reader import connect
from upshot.events.segment import open_segments, sealed_segments

PROMISE = 90.0
"""Seconds."""
BATCH = 100
PAUSE = 15.0
"""Seconds from the end of a query to the next."""
QUERY = """
SELECT date_trunc('minute', received_at) AS minute, event, count(*), count(DISTINCT unit),
    avg(TRY_CAST(json_extract_string(properties, 'value') AS DOUBLE))
FROM events GROUP BY ALL ORDER BY 1, 2
"""
"""What a dashboard shows of the events so far."""


@dataclass(slots=True)
class Sustained:
    """What was seen: events sent and answered, seconds of each answer, and the lags."""

    minutes: float
    rate: int
    answered: int = 0
    kept: int = 0
    late: int = 0
    seconds: list[float] = field(default_factory=list)
    in_files: list[float] = field(default_factory=list)
    in_views: list[float] = field(default_factory=list)
    queries: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, and no lag was as long as promised."""
        seen = bool(self.in_files and self.in_views)
        return seen and self.kept == self.answered and max(self.in_files + self.in_views) < PROMISE

    def told(self) -> str:
        """In lines of Markdown."""
        wanted = os.getloadavg()[1]
        lines = (
            f"{self.minutes:g} minutes at {self.rate:,} events a second (batches of {BATCH}), compaction and a query",
            f"  over all events beside it; {wanted:.0f} processes wanted the {os.cpu_count()} cores",
            f"{self.answered:,} answered, {self.kept:,} in the end; {self.late:,} batches begun a second late or more",
            f"answers, ms: {_of(self.seconds, 1e3)}",
            f"lag until in Parquet, s: {_of(self.in_files)} (promised: below {PROMISE:.0f})",
            f"lag until in the views, with the query, s: {_of(self.in_views)} (promised: below {PROMISE:.0f})",
            f"{len(self.queries)} queries, s: {_of(self.queries)}; {self.refused} refused, since too much waited",
        )
        return "\n".join(line if line.startswith(" ") else f"- {line}" for line in lines)


def _of(values: list[float], factor: float = 1.0) -> str:
    if not values:
        return "none"
    ordered = [value * factor for value in sorted(values)]
    p99 = ordered[int(len(ordered) * 0.99)]
    return f"median {statistics.median(ordered):.1f}, p99 {p99:.1f}, most {ordered[-1]:.1f}"


def measure(minutes: float, rate: int, where: Path | None = None) -> Sustained:
    """Send for so many minutes at so many events a second, and watch."""
    found = Sustained(minutes, rate)
    with TemporaryDirectory(dir=where) as name:
        folder, flags = Path(name) / "data", Path(name) / "flags"
        flags.mkdir()
        ending = threading.Event()
        with server(flags, folder) as (_, url):
            watching = [
                threading.Thread(target=watch, args=(folder, found, ending)) for watch in (_files, _views)
            ]
            for thread in watching:
                thread.start()
            _send(url, found, time.monotonic() + 60 * minutes)
            ending.set()
            for thread in watching:
                thread.join()
        with connect(folder) as database:
            (found.kept,) = database.execute("SELECT count(*) FROM events").fetchone() or (0,)
    return found


def _send(url: str, found: Sustained, until: float) -> None:
    """Batches at their time, by as many connections as it takes."""
    numbers = _times(found.rate, until)
    alone = threading.Lock()

    def work() -> None:
        with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
            while True:
                with alone:
                    number, at = next(numbers, (0, 0.0))
                if not at:
                    return
                time.sleep(max(at - time.monotonic(), 0.0))
                began = time.monotonic()
                connection.request("POST", "/v1/batch", _batch(number), {"X-API-Key": KEY})
                accepted = json.loads(connection.getresponse().read())["accepted"]
                with alone:
                    found.answered += accepted
                    found.late += began - at > 1.0
                    found.seconds.append(time.monotonic() - began)

    senders = [threading.Thread(target=work) for _ in range(8)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


def _times(rate: int, until: float) -> Iterator[tuple[int, float]]:
    begin, number = time.monotonic(), 0
    while (at := begin + number * BATCH / rate) < until:
        yield number, at
        number += 1


def _batch(number: int) -> bytes:
    events = [
        {
            "type": "track",
            "event": ("Purchase", "View")[index % 2],
            "userId": f"user-{(number * BATCH + index) * 7919 % 1_000_000}",
            "messageId": f"m-{number}-{index}",
            "properties": {"value": index / 8, "currency": "EUR", "items": 3},
            "context": {"library": {"name": "benchmark", "version": "1"}},
        }
        for index in range(BATCH)
    ]
    return json.dumps({"batch": events}).encode()


def _files(folder: Path, found: Sustained, ending: threading.Event) -> None:
    """How old the oldest event can be that is in no file."""
    place = DataDirectory(folder)
    while not ending.wait(1.0):
        with open_manifest(place.manifest) as manifest:
            compacted = manifest.segments()
        waiting = [
            path
            for path in (*sealed_segments(place.log), *open_segments(place.log))
            if path.name not in compacted
        ]
        if waiting:
            begun = min(int(path.name.partition("-")[0]) for path in waiting) / 1e9
            found.in_files.append(time.time() - begun)


def _views(folder: Path, found: Sustained, ending: threading.Event) -> None:
    """How old the newest event is that a query tells, when it has told it."""
    while not ending.wait(PAUSE):
        began = time.monotonic()
        try:
            with connect(folder, threads=1) as database:
                database.execute(QUERY).fetchall()
                (newest,) = database.execute("SELECT epoch_us(max(received_at)) FROM events").fetchone() or (
                    None,
                )
        except UnavailableError:
            found.refused += 1
            continue
        found.queries.append(time.monotonic() - began)
        if newest is not None:
            found.in_views.append(time.time() - newest / 1e6)
