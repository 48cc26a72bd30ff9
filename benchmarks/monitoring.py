"""How often monitoring kills a harmless rollout, and how soon it finds one that harms.

    python -m benchmarks.monitoring                 10,000 worlds of each kind without harm, 1,000 with harm
    python -m benchmarks.monitoring --worlds 500    quickly

World i of a kind draws from the generator of (seed of the kind, i). A world is looked at after each 25 units of the
rolled out variant, until it is called harmed or has 5,000 (20,000 where it
harms); units of the ramp come back, and are looked at once an hour.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from upshot.analysis.rollout import Counts, Seen, Subject, watch
from upshot.model.flag import Monitoring
from upshot.services.rollout_tally import Met, Tally

OUT = Path(__file__).with_suffix(".md")
UNITS, LONG, EVERY = 5_000, 20_000, 25
ERRORS = Subject(flag="f", limits=Monitoring(error_threshold=0.01), variants=("on",), control=None)
COMPARED = Subject(flag="f", limits=Monitoring(error_threshold=0.01), variants=("on",), control="off")
LATENCY = Subject(flag="f", limits=Monitoring(latency_threshold=200), variants=("on",), control=None)
BOTH = Subject(
    flag="f", limits=Monitoring(error_threshold=0.01, latency_threshold=200), variants=("on",), control="off"
)
MOST = 0.01
ABOUT = """# Monitoring of rollouts

Made by `python -m benchmarks.monitoring`. Each world is looked at after every 25 units of the rolled out variant; at
most 1% of harmless ones may ever be called harmed, with 3.5 standard errors of the simulation for chance. A delay is in
units of that variant: at 1,000 units an hour, 500 units are half an hour.
"""

Looks = Iterator[tuple[int, dict[str, Seen]]]
Draw = Callable[[np.random.Generator], Looks]


@dataclass(frozen=True, slots=True)
class Kind:
    """Worlds of one truth: how units and looks come about, and whether the rollout harms."""

    name: str
    subject: Subject
    draw: Draw
    seed: int
    harms: bool = False


def _seen(counts: Counts) -> Seen:
    return Seen(now=counts, first=counts)


def errors(on: float, off: float | None = None, share: float = 0.5, units: int = UNITS) -> Draw:
    """Units that fail with these shares; ``share`` of all units get the variant."""

    def draw(rng: np.random.Generator) -> Looks:
        failed = np.cumsum(rng.binomial(EVERY, on, units // EVERY))
        others = round(EVERY * (1 - share) / share)
        rest = None if off is None else np.cumsum(rng.binomial(others, off, units // EVERY))
        for look, many in enumerate(failed, 1):
            seen = {"on": _seen(Counts(units=look * EVERY, failed=int(many)))}
            if rest is not None:
                seen["off"] = _seen(Counts(units=look * others, failed=int(rest[look - 1])))
            yield look * EVERY, seen

    return draw


def _requests(rng: np.random.Generator, slow: float, units: int) -> np.ndarray:
    """Cumulated sums of units with 1 to many requests, each unit with a slowness of its own."""
    n = 1 + rng.negative_binomial(1, 0.2, units)
    k = rng.binomial(n, rng.beta(2 * slow, 2 * (1 - slow), units))
    return np.cumsum(np.column_stack([np.ones(units, int), n, k, n * n, k * k, n * k]), axis=0)


def _slow(row: np.ndarray) -> Counts:
    m, n, k, n2, k2, nk = (int(value) for value in row)
    return Counts(units=m, requests=n, slow=k, requests_squared=n2, slow_squared=k2, slow_requests=nk)


def latency(on: float, off: float | None = None) -> Draw:
    """Requests that are slow with these shares, clustered in units: the design effect is about 4."""

    def draw(rng: np.random.Generator) -> Looks:
        rows = _requests(rng, on, UNITS)
        others = None if off is None else _requests(rng, off, UNITS)
        for end in range(EVERY, UNITS + 1, EVERY):
            seen = {"on": _seen(_slow(rows[end - 1]))}
            if others is not None:
                seen["off"] = _seen(_slow(others[end - 1]))
            yield end, seen

    return draw


def ramp(on: float, off: float) -> Draw:
    """2,000 people who come back as often as they like to, 1% of them with the variant, then 25%, then all.

    Each visit fails with a chance that differs by person, so those who come back are not as those who come once.
    """

    def draw(rng: np.random.Generator) -> Looks:
        people = 2_000
        place, busy = rng.random(people), rng.gamma(0.5, 2.0, people)
        chance = rng.beta(0.5, 0.5 * (1 / off - 1), people)
        tally = Tally(COMPARED)
        for hour in range(72):
            share = (0.01, 0.25, 1.0)[hour // 24]
            for person in np.flatnonzero(rng.random(people) < 1 - np.exp(-0.1 * busy)).tolist():
                variant = "on" if place[person] < share else "off"
                tally.meet(str(person), Met(flag="f", variant=variant, round=1, drawn=True), hour)
                factor = on / off if variant == "on" else 1.0
                tally.happen(str(person), hour, bool(rng.random() < chance[person] * factor), None)
            yield hour, tally.seen()

    return draw


KINDS = (
    Kind("errors at the limit of 1%, no control", ERRORS, errors(0.01), 1),
    Kind("errors of 3% in both, half and half", COMPARED, errors(0.03, 0.03), 2),
    Kind("errors of 3% in both, 10% rolled out", COMPARED, errors(0.03, 0.03, 0.1), 3),
    Kind("errors of 0.9%, control 0.5%: worse, within the limit", COMPARED, errors(0.009, 0.005), 4),
    Kind("5% of requests above the limit, clustered, no control", LATENCY, latency(0.05), 5),
    Kind("8% of requests above the limit in both, clustered, two limits", BOTH, latency(0.08, 0.08), 6),
    Kind("a ramp of 1%, 25%, 100% with people who come back, both fail alike", COMPARED, ramp(0.02, 0.02), 7),
    Kind(
        "errors doubled: 2%, control 1%, half and half",
        COMPARED,
        errors(0.02, 0.01, units=LONG),
        8,
        harms=True,
    ),
    Kind(
        "errors doubled: 2%, control 1%, 10% rolled out",
        COMPARED,
        errors(0.02, 0.01, 0.1, LONG),
        9,
        harms=True,
    ),
    Kind("errors doubled: 2%, no control", ERRORS, errors(0.02, units=LONG), 10, harms=True),
    Kind("errors of 10%, control 1%, half and half", COMPARED, errors(0.1, 0.01, units=LONG), 11, harms=True),
    Kind("10% of requests above the limit, clustered, no control", LATENCY, latency(0.1), 12, harms=True),
)


def _delay(job: tuple[int, int]) -> int | None:
    """After how many units (hours of the ramp) a world is called harmed; None: it is not."""
    number, world = job
    kind = KINDS[number]
    for units, seen in kind.draw(np.random.default_rng([kind.seed, world])):
        if any(standing.state == "harmed" for standing in watch(kind.subject, seen)):
            return units
    return None


def measure(number: int, worlds: int, processes: int) -> tuple[str, bool]:
    """A row of the table, and whether the promise is kept."""
    kind = KINDS[number]
    with Pool(processes) as pool:
        delays = pool.map(_delay, [(number, world) for world in range(worlds)], chunksize=50)
    found = sorted(delay for delay in delays if delay is not None)
    share = len(found) / worlds
    error = (max(share, 1 / worlds) * (1 - share) / worlds) ** 0.5
    kept = share >= 0.95 if kind.harms else share <= MOST + 3.5 * error
    middle, late = (str(_quantile(found, worlds, level)) for level in (0.5, 0.9)) if kind.harms else ("", "")
    return f"| {kind.name} | {share:.2%} ± {error:.2%} | {middle} | {late} | {worlds:,} |", kept


def _quantile(found: list[int], worlds: int, level: float) -> int | str:
    place = int(level * worlds)
    return found[place] if place < len(found) else "later"


def main() -> int:
    """Measure every kind; 1 where a harmless rollout is killed in more than 1%, or a harmful one is not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    rows, broken = [], False
    for number, kind in enumerate(KINDS):
        row, kept = measure(number, given.worlds // (10 if kind.harms else 1), given.processes)
        print(row, flush=True)
        rows.append(row)
        broken = broken or not kept
    head = "| truth | called harmed | median delay | 90% within | worlds |\n|---|---|---|---|---|\n"
    text = f"{ABOUT}\n{head}" + "\n".join(rows)
    given.out.write_text(text + "\n", encoding="utf-8")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
