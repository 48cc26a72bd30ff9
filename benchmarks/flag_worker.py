"""One flag engine in one process, asked by `benchmarks.flags`: python -m benchmarks.flag_worker PEER SCENARIO.

It says what import and loading cost, then answers each line "N" with the CPU seconds of N evaluations.
"""

import importlib
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.flag_peers import OTHERWISE, PEERS, Evaluate

SCENARIOS = {"plain 50/50": (1, False), "three conditions": (1, True), "1,000 flags loaded": (1_000, True)}


def megabytes() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measured(work: Callable[[], object]) -> tuple[object, float, float]:
    """What some work gives, the CPU milliseconds it takes (all threads) and the megabytes it leaves."""
    memory, start = megabytes(), time.process_time()
    result = work()
    return result, (time.process_time() - start) * 1_000, megabytes() - memory


def check(evaluate: Evaluate, key: str, conditions: bool) -> None:
    """The peer answers the question: about half get each variant, and nobody outside of the conditions."""
    inside = [
        evaluate(key, f"user-{unit}", {"country": "CA", "age": 30, "plan": "pro"}) for unit in range(2_000)
    ]
    assert set(inside) == {"a", "b"}
    assert 900 < inside.count("b") < 1_100
    outside = {evaluate(key, "user-1", {"country": "CA", "age": 17, "plan": "pro"})}
    assert outside == {OTHERWISE} or not conditions, outside


def main() -> None:
    name, scenario = sys.argv[1:]
    peer, (flags, conditions) = PEERS[name], SCENARIOS[scenario]
    logging.disable(logging.CRITICAL)
    said = os.dup(1)  # engines that print do not disturb the protocol
    os.dup2(2, 1)
    keys = [f"flag-{number}" for number in range(flags)]
    text = json.dumps(peer.configure(keys, conditions))
    _, import_ms, import_mb = measured(lambda: importlib.import_module(peer.module))
    evaluate, load_ms, load_mb = measured(lambda: peer.load(text))
    key = keys[flags // 2]
    check(evaluate, key, conditions)
    cost = {"import_ms": import_ms, "import_mb": import_mb, "load_ms": load_ms, "load_mb": load_mb}
    os.write(said, (json.dumps(cost) + "\n").encode())
    units = [f"user-{unit}" for unit in range(1_000)]
    for line in sys.stdin:
        asked = [units[number % 1_000] for number in range(int(line))]
        attributes = {"country": "CA", "age": 30, "plan": "pro"} if conditions else {}
        start = time.thread_time()
        for unit in asked:
            evaluate(key, unit, attributes)
        os.write(said, f"{time.thread_time() - start}\n".encode())
    os._exit(0)  # engines with threads of their own need not be asked to stop


if __name__ == "__main__":
    main()
