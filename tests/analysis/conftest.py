"""Evidence made by hand, for the modules that turn evidence into numbers."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np
import pytest

from upshot.analysis.evidence import Evidence, Sample, Slice
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
