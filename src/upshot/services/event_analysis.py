"""Analyse an experiment from its exposures and events: a plan whose metrics are those of the workspace."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import ibis.expr.types as ir

from upshot.analysis.analyze import analyze
from upshot.analysis.event_evidence import event_evidence
from upshot.analysis.event_question import EventQuestion
from upshot.analysis.identity import persons_in
from upshot.analysis.result import Look
from upshot.decide.policy import decide
from upshot.model.decision import Situation
from upshot.model.event_metric import EventMetric
from upshot.model.flag import TARGETING_KEY
from upshot.model.plan import Plan
from upshot.report.findings import Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRequest:
    """What is asked.

    Attributes:
        plan: whose metrics name definitions; its ``id`` is the experiment of the exposures. phase: None: all.
        definitions: the metrics of the workspace. as_of: when it is asked, with its offset.
        unit: what was randomised, as of an `EventQuestion`. segments: attributes of exposures to split by.
        links: whether events that have a user and an anonymous id make the two one unit.
        looks: those before this one, oldest first. situation: notes and acknowledgements.
        engine: whose SQL it will be, as Ibis calls it.
    """

    plan: Plan
    definitions: Mapping[str, EventMetric]
    as_of: datetime
    phase: int | None = None
    unit: str = TARGETING_KEY
    segments: tuple[str, ...] = ()
    links: bool = True
    looks: Sequence[Look] = ()
    situation: Situation = field(default_factory=Situation)
    engine: str = "duckdb"


def analyze_events(exposures: ir.Table, events: ir.Table, request: EventRequest) -> Findings:
    """What the plan and the events say; the plan of the findings has its metrics as they were measured.

    Raises:
        DataError: as of `event_evidence`.
    """
    evidence = event_evidence(exposures, events, event_question(events, request))
    plan = replace(request.plan, metrics=evidence.metrics, unit=evidence.unit)
    analysis = analyze(plan, evidence, request.looks, request.as_of.astimezone(UTC).date())
    analysis = replace(analysis, notes=(*analysis.notes, *_notes(request)))
    verdict = decide(plan, analysis, request.situation)
    return Findings(
        plan=plan, evidence=evidence, analysis=analysis, verdict=verdict, looks=tuple(request.looks)
    )


def _notes(request: EventRequest) -> Iterator[str]:
    """What looks at running data cannot promise: their error rates are those of fixed windows after exposure."""
    if request.plan.final or request.plan.monitoring == "fixed":
        return
    for metric in request.plan.of_role("primary"):
        if request.definitions[metric.column].ends is None:
            yield (
                f"{metric.name} has no window after exposure, so early units count longer than late ones and "
                "repeated looks err more often than planned: give it one, such as window: 7d"
            )


def event_question(events: ir.Table, request: EventRequest) -> EventQuestion:
    """The question that a plan asks of events."""
    plan = request.plan
    return EventQuestion(
        definitions=request.definitions,
        metrics=plan.metrics,
        as_of=request.as_of,
        control=plan.control,
        split=plan.split,
        experiment=plan.id or None,
        phase=request.phase,
        unit=request.unit,
        segments=request.segments,
        histograms=True,
        persons=persons_in(events) if request.links and request.unit == TARGETING_KEY else None,
        engine=request.engine,
    )
