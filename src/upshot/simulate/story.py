"""A story: one experiment of the demo company, its plan, its truth, and the file that its data end up in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

from upshot.formats.plans import plan_to_yaml
from upshot.model.decision import Cause, Verdict
from upshot.model.plan import Plan
from upshot.simulate.units import Truth, draw_units
from upshot.simulate.world import START, WEEK

COUNTRIES, COUNTRY_SHARES = np.array(["DE", "FR", "NL", "SE"]), (0.45, 0.25, 0.2, 0.1)
DEVICES, DEVICE_SHARES = np.array(["mobile", "desktop"]), (0.6, 0.4)
Words = NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One experiment whose truth is known.

    Attributes:
        name: of its directory. file: of its data (``.csv``, ``.csv.gz`` or ``.parquet``).
        truth: what is true, in a sentence. plan: as it was fixed before the start.
        truths: metric name -> what is true of it.
        units: how many arrive.
        lost: share of treatment's mobile units that never reach the log (a broken redirect).
        verdict, cause: what a sound analysis must say.
    """

    name: str
    file: str
    truth: str
    plan: Plan
    truths: Mapping[str, Truth] = field(default_factory=dict)
    units: int = 24_000
    lost: float = 0.0
    verdict: Verdict
    cause: Cause

    @property
    def options(self) -> tuple[str, ...]:
        """What `upshot analyze` needs beside the data and the plan."""
        return ("--unit", "user_id", "--variant", "variant", "--time", "first_seen", "--segment", "device")


def write_story(story: Story, directory: Path, seed: int) -> tuple[Path, Path]:
    """Write a story's plan and data into a directory; returns the paths of both, data first."""
    directory.mkdir(parents=True, exist_ok=True)
    plan, data = directory / "plan.yaml", directory / story.file
    plan.write_text(plan_to_yaml(story.plan), encoding="utf-8")
    table = pa.table(story_columns(story, np.random.default_rng(seed)))
    if story.file.endswith(".parquet"):
        parquet.write_table(table, data)
    else:
        with pa.output_stream(data, compression="gzip" if story.file.endswith(".gz") else None) as stream:
            csv.write_csv(table, stream)
    return data, plan


def story_columns(story: Story, rng: np.random.Generator) -> dict[str, Any]:
    """The table of a story: one row a unit, in the order in which they came."""
    n, days = story.units, story.plan.maximum_days
    rhythm = np.resize(WEEK, days)
    day = np.sort(rng.choice(days, n, p=rhythm / rhythm.sum()))
    names = list(story.plan.split)
    variant = np.array(names)[rng.choice(len(names), n, p=_shares(story.plan.split))]
    device = DEVICES[rng.choice(2, n, p=DEVICE_SHARES)]
    columns: dict[str, Any] = {
        "user_id": [f"u{number:06d}" for number in rng.permutation(n)],
        "variant": variant,
        "first_seen": [(story.plan.start or START) + timedelta(days=int(number)) for number in day],
        "country": COUNTRIES[rng.choice(4, n, p=COUNTRY_SHARES)],
        "device": device,
    }
    for metric in story.plan.metrics:
        truth = story.truths[metric.name]
        drawn = draw_units(truth, _lifts(truth, variant, day), n, rng)
        headings = [metric.column, *([metric.per] if metric.per else []), *metric.covariates]
        columns |= {name: _written(drawn[:, place]) for place, name in enumerate(headings)}
    kept = ~((variant != story.plan.control) & (device == "mobile") & (rng.random(n) < story.lost))
    return {name: np.asarray(values)[kept] for name, values in columns.items()}


def _shares(split: Mapping[str, float]) -> list[float]:
    return [weight / sum(split.values()) for weight in split.values()]


def _lifts(truth: Truth, variant: Words, day: NDArray[np.int64]) -> NDArray[np.float64]:
    lifts = np.zeros(len(variant))
    for name, lift in truth.lifts.items():
        lifts[variant == name] = lift
    return lifts if truth.half_life is None else lifts * 0.5 ** (day / truth.half_life)


def _written(values: NDArray[np.float64]) -> NDArray[Any]:
    """As a system would log them: whole numbers whole, amounts to the cent."""
    return values.astype(np.int64) if np.array_equal(values, np.rint(values)) else np.round(values, 2)
