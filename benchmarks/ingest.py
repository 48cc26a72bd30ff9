"""How many events a second come to be on the disk: python -m benchmarks.ingest.

`upshot serve` runs as its users run it, held to one core; wrk sends batches of 1, 20 and 100 events from another, each
event with an id of its own, and each answer comes after the sync of its group. Beside it, in the same run, SQLite with
synchronous=FULL takes the same events, one transaction a request. What a second of the wall clock gives depends on
what else the machine does and on its disk, so events are told for a second of CPU time as well. Afterwards the log is
read: every event that was answered must be in it. Writes benchmarks/ingest.md with --write.

--sustained MINUTES sends at a --rate instead, with compaction and a query beside it, and says how far behind it is what
can be seen (`benchmarks.sustained`).
"""

import argparse
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks import sustained
from benchmarks.wrk import DONE, KEY, asked, server, settle
from upshot.events.frame import Frame, decode
from upshot.events.message import read_batch

DOCUMENT = Path(__file__).parent / "ingest.md"
FIRST, LAST = "<!-- figures: python -m benchmarks.ingest --write -->", "<!-- end -->"
SIZES = (1, 20, 100)
GOALS = {1: 8_000, 20: 60_000, 100: 80_000}  # events a second, on a quiet machine
CONNECTIONS = {1: 64, 20: 32, 100: 16}
ROUNDS, SECONDS = 3, 4

EVENT = (
    '{{"type":"track","event":"Purchase","userId":"user-{unit}","messageId":"{id}",'
    '"timestamp":"2026-03-01T12:00:00.000Z","properties":{{"value":12.5,"currency":"EUR","items":3}},'
    '"context":{{"library":{{"name":"benchmark","version":"1"}},"groupId":"acme"}}}}'
)
SCRIPT = """
local number = 0
wrk.method = "POST"
wrk.path = "/v1/batch"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
function request()
  local events = {{}}
  for i = 1, {size} do
    number = number + 1
    events[i] = '{before}' .. number % 100000 .. '{between}{round}-' .. number .. '{after}'
  end
  return wrk.format(nil, nil, nil, '{{"batch":[' .. table.concat(events, ",") .. ']}}')
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A few seconds of events: how many a second, for a second of CPU, and at what latency of a request."""

    per_second: float
    per_cpu_second: float
    median_ms: float
    p99_ms: float


def script(size: int, name: str) -> str:
    """What wrk runs to make batches of this size whose events have ids of their own."""
    before, between, after = EVENT.format(unit="|", id="|").split("|")
    return SCRIPT.format(key=KEY, size=size, round=name, before=before, between=between, after=after) + DONE


def load(process: subprocess.Popen[str], url: str, size: int, name: str, folder: Path) -> tuple[Load, int]:
    """Send batches for some seconds; what that gave, and how many events were answered."""
    path = folder / "wrk.lua"
    path.write_text(script(size, name), encoding="utf-8")
    found, spent = asked(process, url, path, CONNECTIONS[size], SECONDS)
    events = found["requests"] * size
    answered = Load(
        per_second=events / found["microseconds"] * 1e6,
        per_cpu_second=events / spent,
        median_ms=found["median"] / 1_000,
        p99_ms=found["p99"] / 1_000,
    )
    return answered, events


def in_log(folder: Path) -> int:
    """Events in the log, each once."""
    found = set()
    for path in (folder / "data" / "log").iterdir():
        for item in decode(path.read_bytes()):
            assert isinstance(item, Frame), "bytes that are no frame"
            events, rejections = read_batch(item)
            assert not rejections
            found.update(event.message_id for event in events)
    return len(found)


def sqlite(size: int, folder: Path) -> Load:
    """SQLite in WAL mode with synchronous=FULL: a transaction for each batch, ids unique."""
    with closing(sqlite3.connect(folder / f"{size}-{time.time_ns()}.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(
            "CREATE TABLE event (source, id, received, body, PRIMARY KEY (source, id)) WITHOUT ROWID"
        )
        times, events = [], 0
        cpu, began = time.process_time(), time.perf_counter()
        while (now := time.perf_counter()) < began + SECONDS:
            rows = [
                ("server", f"m-{events + index}", now, EVENT.format(unit=index, id=events + index))
                for index in range(size)
            ]
            database.execute("BEGIN")
            database.executemany("INSERT INTO event VALUES (?, ?, ?, ?)", rows)
            database.execute("COMMIT")
            times.append(time.perf_counter() - now)
            events += size
        spent = time.process_time() - cpu
        took = time.perf_counter() - began
    times.sort()
    return Load(
        per_second=events / took,
        per_cpu_second=events / spent,
        median_ms=statistics.median(times) * 1e3,
        p99_ms=times[int(len(times) * 0.99)] * 1e3,
    )


def sync_ms(folder: Path) -> float:
    """The median milliseconds that one sync of 4 KB takes on this disk."""
    times = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(bytes(4_096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def measure(where: Path | None) -> tuple[str, bool]:
    """The table, and whether an answered event is missing."""
    answered = 0
    rounds: dict[int, list[Load]] = {size: [] for size in SIZES}
    others: dict[int, list[Load]] = {size: [] for size in SIZES}
    with tempfile.TemporaryDirectory(dir=where) as name:
        folder = Path(name)
        sync = sync_ms(folder)
        flags = folder / "flags"
        flags.mkdir()
        with server(flags, folder / "data", "--compact-every", "0") as (process, url):
            settle(process)
            for number in range(ROUNDS):
                for size in SIZES:
                    done, events = load(process, url, size, f"{size}-{number}", folder)
                    rounds[size].append(done)
                    answered += events
                    others[size].append(sqlite(size, folder))
        kept = in_log(folder)
    lines = [
        "| events a request | a second | of CPU time | request, median / p99, ms | SQLite FULL | of CPU time |",
        "|---|---|---|---|---|---|",
    ]
    lines += [row(size, rounds[size], others[size]) for size in SIZES]
    goals = ", ".join(f"{goal:,} at {size}" for size, goal in GOALS.items())
    busy = f"{os.getloadavg()[1]:.1f} processes wanted them"
    machine = (
        f"CPython {platform.python_version()}, {os.cpu_count()} virtual cores ({busy}), {platform.machine()}"
    )
    head = (
        f"{machine}; a sync of this disk takes {sync:.2f} ms. Medians of {ROUNDS} rounds of {SECONDS} s, best round in "
        f"brackets; the goals are for a quiet machine: {goals} events a second."
    )
    tail = f"- {answered:,} events were answered, and {kept:,} were in the log afterwards (those on their way included)"
    return "\n".join([head, "", *lines, "", tail]), kept < answered


def row(size: int, rounds: list[Load], others: list[Load]) -> str:
    """The medians of some rounds."""

    def median(loads: list[Load], what: str) -> float:
        return statistics.median(getattr(one, what) for one in loads)

    best = max(one.per_second for one in rounds)
    return (
        f"| {size} | {median(rounds, 'per_second'):,.0f} ({best:,.0f}) | {median(rounds, 'per_cpu_second'):,.0f} "
        f"| {median(rounds, 'median_ms'):.1f} / {median(rounds, 'p99_ms'):.1f} "
        f"| {median(others, 'per_second'):,.0f} | {median(others, 'per_cpu_second'):,.0f} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="replace the figures in benchmarks/ingest.md")
    parser.add_argument("--at", type=Path, help="a folder on the disk to measure; a temporary one by default")
    parser.add_argument(
        "--sustained", type=float, metavar="MINUTES", help="send for so long at a rate instead"
    )
    parser.add_argument("--rate", type=int, default=2_000, help="events a second of --sustained [2,000]")
    given = parser.parse_args()
    if given.sustained:
        found = sustained.measure(given.sustained, given.rate, given.at)
        print(found.told())
        return 0 if found.holds else 1
    if shutil.which("wrk") is None:
        raise SystemExit("wrk, which sends the events, is not installed: it is Debian's package of that name")
    text, lost = measure(given.at)
    print(text)
    if given.write:
        before, _, after = DOCUMENT.read_text("utf-8").partition(FIRST)
        DOCUMENT.write_text(f"{before}{FIRST}\n\n{text}\n\n{LAST}{after.partition(LAST)[2]}", "utf-8")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
