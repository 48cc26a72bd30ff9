"""How often a running experiment that harms nobody is killed, and how soon one that harms is.

    python -m benchmarks.harm                 2,000 worlds without harm, 200 with
    python -m benchmarks.harm --worlds 200    quickly

World i of a truth draws from the generator of (seed of the truth, i). Units come evenly over 20 days, 500 a day, half
to each variant; what is bad of them happens at a moment of its own within seven days of their exposure, and counts at
once; what is good of them counts when their three days are over. The whole is looked at 200 times, ten times a day, as
the server does: no look is kept, and what was not proven before is asked afresh.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from upshot.analysis.analyze import analyze
from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.decide.policy import decide
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.services.harm import harmful_variants
from upshot.stats.moments import Moments

OUT = Path(__file__).with_suffix(".md")
DAYS, DAILY, PER_DAY = 20, 500, 10
BAD_DAYS, GOOD_DAYS = 7.0, 3.0
MOST = 0.01
PLAN = Plan(
    metrics=(
        Metric(name="spend", column="spend", kind="mean"),
        Metric(
            name="crash", column="crash", kind="proportion", role="guardrail", better="lower", maximum=0.02
        ),
        Metric(
            name="refund", column="refund", kind="proportion", role="guardrail", better="lower", margin=0.0
        ),
        Metric(name="call", column="call", kind="proportion", role="guardrail", better="lower", margin=0.0),
    ),
    split={"control": 1.0, "treatment": 1.0},
    planned_units=DAYS * DAILY // 2,
)
SHARES = {"crash": 0.02, "refund": 0.03, "call": 0.15}
ABOUT = f"""# Harm of experiments

Made by `python -m benchmarks.harm`. Experiments with one primary (a skewed mean) and three guardrails: crashes at
their limit of 2%, refunds (3%) and calls (15%) that must not be worse than control. {DAILY} units come on each of
{DAYS} days, and all is looked at {PER_DAY} times a day for harm as `upshot serve` does; bad news counts at once, though
windows are 7 days long. At most 1% of harmless ones may ever be killed, with 3.5 standard errors of the simulation for
chance.
"""


@dataclass(frozen=True, slots=True)
class Truth:
    """What treatment does: factors on the shares, and on spending."""

    name: str
    seed: int
    crash: float = 1.0
    refund: float = 1.0
    call: float = 1.0
    spend: float = 1.0

    @property
    def harms(self) -> bool:
        return (self.crash, self.refund, self.call, self.spend) != (1.0, 1.0, 1.0, 1.0)


TRUTHS = (
    Truth("nothing differs", 1),
    Truth("crashes doubled, 4% where 2% are allowed", 2, crash=2.0),
    Truth("crashes at 10%", 3, crash=5.0),
    Truth("refunds doubled to 6%", 4, refund=2.0),
    Truth("calls up by half to 22.5%", 5, call=1.5),
    Truth("spending down by a fifth", 6, spend=0.8),
)


class Course:
    """One world: when units came, and what became of them."""

    def __init__(self, truth: Truth, world: int) -> None:
        rng = np.random.default_rng([truth.seed, world])
        n = DAYS * DAILY
        self.came = np.sort(rng.uniform(0, DAYS, n))
        self.treated = rng.random(n) < 0.5
        factor = {name: np.where(self.treated, getattr(truth, name), 1.0) for name in SHARES}
        self.when = {
            name: np.where(
                rng.random(n) < share * factor[name], self.came + rng.uniform(0, BAD_DAYS, n), np.inf
            )
            for name, share in SHARES.items()
        }
        self.spend = rng.gamma(0.5, 20.0, n) * np.where(self.treated, truth.spend, 1.0)

    def evidence(self, now: float) -> Evidence:
        """What is known at a moment, in days."""
        parts = {name: (self.came <= now) & (self.treated == (name == "treatment")) for name in PLAN.split}
        samples = {
            metric: {
                name: Sample(moments=Moments.from_counts(int((when[part] <= now).sum()), int(part.sum())))
                for name, part in parts.items()
            }
            for metric, when in self.when.items()
        }
        mature = self.came + GOOD_DAYS <= now
        samples["spend"] = {
            name: Sample(moments=Moments.from_arrays(self.spend[part & mature]))
            for name, part in parts.items()
        }
        units = {name: int(part.sum()) for name, part in parts.items()}
        return Evidence(
            unit="unit", control="control", variants=("control", "treatment"), metrics=PLAN.metrics,
            total=Slice(units=units, samples=samples), rows=sum(units.values()),
        )  # fmt: skip


def killed_at(job: tuple[int, int]) -> float | None:
    """The day on which a world is killed; None: it is not."""
    course = Course(TRUTHS[job[0]], job[1])
    for now in _moments():
        analysis = analyze(PLAN, course.evidence(now), (), date(2026, 1, 5), closing=False)
        if harmful_variants(decide(PLAN, analysis)):
            return now
    return None


def _moments() -> Iterator[float]:
    yield from (look / PER_DAY for look in range(2, DAYS * PER_DAY + 1))


def measure(number: int, worlds: int, processes: int) -> tuple[str, bool]:
    """A row of the table, and whether the promise is kept."""
    truth = TRUTHS[number]
    with Pool(processes) as pool:
        days = pool.map(killed_at, [(number, world) for world in range(worlds)], chunksize=5)
    found = sorted(day for day in days if day is not None)
    share = len(found) / worlds
    error = (max(share, 1 / worlds) * (1 - share) / worlds) ** 0.5
    kept = share >= 0.9 if truth.harms else share <= MOST + 3.5 * error
    middle, late = (_quantile(found, worlds, level) for level in (0.5, 0.9)) if truth.harms else ("", "")
    return f"| {truth.name} | {share:.2%} ± {error:.2%} | {middle} | {late} | {worlds:,} |", kept


def _quantile(found: list[float], worlds: int, level: float) -> str:
    place = int(level * worlds)
    return f"{found[place]:.1f}" if place < len(found) else "later"


def main() -> int:
    """Measure every truth; 1 where a harmless experiment is killed in more than 1%, or a harmful one is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    rows, broken = [], False
    for number, truth in enumerate(TRUTHS):
        row, kept = measure(number, given.worlds // (10 if truth.harms else 1), given.processes)
        print(row, flush=True)
        rows.append(row)
        broken = broken or not kept
    head = "| truth | killed | median day | 90% by day | worlds |\n|---|---|---|---|---|\n"
    given.out.write_text(f"{ABOUT}\n{head}" + "\n".join(rows) + "\n", encoding="utf-8")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
