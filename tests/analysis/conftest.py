"""Evidence made by hand, for the modules that turn evidence into numbers."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pytest

from upshot.analysis.event_question import EventQuestion
from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.stats.moments import Moments

Samples = Mapping[str, Sample]
CONVERTED = Metric(name="converted", column="converted", kind="proportion")


def _sample(values: Sequence[float], missing: int = 0, **covariates: Sequence[float]) -> Sample:
    array = np.asarray(values, float)
    moments = Moments.from_arrays(array, None, covariates) if len(array) else Moments.empty()
    return Sample(
        moments=moments,
        missing=missing,
        zeros=int((array == 0).sum()),
        top=tuple(sorted(array.tolist(), reverse=True)[:10]),
        maximum=float(array.max()) if len(array) else None,
    )


def _shares(**counts: tuple[int, int]) -> Samples:
    return {name: Sample(moments=Moments.from_counts(x, n), zeros=n - x) for name, (x, n) in counts.items()}


def _slice(samples: Mapping[str, Samples]) -> Slice:
    variants = list(next(iter(samples.values())))
    units = {
        name: max(one[name].moments.n + one[name].missing for one in samples.values()) for name in variants
    }
    return Slice(units=units, samples=samples)


def _evidence(metrics: Sequence[Metric], samples: Mapping[str, Samples], **fields: object) -> Evidence:
    total = _slice(samples)
    known: dict[str, object] = {
        "unit": "user_id",
        "control": "control",
        "variants": tuple(total.units),
        "metrics": tuple(metrics),
        "total": total,
    }
    return Evidence(**(known | fields))  # type: ignore[arg-type]


def _counted(
    days: Mapping[date, Mapping[str, tuple[int, int]]] | None = None, **counts: tuple[int, int]
) -> Evidence:
    by_day = {day: _slice({"converted": _shares(**part)}) for day, part in (days or {}).items()}
    return _evidence((CONVERTED,), {"converted": _shares(**counts)}, days=by_day)


def _plan(*metrics: Metric, variants: Sequence[str] = ("control", "treatment"), **fields: object) -> Plan:
    known: dict[str, object] = {
        "metrics": metrics or (CONVERTED,),
        "split": dict.fromkeys(variants, 1.0),
        "final": True,
    }
    return Plan(**(known | fields))  # type: ignore[arg-type]


@pytest.fixture
def sample() -> Callable[..., Sample]:
    """A sample of values: ``sample([1.0, 2.0], missing=3, before=[...])``."""
    return _sample


@pytest.fixture
def shares() -> Callable[..., Samples]:
    """Samples of successes of trials: ``shares(control=(3, 10), treatment=(4, 10))``."""
    return _shares


@pytest.fixture
def part() -> Callable[..., Slice]:
    """A slice of samples by metric."""
    return _slice


@pytest.fixture
def evidence() -> Callable[..., Evidence]:
    """Evidence of metrics and their samples, with any other field of it."""
    return _evidence


@pytest.fixture
def counted() -> Callable[..., Evidence]:
    """Evidence of one share, "converted": ``counted(control=(3, 10), treatment=(4, 10))``."""
    return _counted


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """A plan for finished data with an even split; any field can be given."""
    return _plan


EVENTS_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_TIME = pa.timestamp("us", "UTC")


def _event_tables(
    exposures: Sequence[tuple[str | None, str | None, float, Mapping[str, object]]],
    events: Sequence[tuple[str | None, str | None, float, Mapping[str, object]]],
    **columns: Sequence[str | None],
) -> tuple[ir.Table, ir.Table]:
    def times(rows: Sequence[tuple[object, object, float, object]]) -> pa.Array:
        return pa.array([EVENTS_BEGIN + timedelta(hours=row[2]) for row in rows], _TIME)

    def texts(rows: Sequence[tuple[Any, ...]], place: int) -> pa.Array:
        return pa.array([row[place] for row in rows], pa.string())

    exposed: dict[str, object] = {
        "unit_id": texts(exposures, 0),
        "experiment_id": pa.array(["EXP-1"] * len(exposures), pa.string()),
        "phase": pa.array([1] * len(exposures), pa.int64()),
        "variant": texts(exposures, 1),
        "time": times(exposures),
        "attributes": pa.array([json.dumps(row[3]) for row in exposures], pa.string()),
    }
    nobody = pa.nulls(len(events), pa.string())
    done: dict[str, object] = {
        "type": pa.array(["track"] * len(events), pa.string()),
        "event": texts(events, 1),
        "user_id": texts(events, 0),
        "anonymous_id": nobody,
        "group_id": nobody,
        "time": times(events),
        "properties": pa.array([json.dumps(row[3]) for row in events], pa.string()),
    }
    connection = ibis.duckdb.connect()
    given = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    return (
        connection.create_table("exposures", pa.table(exposed)),
        connection.create_table("events", pa.table(done | given)),
    )


@pytest.fixture(scope="module")
def event_tables() -> Callable[..., tuple[ir.Table, ir.Table]]:
    """Exposures (unit, variant, hours, attributes) and events (user, event, hours, properties) as tables.

    Hours are since 2026-01-01; other columns of the events may be given by name.
    """
    return _event_tables


@pytest.fixture(scope="module")
def event_question() -> Callable[..., EventQuestion]:
    """A question of definitions in YAML, all of them primaries, as of so many hours after 2026-01-01."""

    def question(text: str, hours: float = 24 * 400, **fields: object) -> EventQuestion:
        definitions = metrics_from_yaml(text)
        known: dict[str, object] = {
            "definitions": definitions,
            "metrics": tuple(Metric(name=name, column=name) for name in definitions),
            "as_of": EVENTS_BEGIN + timedelta(hours=hours),
        }
        return EventQuestion(**(known | fields))  # type: ignore[arg-type]

    return question
