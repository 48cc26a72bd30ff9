"""What a look at events costs: from nothing, beside one query a metric over string ids, and after one more day.

    python -m benchmarks.live            20 million events of 1 million units
    python -m benchmarks.live --small    1 million events of 50,000 units

A shop is written as compaction and merging would have left it, looked at, and goes on for the last of 14 days. Then, in
rounds, the whole of it is looked at from nothing and after that day alone, and asked by hand-written SQL (`live_sql`),
in one process and in turn: ratios are medians of the rounds' own ratios. All of them must give the same numbers.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.live_shop import BEGIN, DAYS, EXPERIMENT, PAST, Shop
from benchmarks.live_sql import Numbers, plain_numbers
from upshot.analysis.evidence import Evidence, Sample
from upshot.events.layout import DataDirectory
from upshot.events.reader import connect
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.services.live_evidence import live_evidence, met

Found = TypeVar("Found")
GOAL_PLAIN, GOAL_REFRESH = 7.0, 0.2
TOLERANCE = 1e-9
METRICS = metrics_from_yaml(
    """
    metrics:
      converted: {kind: proportion, event: Order Completed, window: 7d, covariate: 7d}
      revenue: {kind: mean, event: Order Completed, value: usd, window: 7d, covariate: 7d}
      clicks: {kind: count, event: Click, window: 7d, covariate: 7d}
      searches: {kind: count, event: Search, window: 7d, covariate: 7d}
      duration: {kind: mean, event: Session Ended, value: seconds, window: 7d, covariate: 7d}
      errors: {kind: ratio, event: Error, denominator: {event: Page Viewed}, window: 7d, covariate: 7d, better: lower}
      shared: {kind: proportion, event: Shared, window: 7d, covariate: 7d}
      premium: {kind: count, event: Saved, where: {attr: plan, op: eq, value: pro}, window: 7d, covariate: 7d}
    """
)
PLAN = Plan(
    metrics=tuple(
        Metric(name=name, column=name, role="primary" if name == "converted" else "secondary")
        for name in METRICS
    ),
    split={"control": 1.0, "treatment": 1.0},
)
ENDS = [BEGIN + timedelta(days=PAST + day) for day in range(DAYS + 1)]
"""When each day of exposures is over."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall time, and of all threads on the CPU."""

    wall: float
    cpu: float


Round = Mapping[str, Cost]
WHAT = {
    "plain": "one query a metric over string ids, by hand",
    "once": "the same, exposures read once for all of them",
    "first": "a look from nothing, which makes the totals",
    "afresh": "a look that keeps no totals",
    "refresh": f"a look after the last of {DAYS} days",
    "again": "a look when nothing is new",
}


def look(directory: Path, as_of: datetime, *, afresh: bool = False) -> Evidence:
    """The evidence of a look."""
    with met(directory, EXPERIMENT, as_of, afresh=afresh) as found:
        return live_evidence(found, PLAN, METRICS, found.newest)


def plain(directory: Path, *, once: bool = False) -> dict[str, dict[str, Numbers]]:
    """The same by hand-written SQL."""
    with connect(directory) as database:
        return plain_numbers(database, ENDS[DAYS], once=once)


def timed(name: str, action: Callable[[], Found]) -> tuple[Cost, Found]:
    """What it cost, which is told at once, and what came of it."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = action()
    cost = Cost(time.perf_counter() - wall, time.process_time() - cpu)
    print(f"{WHAT[name]}: {cost.wall:.1f} s, {cost.cpu:.1f} s of the CPU", file=sys.stderr, flush=True)
    return cost, found


def make(shop: Shop, folder: Path) -> tuple[DataDirectory, Path]:
    """A data directory with all that happened, and the totals that were kept when the last day but one was over."""
    place, before = DataDirectory(folder / "data"), folder / "before"
    shop.open(place)
    for day in range(PAST + DAYS - 1):
        shop.pass_day(place, day)
    look(place.path, ENDS[DAYS - 1])
    shutil.copytree(place.derived, before)
    shop.pass_day(place, PAST + DAYS - 1)
    return place, before


def one_round(place: DataDirectory, before: Path) -> Round:
    """Each once, checked against the plain SQL.

    Args:
        before: totals as they were when the day before the last was over.
    """
    end = ENDS[DAYS]
    costs: dict[str, Cost] = {}
    costs["plain"], numbers = timed("plain", lambda: plain(place.path))
    costs["once"], _ = timed("once", lambda: plain(place.path, once=True))
    costs["afresh"], whole = timed("afresh", lambda: look(place.path, end, afresh=True))
    shutil.rmtree(place.derived)
    costs["first"], made = timed("first", lambda: look(place.path, end))
    shutil.rmtree(place.derived)
    shutil.copytree(before, place.derived)
    costs["refresh"], advanced = timed("refresh", lambda: look(place.path, end))
    costs["again"], same = timed("again", lambda: look(place.path, end))
    for evidence in (whole, made, advanced, same):
        check(evidence, numbers)
    return costs


def check(evidence: Evidence, numbers: dict[str, dict[str, Numbers]]) -> None:
    """Whether evidence holds the numbers of the plain SQL, or the race means nothing.

    Raises:
        AssertionError: it does not.
    """
    for name, by_variant in numbers.items():
        for variant, wanted in by_variant.items():
            _check(evidence.total.samples[name][variant], wanted, f"{name} of {variant}")


def _check(sample: Sample, wanted: Numbers, what: str) -> None:
    moments = sample.moments
    assert moments.n == wanted.units, f"{what}: {moments.n} units, and {wanted.units} by plain SQL"
    deviations = np.sqrt(np.diag(wanted.covariances))
    np.testing.assert_allclose(moments.means, wanted.means, rtol=TOLERANCE, err_msg=what)
    differences = (moments.cross / (moments.n - 1) - wanted.covariances) / np.outer(deviations, deviations)
    np.testing.assert_allclose(differences, 0, atol=TOLERANCE, err_msg=what)


def ratio(rounds: Sequence[Round], above: str, below: str) -> float:
    """The median of the rounds' own ratios, of the CPU: wall time is also that of who else works."""
    return statistics.median(one[above].cpu / one[below].cpu for one in rounds)


def tell(shop: Shop, rounds: Sequence[Round]) -> None:
    """A table of what was measured."""
    print(f"{shop.events:,} events, {shop.units:,} units, {len(METRICS)} metrics, {len(rounds)} rounds\n")
    print("| what | seconds | CPU seconds | CPU, times the look from nothing |\n|---|---|---|---|")
    for name, what in WHAT.items():
        wall = statistics.median(one[name].wall for one in rounds)
        cpu = statistics.median(one[name].cpu for one in rounds)
        print(f"| {what} | {wall:.1f} | {cpu:.1f} | {ratio(rounds, name, 'first'):.2f} |")


def main() -> int:
    """Measure; numbers that differ are an error, goals that are missed are told."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="1 million events of 50,000 units")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    shop = Shop(1_000_000, 50_000) if asked.small else Shop(20_000_000, 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        place, before = make(shop, Path(folder))
        rounds = [one_round(place, before) for _ in range(asked.rounds)]
        kept = sum(path.stat().st_size for path in place.derived.iterdir())
        log = sum(path.stat().st_size for path in place.events.iterdir())
    tell(shop, rounds)
    print(f"\nTotals take {kept / 1e6:,.0f} MB beside {log / 1e6:,.0f} MB of events.")
    faster, refreshed = ratio(rounds, "plain", "first"), ratio(rounds, "refresh", "first")
    print(
        f"From nothing {faster:.1f} times as fast as by plain SQL (goal {GOAL_PLAIN:g}); after one more day"
    )
    print(
        f"{refreshed:.0%} of the look from nothing (goal {GOAL_REFRESH:.0%}); all numbers the same to {TOLERANCE:g}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
