"""What evaluations over HTTP cost: python -m benchmarks.ofrep.

`upshot serve` runs as its users run it, with 1,000 flags, in a process that is held to one core; wrk asks it from
another. Bulk answers are timed one after another on one connection. What a second of the wall clock gives depends on
what else the machine does, so the promise is about CPU time. Writes benchmarks/flags.md with --write; fails where
the promise is broken.
"""

import argparse
import http.client
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.wrk import DONE, KEY, asked, cpu_seconds, server, settle

DOCUMENT = Path(__file__).parent / "flags.md"
FIRST, LAST = "<!-- figures: python -m benchmarks.ofrep --write -->", "<!-- end -->"
FLAGS = 1_000
PROMISED = 5_000  # single evaluations for a second of one core's time
ROUNDS, SECONDS = 5, 3
PATH = "/ofrep/v1/evaluate/flags"
CONTEXT = {"targetingKey": "user-1", "country": "CA", "age": 30, "plan": "pro", "browser": "Firefox"}

SCRIPT = """
local unit = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
function request()
  unit = unit + 1
  local body = '{{"context":{{"targetingKey":"user-' .. unit .. '","country":"CA","age":30,"plan":"pro"}}}}'
  return wrk.format(nil, nil, nil, body)
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A few seconds of requests: how many a second, at what latency, for how much of the server's CPU."""

    per_second: float
    median_ms: float
    p99_ms: float
    cpu_us: float


def flags() -> dict[str, object]:
    """A third constant, a third split in halves, a third split behind three conditions."""
    split = {"split": {"a": 1, "b": 1}}
    conditions = [
        {"attr": "country", "op": "in", "value": ["CA", "US", "MX"]},
        {"attr": "age", "op": "gte", "value": 18},
        {"attr": "plan", "op": "eq", "value": "pro"},
    ]
    kinds: list[dict[str, object]] = [
        {},
        {"rules": [{"id": "exp", "experiment": split}]},
        {"rules": [{"id": "exp", "when": {"all": conditions}, "experiment": split}]},
    ]
    made: dict[str, object] = {}
    for number in range(FLAGS):
        flag = json.loads(json.dumps(kinds[number % 3]))
        for rule in flag.get("rules", ()):
            rule["experiment"]["id"] = f"EXP-{number}"
        made[f"flag-{number}"] = {"type": "string", "variants": {"a": "A", "b": "B"}, "default": "a", **flag}
    return {"flags": made}


def load(process: subprocess.Popen[str], url: str, script: Path) -> Load:
    """Ask for one flag over 16 connections for some seconds."""
    found, spent = asked(process, url, script, 16, SECONDS)
    return Load(
        per_second=found["requests"] / found["microseconds"] * 1e6,
        median_ms=found["median"] / 1_000,
        p99_ms=found["p99"] / 1_000,
        cpu_us=spent / found["requests"] * 1e6,
    )


def bulk(process: subprocess.Popen[str], url: str, *, known: bool) -> tuple[float, float, float]:
    """Milliseconds of an answer with all flags, of the server's CPU for it, and its kilobytes.

    Args:
        process, url: the server.
        known: the caller has these answers already, which is said with 304.
    """
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    times, size = [], 0
    for _ in range(10):
        ask(connection, headers)
    before = cpu_seconds(process)
    for number in range(300):
        if known:
            headers["If-None-Match"] = (
                ask(connection, headers)[1] if number == 0 else headers["If-None-Match"]
            )
        start = time.perf_counter()
        body, _, status = ask(connection, headers)
        times.append(time.perf_counter() - start)
        assert status == (304 if known else 200)
        size = len(body)
    spent = cpu_seconds(process) - before
    connection.close()
    return statistics.median(times) * 1_000, spent / len(times) * 1_000, size / 1_000


def ask(connection: http.client.HTTPConnection, headers: dict[str, str]) -> tuple[bytes, str, int]:
    """A bulk answer with its tag and status."""
    connection.request("POST", PATH, json.dumps({"context": CONTEXT}), headers)
    answer = connection.getresponse()
    return answer.read(), answer.getheader("etag", ""), answer.status


def measure() -> tuple[str, bool]:
    """The table, and whether the promise is broken."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "wrk.lua"
        script.write_text(SCRIPT.format(key=KEY) + DONE, encoding="utf-8")
        directory = Path(folder) / "flags"
        directory.mkdir()
        (directory / "flags.json").write_text(json.dumps(flags()), encoding="utf-8")
        with server(directory, Path(folder) / "data") as (process, url):
            settle(process)
            singles = {
                name: [load(process, f"{url}{PATH}/flag-{number}", script) for _ in range(ROUNDS)]
                for name, number in {"constant": 0, "plain 50/50": 1, "three conditions, 50/50": 2}.items()
            }
            whole, known = bulk(process, url, known=False), bulk(process, url, known=True)
    lines = ["| one flag | a second | latency, median / p99, ms | CPU, µs |", "|---|---|---|---|"]
    lines += [row(name, rounds) for name, rounds in singles.items()]
    lines += ["", f"| all {FLAGS:,} flags | ms | CPU, ms | kB |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {took:.1f} | {cpu:.1f} | {size:.0f} |"
        for name, (took, cpu, size) in {"200": whole, "304, the same context again": known}.items()
    ]
    slowest = min(1e6 / statistics.median(one.cpu_us for one in rounds) for rounds in singles.values())
    lines += [
        "",
        f"- {slowest:,.0f} evaluations for a second of a core's time (at least {PROMISED:,} are promised)",
    ]
    busy = f"{os.getloadavg()[1]:.1f} processes wanted them"
    machine = (
        f"CPython {platform.python_version()}, {os.cpu_count()} virtual cores ({busy}), {platform.machine()}"
    )
    how = f"{machine}; medians of {ROUNDS} rounds of {SECONDS} s by wrk over 16 connections, best round in brackets."
    return how + "\n\n" + "\n".join(lines), slowest < PROMISED


def row(name: str, rounds: list[Load]) -> str:
    """The medians of some rounds."""
    rates = [one.per_second for one in rounds]
    median, p99, cpu = (
        statistics.median(getattr(one, what) for one in rounds) for what in ("median_ms", "p99_ms", "cpu_us")
    )
    return f"| {name} | {statistics.median(rates):,.0f} ({max(rates):,.0f}) | {median:.1f} / {p99:.1f} | {cpu:.0f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="replace the figures in benchmarks/flags.md")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk, which asks the server, is not installed: it is Debian's package of that name")
    text, broken = measure()
    print(text)
    if given.write:
        before, _, after = DOCUMENT.read_text("utf-8").partition(FIRST)
        DOCUMENT.write_text(f"{before}{FIRST}\n\n{text}\n\n{LAST}{after.partition(LAST)[2]}", "utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
