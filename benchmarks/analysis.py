"""What an analysis costs: eight metrics over five million units in DuckDB, beside the least that it could cost.

    python -m benchmarks.analysis                    five million units, seven rounds
    python -m benchmarks.analysis --units 200000     a quick look

The floor is one hand-written query that gives the same counts, sums, squares and cross-products by variant, without
any check, shift or care for gaps. All run in the same process on the same table, in turn; the ratio is the median of
the rounds' own ratios, so that what else the machine does hits both sides. The peer is tea-tasting on the same metrics.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import numpy as np
import tea_tasting as tt

from upshot.analysis.analyze import analyze
from upshot.analysis.evidence import Evidence
from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.formats.metric_text import parse_metric
from upshot.model.metric import Metric
from upshot.model.plan import Plan

SEED = 20_261_124
GOAL = 1.6
CHUNK = 500_000
METRICS = (
    "converted",
    "retained",
    "revenue,mean,covariate=revenue_before",
    "minutes,mean,covariate=minutes_before",
    "orders,count",
    "load_ms,mean,lower",
    "clicks,ratio,per=views",
    "errors,ratio,per=sessions,lower",
)
Row = dict[str, float]


def make_table(path: Path, units: int) -> None:
    """Write the units to a DuckDB file, chunk by chunk, from one seed."""
    rng = np.random.default_rng(SEED)
    with duckdb.connect(str(path)) as connection:
        for start in range(0, units, CHUNK):
            chunk = _chunk(rng, start, min(CHUNK, units - start))
            connection.register("chunk", chunk)
            verb = "CREATE TABLE units AS" if start == 0 else "INSERT INTO units"
            connection.execute(f"{verb} SELECT * FROM chunk")


def _chunk(rng: np.random.Generator, start: int, n: int) -> Any:
    import pyarrow as pa

    habit = rng.normal(size=n)
    sessions = 1 + rng.poisson(3, n)
    views = sessions * 4 + rng.poisson(2, n)
    buys = rng.random(n) < 0.2
    columns = {
        "user_id": np.arange(start, start + n),
        "variant": np.where(rng.random(n) < 0.5, "control", "treatment"),
        "converted": (rng.random(n) < 0.1).astype(np.int8),
        "retained": (rng.random(n) < 0.4).astype(np.int8),
        "revenue": np.where(buys, np.exp(3 + 0.5 * habit + rng.normal(size=n)), 0.0),
        "revenue_before": np.exp(1 + 0.5 * habit),
        "minutes": np.exp(2 + habit + 0.3 * rng.normal(size=n)),
        "minutes_before": np.exp(2 + habit),
        "orders": rng.poisson(0.4, n),
        "load_ms": rng.gamma(4.0, 200.0, n),
        "clicks": rng.binomial(views, 0.05),
        "views": views,
        "errors": rng.binomial(sessions, 0.01),
        "sessions": sessions,
    }
    return pa.table(columns)


def floor_query(metrics: Sequence[Metric]) -> str:
    """The counts, sums, squares and cross-products of the metrics by variant, and nothing else."""
    wanted = ["count(*)"]
    for metric in metrics:
        names = [metric.column, *([metric.per] if metric.per else []), *metric.covariates]
        wanted.append(f"count({metric.column})")
        for i, first in enumerate(names):
            wanted.append(f"sum({first}::DOUBLE)")
            wanted += [f"sum({first}::DOUBLE * {second}::DOUBLE)" for second in names[i:]]
    return f"SELECT variant, {', '.join(wanted)} FROM units GROUP BY variant"


def peer(metrics: Sequence[Metric]) -> tt.Experiment:
    """The same metrics in tea-tasting."""
    made = {}
    for metric in metrics:
        if metric.per:
            made[metric.name] = tt.RatioOfMeans(numer=metric.column, denom=metric.per)
        else:
            made[metric.name] = tt.Mean(metric.column, covariate=next(iter(metric.covariates), None))
    return tt.Experiment(made)


def timed(action: Callable[[], object]) -> float:
    """Seconds of wall time."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def contestants(
    table: ir.Table, connection: Any, metrics: tuple[Metric, ...]
) -> dict[str, Callable[[], object]]:
    """What is timed, by name; the floor first."""
    plan = Plan(metrics=metrics, control="control", start=date(2026, 1, 5), final=True)
    by_row = Question(variant="variant", control="control", metrics=metrics)
    by_unit = Question(variant="variant", control="control", metrics=metrics, unit="user_id")
    bare, experiment = floor_query(metrics), peer(metrics)
    return {
        "floor": lambda: connection.raw_sql(bare).fetchall(),
        "upshot": lambda: analyze(plan, read_evidence(table, by_row)),
        "upshot --unit": lambda: analyze(plan, read_evidence(table, by_unit)),
        "tea-tasting": lambda: experiment.analyze(table, control="control"),
    }


def agree(table: ir.Table, connection: Any, metrics: tuple[Metric, ...]) -> None:
    """The evidence and the floor hold the same numbers, or the race means nothing."""
    evidence: Evidence = read_evidence(table, Question(variant="variant", control="control", metrics=metrics))
    for metric in metrics:
        cells = connection.raw_sql(
            f"SELECT variant, avg({metric.column}::DOUBLE), var_samp({metric.column}::DOUBLE) FROM units GROUP BY 1"
        ).fetchall()
        for variant, mean, var in cells:
            moments = evidence.total.samples[metric.name][variant].moments
            np.testing.assert_allclose([moments.mean(), moments.var()], [mean, var], rtol=1e-9)


def main() -> int:
    """Print the medians; 1 where the goal is missed."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--units", type=int, default=5_000_000)
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    metrics = tuple(parse_metric(text) for text in METRICS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "units.duckdb"
        make_table(path, chosen.units)
        connection = ibis.duckdb.connect(str(path), read_only=True)
        table = connection.table("units")
        agree(table, connection, metrics)
        seconds: dict[str, list[float]] = {}
        for _ in range(chosen.rounds):
            for name, action in contestants(table, connection, metrics).items():
                seconds.setdefault(name, []).append(timed(action))
    floor = seconds["floor"]
    times = {
        name: statistics.median(own / least for own, least in zip(values, floor, strict=True))
        for name, values in seconds.items()
    }
    print(f"{chosen.units:,} units, {len(metrics)} metrics, {chosen.rounds} rounds in turn, medians\n")
    print("| what | seconds | times the floor |\n|---|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {statistics.median(values):.2f} | {times[name]:.2f} |")
    return 0 if times["upshot"] <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
