"""Decisions that can be replayed, and a past that cannot be changed: at the size that is promised.

Random plans on random worlds are looked at day after day, and each look is given again from what the store kept; then
random bytes of the audit chain, of looks and of plans are changed, one at a time, and each must be found.
"""

import argparse
import random
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from upshot.analysis.analyze import analyze
from upshot.analysis.result import Look
from upshot.decide.policy import decide
from upshot.model.decision import Note, Situation
from upshot.model.metric import Metric
from upshot.model.plan import Monitoring, Plan
from upshot.services.audit import verify
from upshot.services.live import given_again
from upshot.simulate.units import Truth
from upshot.simulate.world import World, evidences
from upshot.store import experiments, looks
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url

SEED = 20261124
SHAPES = {
    "share": Truth(shape="binary", baseline=0.2),
    "sum": Truth(shape="revenue", baseline=5.0, covariate=True),
    "count": Truth(shape="count", baseline=3.0),
    "ratio": Truth(shape="ratio", baseline=0.3),
}
MONITORING: tuple[Monitoring, ...] = ("fixed", "group_sequential", "always_valid")
EDITED = (
    ("audit", ("at", "actor", "action", "subject", "before", "after", "reason", "previous", "hash")),
    ("looks", ("evidence", "analysis", "verdict", "situation", "look")),
    ("plans", ("body",)),
)
"""Tables and columns of which a byte is changed: whatever the past consists of."""


def plan_and_world(chance: random.Random) -> tuple[Plan, World]:
    """A plan as somebody could write it, and a world that may be good, bad or neither."""
    names = ["control", "treatment", "second"][: chance.choice((2, 2, 3))]
    kinds = chance.sample(sorted(SHAPES), chance.randint(1, 3))
    metrics = [
        Metric(name=kind, column=kind, covariates=("before",) if kind == "sum" else ()) for kind in kinds
    ]
    metrics += [Metric(name="crashed", column="crashed", role="guardrail", better="lower", margin=0.2)]
    lifts = {name: chance.choice((-0.1, 0.0, 0.0, 0.1, 0.3)) for name in names[1:]}
    truths = {kind: replace(SHAPES[kind], lifts=lifts) for kind in kinds}
    truths["crashed"] = Truth(
        shape="binary", baseline=0.02, lifts=dict.fromkeys(names[1:], chance.choice((0.0, 2.0)))
    )
    days = chance.randint(3, 8)
    plan = Plan(
        metrics=tuple(metrics),
        split=dict.fromkeys(names, 1.0),
        monitoring=chance.choice(MONITORING),
        policy=chance.choice(("standard", "standard", "do_no_harm", "superiority_with_guardrails")),
        family=chance.choice(("holm", "bonferroni", "benjamini_hochberg")),
        purpose="aa" if chance.random() < 0.1 else "ab",
        planned_units=1500,
        looks=days,
        minimum_days=min(3, days),
        maximum_days=days,
    )
    return plan, World(truths=truths, daily_units=chance.choice((300, 900)), days=days,
                       weights=dict.fromkeys(names, 1.0))  # fmt: skip


def situation(chance: random.Random) -> Situation:
    """What people know beside the numbers."""
    notes = (
        (Note(sign=chance.choice(("positive", "negative")), text="an interview"),)
        if chance.random() < 0.3
        else ()
    )
    return Situation(
        notes=notes, acknowledged={"outliers": "a known client"} if chance.random() < 0.2 else {}
    )


def live(store: ControlStore, number: int) -> tuple[str, int]:
    """One history: an experiment and a look at the end of each of its days. Returns its id and how many."""
    chance = random.Random(SEED + number)
    plan, world = plan_and_world(chance)
    with store.changing("ann", "a history") as change:
        made = experiments.create(change, plan)
        experiments.move(change, made.id, "running")
    before: tuple[Look, ...] = ()
    for day, evidence in evidences(world, plan, np.random.default_rng((SEED, number))):
        analysis = analyze(made.plan, evidence, before, day)
        before = (*before, analysis.look)
        known = situation(chance)
        with store.changing("scheduler", "daily look") as change:
            verdict = decide(made.plan, analysis, known)
            looks.keep(
                change, made.id, evidence=evidence, analysis=analysis, verdict=verdict, situation=known
            )
    return made.id, len(before)


def replayed(store: ControlStore, histories: range) -> Iterator[str]:
    """What a replay says otherwise, over these histories."""
    for number in histories:
        experiment, count = live(store, number)
        for look in range(1, count + 1):
            for difference in given_again(store, experiment, look).differs:
                yield f"history {number}, look {look}: {difference}"


def edits(path: Path, store: ControlStore, count: int) -> Iterator[str]:
    """Changes of one byte each that `verify` did not find."""
    chance = random.Random(SEED)
    with closing(sqlite3.connect(path)) as connection:
        for _ in range(count):
            table, columns = chance.choice(EDITED)
            column = chance.choice(columns)
            rows = [
                row for (row,) in connection.execute(f"SELECT rowid FROM {table} WHERE length({column}) > 0")
            ]
            row = chance.choice(rows)
            query = f"SELECT CAST({column} AS BLOB) FROM {table} WHERE rowid = ?"
            (old,) = connection.execute(query, (row,)).fetchone()
            place, flipped = chance.randrange(len(old)), chance.randint(1, 255)
            new = old[:place] + bytes([old[place] ^ flipped]) + old[place + 1 :]
            edit = f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE rowid = ?"
            connection.execute(edit, (new, row))
            connection.commit()
            if not verify(store).problems:
                yield f"{table}.{column} of row {row}: byte {place} changed by {flipped}"
            connection.execute(edit, (old, row))
            connection.commit()


def main(arguments: list[str] | None = None) -> int:
    """Measure; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--edits", type=int, default=1000)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "upshot.db"
        with closing(ControlStore.open(sqlite_url(path), lambda: datetime.now(UTC))) as store:
            differing = list(replayed(store, range(given.histories)))
        small = Path(directory) / "small.db"
        with closing(ControlStore.open(sqlite_url(small), lambda: datetime.now(UTC))) as store:
            for number in range(5):
                live(store, number)
            if verify(store).problems:
                raise RuntimeError("the chain is broken before anything was changed")
            missed = list(edits(small, store, given.edits))
    print("\n".join([*differing[:20], *missed[:20]]), end="\n" if differing or missed else "")
    print(f"histories replayed: {given.histories:,}, looks that say otherwise: {len(differing)}")
    print(f"bytes changed: {given.edits:,}, not found: {len(missed)}")
    return 1 if differing or missed else 0


if __name__ == "__main__":
    sys.exit(main())
