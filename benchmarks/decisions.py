"""How often is a decision wrong? The whole rule by the services: proposed, started, looked at, decided, carried out.

Each world is an experiment in a control store of its own, with its flag. At the end of each of 28 days a look is taken
by `services.live.live_look` and kept, and `services.automatic` decides what its design leaves to the rule: all that can
be. Then the flag is asked what it gives. Only where evidence comes from is replaced: a made-up world whose truth is
known.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from upshot.analysis.event_words import metric_words
from upshot.analysis.evidence import Evidence
from upshot.bootstrap import new_salt
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.formats.flags import flags_from_yaml
from upshot.model.experiment import Design, Execution
from upshot.model.metric import Metric
from upshot.model.plan import Plan, Policy
from upshot.model.standards import Standards
from upshot.services import live
from upshot.services.automatic import decide_automatically
from upshot.services.checklist import checklist
from upshot.services.experiments import found, propose, start
from upshot.services.flags import applied
from upshot.services.live import Asked, live_look
from upshot.services.workspace import Workspace
from upshot.simulate.units import Truth
from upshot.simulate.world import World, evidences
from upshot.stats.design import Design as Question
from upshot.stats.power import sample_size
from upshot.store import flags
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url
from upshot.store.flags import StoredFlags

SEED, DAYS = 20261124, 28
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
SPREAD = 3.5
EFFECT = 0.1
FLAG = flags_from_yaml("flags: {shop: {variants: {control: a, treatment: b}, default: control}}")
METRICS = metrics_from_yaml(
    """
    metrics:
      bought: {kind: proportion, event: Order, window: 1d}
      crashed: {kind: proportion, event: Crash, window: 1d, better: lower}
    """
)
TRUTHS: Mapping[str, tuple[float, float]] = {
    "no effect": (0.0, 0.0),
    "the planned effect": (EFFECT, 0.0),
    "a loss of as much": (-EFFECT, 0.0),
    "the planned effect, and twice the crashes": (EFFECT, 1.0),
}
"""What is true -> the lifts of the primary and of the guardrail."""
POLICIES: tuple[Policy, ...] = ("standard", "do_no_harm", "superiority_with_guardrails")


@dataclass(frozen=True, slots=True)
class Cell:
    """One policy on one truth."""

    policy: Policy
    truth: str


def plan_of(policy: Policy) -> Plan:
    """A plan sized for 80% at a gain of 10% of a fifth; `do_no_harm` may lose as much, and proves that it does not."""
    metrics = (
        Metric(name="bought", column="bought", margin=EFFECT if policy == "do_no_harm" else None),
        Metric(name="crashed", column="crashed", role="guardrail", better="lower", margin=0.5),
    )
    size = sample_size(Question(baseline=0.2, effect=EFFECT, monitoring="group_sequential", looks=DAYS))
    return Plan(
        metrics=metrics,
        split={"control": 1.0, "treatment": 1.0},
        minimum_effect=EFFECT,
        monitoring="group_sequential",
        looks=DAYS,
        planned_units=max(size.units),
        maximum_days=DAYS,
        policy=policy,
    )


def world_of(plan: Plan, truth: str) -> World:
    """Units come so that the planned ones are there on the last day."""
    lift, crashes = TRUTHS[truth]
    return World(
        truths={
            "bought": Truth(shape="binary", baseline=0.2, lifts={"treatment": lift}),
            "crashed": Truth(shape="binary", baseline=0.02, lifts={"treatment": crashes}),
        },
        daily_units=2 * (plan.planned_units or 0) / DAYS * 1.02,
        days=DAYS,
    )


def played(cell: Cell, number: int) -> str:
    """One experiment through the services; what it was decided to be, ``none`` where nobody was to decide it."""
    plan = plan_of(cell.policy)
    now = [MONDAY]
    with tempfile.TemporaryDirectory() as scratch:
        store = ControlStore.open(sqlite_url(Path(scratch) / "upshot.db"), lambda: now[0])
        workspace = Workspace(store=store, flags=StoredFlags(store, "upshot"), data=Path(scratch) / "data",
                              definitions=METRICS, standards=Standards(), clock=lambda: now[0],
                              new_salt=new_salt)  # fmt: skip
        with store.changing("ann") as change:
            flags.put(change, FLAG)
        design = Design(plan=plan, flag="shop", execution=Execution(automatic=("SHIP", "KILL", "ITERATE")))
        name = propose(workspace, design, "ann").id
        wanting = {
            item.name: "a world that is made up"
            for item in checklist(workspace, name)
            if item.status == "fail"
        }
        start(workspace, name, "ann", "all is there", accepted=wanting)
        world = world_of(plan, cell.truth)
        rng = np.random.default_rng((SEED, number, *cell.policy.encode(), *cell.truth.encode()))
        for day, evidence in evidences(world, replace(plan, start=MONDAY.date()), rng):
            now[0] = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
            with given(evidence):
                live_look(
                    store,
                    Asked(data=workspace.data, experiment=name, as_of=now[0], definitions=METRICS),
                    "clock",
                )
            decide_automatically(workspace, name)
            decision = found(workspace, name).course.decision
            if decision is not None:
                _check(workspace, decision.verdict)
                return decision.verdict
        store.close()
    return "none"


@contextmanager
def given(evidence: Evidence) -> Iterator[None]:
    """Looks find this evidence, whoever takes them."""
    told = tuple(f"{name}: {metric_words(one)}" for name, one in METRICS.items())
    known = replace(evidence, understood=told)
    door: Any = live
    before = door.met, door.live_evidence

    @contextmanager
    def met(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(newest=1)

    door.met, door.live_evidence = met, lambda *_, **__: known
    try:
        yield
    finally:
        door.met, door.live_evidence = before


def _check(workspace: Workspace, verdict: str) -> None:
    """The flag gives what was decided."""
    ruleset = applied(workspace.flags).ruleset
    given = {ruleset.evaluate("shop", {"targetingKey": f"u{unit}"}, "a").value for unit in range(20)}
    if given != {"b" if verdict == "SHIP" else "a"}:
        raise RuntimeError(f"after {verdict} the flag gives {given}")


def _some(cell: Cell, numbers: range) -> Counter[str]:
    return Counter(played(cell, number) for number in numbers)


def measured(cell: Cell, worlds: int, processes: int) -> Counter[str]:
    """The endings of many worlds of a cell."""
    chunks = [range(first, min(first + 10, worlds)) for first in range(0, worlds, 10)]
    if processes == 1:
        return sum((_some(cell, chunk) for chunk in chunks), Counter())
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(_some, [cell] * len(chunks), chunks), Counter())


def bound(share: float, worlds: int) -> float:
    """The most of a share that chance allows."""
    return float(share + SPREAD * (max(share * (1 - share), 0.25 / worlds) / worlds) ** 0.5)


def kept(cell: Cell, found: Counter[str], worlds: int) -> bool:
    """Whether what is promised of a cell holds.

    What gains nothing (of `do_no_harm`: what loses as much as it may) is shipped no more often than half of alpha; a
    true gain is found as often as was planned; harm is not shipped.
    """
    ship, kill = found["SHIP"] / worlds, found["KILL"] / worlds
    if cell.truth.endswith("crashes"):
        return ship <= bound(0.01, worlds)
    if cell.truth == "the planned effect":
        return kill <= bound(0.2, worlds) and (cell.policy != "standard" or ship >= 1 - bound(0.2, worlds))
    harmless = cell.policy == "do_no_harm" and cell.truth == "no effect"
    return harmless or ship <= bound(0.025, worlds)


def main() -> int:
    """Play all, and say how often decisions were wrong; 1 where that is more than promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    broken = False
    print("| policy | what is true | SHIP | KILL | ITERATE | left to people |\n|---|---|---|---|---|---|")
    for policy in POLICIES:
        for truth in TRUTHS:
            cell = Cell(policy, truth)
            found = measured(cell, asked.worlds, asked.processes)
            shares = [found[name] / asked.worlds for name in ("SHIP", "KILL", "ITERATE", "none")]
            good = kept(cell, found, asked.worlds)
            broken |= not good
            shown = " | ".join(f"{share:.1%}" for share in shares)
            print(f"| {policy} | {truth} | {shown} |{'' if good else ' BROKEN'}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
