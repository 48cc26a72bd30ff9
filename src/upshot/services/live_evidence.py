"""Evidence of a running experiment: exposures and events seconds after they were answered, and tables beside them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir

from upshot.analysis.cohort_table import CohortCells, cohort_cells
from upshot.analysis.event_evidence import event_evidence
from upshot.analysis.event_question import EventQuestion
from upshot.analysis.evidence import Evidence
from upshot.analysis.identity import Persons, persons_in
from upshot.errors import DataError
from upshot.events.reader import connect
from upshot.model.event_metric import EventMetric
from upshot.model.fact_table import ExposureTable
from upshot.model.flag import TARGETING_KEY
from upshot.model.plan import Plan
from upshot.services.facts import exposures_beside, facts_beside
from upshot.services.totals import Totals, opened_totals
from upshot.services.totals_file import naive

_PHASES = """
SELECT COALESCE(phase, 1) AS phase, list(DISTINCT unit_kind) FILTER (unit_kind IS NOT NULL)
FROM exposures WHERE experiment_id = ? AND time < ? GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What units of an experiment have met until a moment.

    Attributes:
        database: with the views of events. experiment, as_of: whose, until when.
        phases: each phase -> the kinds of units that were exposed in it, as exposures name them.
        told: what was read of a declared table of exposures, in sentences; empty where Upshot logged them.
        totals: running totals, where they may be used.
    """

    database: duckdb.DuckDBPyConnection
    experiment: str
    as_of: datetime
    phases: Mapping[int, tuple[str, ...]]
    told: tuple[str, ...] = ()
    totals: Totals | None = None

    @property
    def newest(self) -> int:
        """The phase that runs; 1 where nobody was exposed."""
        return max(self.phases, default=1)


@contextmanager
def met(
    directory: Path,
    experiment: str,
    as_of: datetime,
    exposures: ExposureTable | None = None,
    segments: tuple[str, ...] = (),
    *,
    afresh: bool = False,
) -> Iterator[Met]:
    """What is in a data directory now, of one experiment until a moment.

    Args:
        exposures: a declared table that they are read from; None: those that Upshot logged. segments: its columns that
            results are split by.
        afresh: all of it is read from the log, as who changes the views has to.

    Raises:
        InputError: there is no such directory, or the table of exposures cannot be read.
    """
    if not afresh and exposures is None:
        with opened_totals(directory, experiment) as (database, totals):
            phases = _phases(database, experiment, as_of) if totals is None else totals.phases(as_of)
            yield Met(database=database, experiment=experiment, as_of=as_of, phases=phases, totals=totals)
        return
    with connect(directory, locked=False) as database:
        told: tuple[str, ...] = ()
        if exposures is not None:
            told = exposures_beside(database, exposures, experiment, as_of, segments)
        phases = _phases(database, experiment, as_of)
        yield Met(database=database, experiment=experiment, as_of=as_of, phases=phases, told=told)


def _phases(
    database: duckdb.DuckDBPyConnection, experiment: str, as_of: datetime
) -> Mapping[int, tuple[str, ...]]:
    rows = database.execute(_PHASES, [experiment, naive(as_of)]).fetchall()
    return {phase: tuple(sorted(kinds or ())) for phase, kinds in rows}


def live_evidence(
    found: Met,
    plan: Plan,
    definitions: Mapping[str, EventMetric],
    phase: int,
    *,
    segments: tuple[str, ...] = (),
    histograms: bool = False,
    at_once: frozenset[str] = frozenset(),
) -> Evidence:
    """The evidence of a phase; an exposure without one is of phase 1.

    Ids that events link (an anonymous id beside a user's) are one person, so that what a visitor does after logging
    in is theirs.

    Raises:
        DataError: nobody was exposed, or units are of several kinds.
    """
    question = replace(
        _question(found, plan, definitions, phase), segments=segments, histograms=histograms, at_once=at_once
    )
    exposures, events = _exposures(found), _events(found)
    beside = facts_beside(found.database, question)
    evidence = _of_totals(
        found, lambda units: event_evidence(exposures, events, question, beside.facts, units), question
    )
    told = (*_who(question.persons), *found.told, *beside.told)
    return replace(evidence, understood=(*evidence.understood, *told))


def live_cohorts(found: Met, plan: Plan, definitions: Mapping[str, EventMetric], phase: int) -> CohortCells:
    """What units of a phase did on each day since their exposure, for cohort views; raises as `live_evidence`."""
    question = _question(found, plan, definitions, phase)
    facts = facts_beside(found.database, question).facts
    return cohort_cells(_exposures(found), _events(found), question, facts)


def _question(found: Met, plan: Plan, definitions: Mapping[str, EventMetric], phase: int) -> EventQuestion:
    unit = _unit(found, phase)
    persons = None
    if unit == TARGETING_KEY:
        persons = persons_in(_events(found)) if found.totals is None else found.totals.persons()
    return EventQuestion(
        definitions=definitions,
        metrics=plan.metrics,
        as_of=found.as_of,
        control=plan.control,
        split=plan.split,
        experiment=found.experiment,
        phase=phase,
        unit=unit,
        persons=persons if persons is not None and persons.links else None,
    )


def _exposures(found: Met) -> ir.Table:
    exposures = ibis.duckdb.from_connection(found.database).table("exposures")
    return exposures.mutate(phase=ibis.coalesce(exposures["phase"], 1))


def _events(found: Met) -> ir.Table:
    return ibis.duckdb.from_connection(found.database).table("events")


def _of_totals(
    found: Met, gathered: Callable[[ir.Table | None], Evidence], question: EventQuestion
) -> Evidence:
    """From the running totals where they can give it, else from the log."""
    if found.totals is not None:
        try:
            return gathered(found.totals.units(question))
        except duckdb.Error as error:
            found.totals.abandon(error)
    return gathered(None)


def _unit(found: Met, phase: int) -> str:
    kinds = found.phases.get(phase, ())
    if len(kinds) > 1:
        raise DataError(
            f"exposures of {found.experiment} are of several kinds of units, {', '.join(kinds)}: "
            "begin a phase with one, and ask for it"
        )
    return kinds[0] if kinds else TARGETING_KEY


def _who(persons: Persons | None) -> Iterator[str]:
    if persons is not None:
        yield f"{persons.links:,} pairs of a user and an anonymous id that came together count as one person each"
