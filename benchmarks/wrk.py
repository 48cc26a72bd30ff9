"""`upshot serve` on a core of its own, and wrk that asks it from another: what the benchmarks over HTTP share."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEY = "a-key-for-the-benchmark"
DONE = """
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\\n{"requests": %d, "microseconds": %d, "failed": %d, "median": %d, "p99": %d}\\n',
    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
"""
"""What a script of wrk ends with: its figures as one line of JSON."""


@contextmanager
def server(flags: Path, data: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server whose threads are all held to one core, and its address."""
    environment = os.environ | {"UPSHOT_SERVER_KEY": KEY, "UPSHOT_CLIENT_KEY": f"{KEY}-of-clients"}
    command = [sys.executable, "-m", "upshot", "serve", "--port", "0", "--json", *options]
    command += ["--flags", str(flags), "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            first = min(os.sched_getaffinity(0))
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {first})
            yield process, url
        finally:
            process.terminate()


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """CPU time of a process so far, its threads and the system on its behalf."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def settle(process: subprocess.Popen[str], patience: float = 60.0) -> None:
    """Wait until a server that has just started is done with what it does beside its answers."""
    until, before = time.monotonic() + patience, cpu_seconds(process)
    while time.monotonic() < until:
        time.sleep(2)
        now = cpu_seconds(process)
        if now - before < 0.1:
            return
        before = now


def asked(
    process: subprocess.Popen[str], url: str, script: Path, connections: int, seconds: int
) -> tuple[dict[str, float], float]:
    """What wrk counted in some seconds, and the server's CPU seconds for it."""
    before = cpu_seconds(process)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    spent = cpu_seconds(process) - before
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["failed"] == 0, done.stdout
    return found, spent
