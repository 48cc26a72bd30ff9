"""What the events of the past say of a metric and of traffic, so that a plan rests on them and not on guesses."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir

from upshot.analysis.event_question import EventQuestion
from upshot.analysis.gathering import as_time
from upshot.analysis.identity import persons_in
from upshot.analysis.past import DAY, Arrivals, PastUnits, arrivals, came, past_units
from upshot.analysis.unit_table import reach
from upshot.errors import DataError, InputError
from upshot.events.reader import connect
from upshot.model.event_metric import EventMetric
from upshot.model.flag import TARGETING_KEY
from upshot.model.metric import Metric
from upshot.services.event_metrics import named
from upshot.services.facts import facts_beside
from upshot.simulate.past_aa import SPLITS, PastAA, past_aa
from upshot.stats.adjustment import cuped
from upshot.stats.design import unit_std
from upshot.stats.moments import DENOMINATOR, OUTCOME
from upshot.warehouse.facts import Span

LONGEST = 56
"""Days of the past that the returning-user curve is read from."""
COHORT = 28
"""Days whose new units are measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whose past is asked for.

    Attributes:
        data: the data directory. definitions: the metrics over events.
        metric: the name of one. as_of: the end of the past, with its offset.
        audience: only units that did this event come to the experiment; None: any event.
        unit: what will be randomised, as exposures name it.
    """

    data: Path
    definitions: Mapping[str, EventMetric]
    metric: str
    as_of: datetime
    audience: str | None = None
    unit: str = TARGETING_KEY

    @property
    def definition(self) -> EventMetric:
        """The metric's. Raises NotFoundError."""
        return named(self.definitions, self.metric, "metrics/ and the catalogue")


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the past says.

    Attributes:
        metric: as evidence has it, with its kind and covariates.
        baseline, std: of one unit; for a ratio of a unit's share in it. r_squared: share of the variance that what was
            measured before explains.
        units: how many were measured. since, until: when they came.
        arrivals: how many different units come in so many days. window: days until an outcome is whole.
    """

    metric: Metric
    baseline: float
    std: float
    r_squared: float
    units: int
    since: datetime
    until: datetime
    arrivals: Arrivals
    window: int


def history(wanted: Wanted) -> History:
    """Baseline, spread, what covariates explain, and the returning-user curve, of one's own events.

    Raises:
        InputError: there is no such directory. NotFoundError: no such metric.
        DataError: the past is too short, or holds nobody of the audience.
    """
    with _past(wanted) as known:
        first, last = _days(known.visits, wanted.as_of)
        curve = arrivals(known.visits, first, last)
        past = _units(known, wanted, min(COHORT, curve.days))
        question = known.question
    metric = question.asked[0]
    moments = past.moments
    baseline = moments.mean() / moments.mean(DENOMINATOR) if moments.is_ratio else moments.mean()
    if not baseline:
        raise DataError(
            f"metric {metric.name}: it was 0 for all {moments.n:,} units of the past: no relative effect can be "
            "planned on it"
        )
    names = (OUTCOME, DENOMINATOR) if moments.is_ratio else (OUTCOME,)
    return History(
        metric=metric,
        baseline=baseline,
        std=unit_std(moments.select(names)),
        r_squared=cuped({"all": moments}).variance_reduction if moments.covariates else 0.0,
        units=moments.n,
        since=past.since,
        until=past.until,
        arrivals=curve,
        window=ceil((wanted.definition.ends or timedelta(0)) / DAY),
    )


def own_aa(wanted: Wanted, *, splits: int = SPLITS, seed: int = 0, alpha: float = 0.05) -> PastAA:
    """Whether tests of the metric hold their level on its own past.

    Raises:
        InputError, NotFoundError, DataError: as of `history`; splits, seed or alpha are out of their range.
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha:g}: give a number between 0 and 1")
    with _past(wanted) as known:
        first, last = _days(known.visits, wanted.as_of)
        past = _units(known, wanted, min(COHORT, (last - first).days + 1))
    return past_aa(past, known.question.asked[0], splits=splits, seed=seed, alpha=alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """The events, who came when, and the question of the one metric."""

    database: duckdb.DuckDBPyConnection
    events: ir.Table
    visits: ir.Table
    question: EventQuestion


@contextmanager
def _past(wanted: Wanted) -> Iterator[_Past]:
    metric = Metric(name=wanted.metric, column=wanted.definition.name)
    with connect(wanted.data, locked=False) as database:
        events = ibis.duckdb.from_connection(database).table("events")
        persons = persons_in(events) if wanted.unit == TARGETING_KEY else None
        question = EventQuestion(
            definitions=wanted.definitions,
            metrics=(metric,),
            as_of=wanted.as_of,
            unit=wanted.unit,
            persons=persons if persons is not None and persons.links else None,
        )
        visits = came(events, question, wanted.audience)
        yield _Past(database=database, events=events, visits=visits, question=question)


def _units(known: _Past, wanted: Wanted, days: int) -> PastUnits:
    """What the units of the last so many days gave, whose windows are over."""
    metric = wanted.definition
    before, after = reach((metric,))
    since = wanted.as_of - (after or timedelta(0)) - timedelta(days=days) - before
    beside = facts_beside(known.database, known.question, Span(since=since, until=wanted.as_of))
    return past_units(known.events, known.visits, known.question, metric, days, beside.facts)


def _days(visits: ir.Table, as_of: datetime) -> tuple[date, date]:
    """The first and last whole day of the past; the day on which logging began was none."""
    begun = visits.filter(visits["time"] < as_time(as_of.astimezone(UTC), visits["time"]))
    earliest = begun.aggregate(time=begun["time"].min()).to_pyarrow()["time"][0].as_py()
    if earliest is None:
        raise DataError(
            f"nobody came before {as_of:%Y-%m-%d}: name another audience, or plan with --baseline"
        )
    last = as_of.astimezone(UTC).date() - DAY
    return max(earliest.date() + DAY, last - (LONGEST - 1) * DAY), last
