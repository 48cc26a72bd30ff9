"""Live looks: from exposures and events to a verdict, and every look kept so that it can be given again.

A look is an analysis that costs a share of alpha, so it is carried by the looks after it and cannot be taken back.
Where nothing is new since the last one, that one is shown and no other taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from upshot.analysis.analyze import analyze
from upshot.analysis.cohort_table import CohortCells
from upshot.analysis.cohorts import cohorts_of
from upshot.analysis.contract import analysis_to_dict
from upshot.analysis.evidence import Evidence
from upshot.analysis.result import Look
from upshot.decide.policy import decide
from upshot.decide.replay import differences
from upshot.errors import ConflictError, NotFoundError
from upshot.formats.canonical import content_hash
from upshot.model.course import Course
from upshot.model.decision import Situation
from upshot.model.event_metric import EventMetric
from upshot.model.fact_table import ExposureTable
from upshot.model.plan import Plan
from upshot.report.findings import Findings
from upshot.services.live_evidence import live_cohorts, live_evidence, met
from upshot.services.live_plan import check_as_before, check_plan, plan_in_force
from upshot.services.looks import is_same
from upshot.services.sealing import is_sealed, sealed
from upshot.store import experiments, looks
from upshot.store.audit import Change
from upshot.store.control import ControlStore
from upshot.store.experiments import Experiment
from upshot.store.looks import StoredLook


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of running data.

    Attributes:
        data: the data directory. experiment: its id, as exposures have it.
        as_of: until when events are seen, with its offset from UTC.
        definitions: the metrics over events that plans may name.
        plan: as written; None: the one that the experiment is kept with.
        phase: None: the newest that units met.
        segments: attributes of exposures to split by. situation: what people know beside the numbers.
        histograms: whether distributions are wanted for a report.
        exposures: a declared table that exposures are read from; None: those that Upshot logged.
        cohorts: whether views by cohort are wanted.
    """

    data: Path
    experiment: str
    as_of: datetime
    definitions: Mapping[str, EventMetric]
    plan: Plan | None = None
    phase: int | None = None
    segments: tuple[str, ...] = ()
    situation: Situation = field(default_factory=Situation)
    histograms: bool = False
    exposures: ExposureTable | None = None
    cohorts: bool = False

    @property
    def day(self) -> date:
        """The last day that is seen, in UTC."""
        return (self.as_of - timedelta(microseconds=1)).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A look.

    Attributes:
        experiment, phase, number: which it is.
        findings: what it says; sealed where effects are not to be seen yet.
        is_new: False: nothing is new since this look, and no other was taken.
        is_sealed: whether effects are left out.
        differs: of a look that was given again: what it says otherwise than it did; empty where it is the same.
        course: what happened to the experiment beside its looks, such as what makes its results exploratory.
    """

    experiment: str
    phase: int
    number: int
    findings: Findings
    is_new: bool
    is_sealed: bool
    differs: tuple[str, ...] = ()
    course: Course = field(default_factory=Course)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is kept of a phase: the experiment, what later looks need of each look, and the last one whole."""

    known: Experiment | None
    phase: int
    history: tuple[Look, ...]
    last: StoredLook | None


def live_look(store: ControlStore, asked: Asked, actor: str) -> Taken:
    """Look at a running experiment, and keep the look.

    The first look takes an experiment up that nobody proposed, with its plan, which binds from then on.

    Args:
        actor: who looks, for the audit chain.

    Raises:
        InputError: the data, the plan or a metric cannot be used; nothing was kept.
        ConflictError: the experiment was not started; the plan or a metric is another one than data were seen under;
            the look would go back in time; or somebody else looked meanwhile.
    """
    with store.reading() as connection:
        known = _known(connection, asked.experiment)
    if known is not None:
        asked = as_designed(asked, known)
    with met(asked.data, asked.experiment, asked.as_of, asked.exposures, asked.segments) as found:
        phase = asked.phase or max(found.newest, known.phase if known else 1)
        past = past_of(store, asked.experiment, phase)
        plan = plan_in_force(asked.experiment, past.known, asked.plan, seen=past.last is not None)
        check_plan(plan, asked.definitions)
        if past.last is not None:
            _check_goes_on(past.last, plan, asked)
        cells = live_cohorts(found, plan, asked.definitions, phase) if asked.cohorts else None
        if past.last is not None and _is_settled(past.last):
            return _taken(store, asked, actor, plan, past, past.last.evidence, cells)
        evidence = live_evidence(
            found, plan, asked.definitions, phase, segments=asked.segments, histograms=asked.histograms
        )
    return _taken(store, asked, actor, plan, past, evidence, cells)


def as_designed(asked: Asked, known: Experiment) -> Asked:
    """What is asked, with what the experiment's design and course say of it.

    Raises:
        ConflictError: it was not started.
    """
    if known.started_at is None:
        raise ConflictError(
            f"{known.id} is {known.state}: start it by `upshot experiment start {known.id}`, then look at it"
        )
    said, given = known.course.situation, asked.situation
    unsealed = known.course.unsealed
    situation = Situation(
        notes=tuple(dict.fromkeys((*said.notes, *given.notes))),
        acknowledged={**said.acknowledged, **given.acknowledged},
        effects_seen=unsealed.at.date() if unsealed else given.effects_seen,
    )
    return replace(asked, situation=situation, segments=asked.segments or known.design.segments)


def given_again(store: ControlStore, experiment: str, number: int, phase: int | None = None) -> Taken:
    """A look that was kept, made again of what was kept: evidence, plan, the looks before, what people knew.

    Raises:
        NotFoundError: there is no such look.
    """
    with store.reading() as connection:
        phase = phase or experiments.find(connection, experiment).phase
        return again(connection, looks.find(connection, experiment, phase, number))


def again(connection: Connection, kept: StoredLook) -> Taken:
    """As `given_again`, of a look that was read."""
    before = looks.history(connection, kept.experiment, kept.phase)[: kept.number - 1]
    plan = experiments.plan_of(connection, kept.plan_hash)
    findings = findings_of(plan, kept.evidence, before, kept.look.day, kept.situation)
    differs = differences(kept.verdict, findings.verdict)
    if content_hash(analysis_to_dict(findings.analysis)) != content_hash(kept.analysis):
        differs += ("the numbers are not those that were kept",)
    told = _told(kept.experiment, kept.phase, findings, kept.situation, is_new=False, differs=differs)
    return replace(told, course=experiments.find(connection, kept.experiment).course)


def past_of(store: ControlStore, experiment: str, phase: int) -> Past:
    """What is kept of a phase of an experiment.

    Raises:
        ConflictError: the phase is over.
    """
    with store.reading() as connection:
        known = _known(connection, experiment)
        if known is not None and phase < known.phase:
            raise ConflictError(
                f"phase {phase} of {experiment} is over, phase {known.phase} runs: its looks can be given again with "
                "--replay, and no other is taken"
            )
        history = looks.history(connection, experiment, phase)
        last = looks.find(connection, experiment, phase, len(history)) if history else None
    return Past(known=known, phase=phase, history=history, last=last)


def _known(connection: Connection, experiment: str) -> Experiment | None:
    try:
        return experiments.find(connection, experiment)
    except NotFoundError:
        return None


def _check_goes_on(last: StoredLook, plan: Plan, asked: Asked) -> None:
    check_as_before(last, plan, asked.definitions)
    if last.look.day is not None and asked.day < last.look.day:
        raise ConflictError(
            f"look {last.number} saw all until {last.look.day}, and this one would end on {asked.day}: looks go on in "
            "time, give a later --as-of"
        )


def _is_settled(last: StoredLook) -> bool:
    """A plan that is judged once was judged; data that could not be believed are looked at again when mended."""
    return (
        last.verdict.verdict != "INVESTIGATE"
        and last.analysis["monitoring"] == "fixed"
        and not _was_sealed(last)
    )


def _was_sealed(last: StoredLook) -> bool:
    return last.analysis["monitoring"] == "fixed" and not last.analysis["progress"]["decision_point"]


def _taken(
    store: ControlStore,
    asked: Asked,
    actor: str,
    plan: Plan,
    past: Past,
    evidence: Evidence,
    cells: CohortCells | None,
) -> Taken:
    """The last look where nothing is new since, else the next one, kept."""
    last = past.last
    day = asked.day
    course = past.known.course if past.known else Course()
    if last is not None:
        day = last.look.day if last.look.day and evidence is last.evidence else asked.day
        again = findings_of(plan, evidence, past.history[:-1], day, last.situation)
        if _is_nothing_new(last, again, asked.situation):
            again = _with_cohorts(again, cells, asked.as_of)
            told = _told(asked.experiment, past.phase, again, last.situation, is_new=False)
            return replace(told, course=course)
    situation = _situation(last, asked.situation)
    findings = findings_of(plan, evidence, past.history, day, situation)
    with store.changing(actor, f"a look as of {asked.as_of.isoformat()}") as change:
        keep_look(change, asked.experiment, past, plan, findings, situation)
    findings = _with_cohorts(findings, cells, asked.as_of)
    return replace(_told(asked.experiment, past.phase, findings, situation, is_new=True), course=course)


def _with_cohorts(findings: Findings, cells: CohortCells | None, as_of: datetime) -> Findings:
    if cells is None:
        return findings
    return replace(findings, cohorts=cohorts_of(findings.plan, findings.evidence, cells, as_of))


def findings_of(
    plan: Plan, evidence: Evidence, before: Sequence[Look], day: date | None, situation: Situation
) -> Findings:
    """What a plan says of evidence after the looks before; not sealed yet."""
    analysis = analyze(plan, evidence, before, day)
    return Findings(
        plan=replace(plan, metrics=evidence.metrics, unit=evidence.unit),
        evidence=evidence,
        analysis=analysis,
        verdict=decide(plan, analysis, situation),
        looks=tuple(before),
    )


def _told(
    experiment: str,
    phase: int,
    findings: Findings,
    situation: Situation,
    *,
    is_new: bool,
    differs: tuple[str, ...] = (),
) -> Taken:
    """What may be shown of a look."""
    hidden = is_sealed(findings.plan, findings.analysis)
    return Taken(
        experiment=experiment,
        phase=phase,
        number=findings.analysis.look.number,
        findings=sealed(findings, situation) if hidden else findings,
        is_new=is_new,
        is_sealed=hidden,
        differs=differs,
    )


def _is_nothing_new(last: StoredLook, again: Findings, given: Situation) -> bool:
    """Whether data, day, plan and what people know are those of the last look."""
    known = last.situation
    told = set(given.notes) <= set(known.notes) and given.acknowledged.items() <= known.acknowledged.items()
    same = is_same(again.analysis.look, last.look) and again.analysis.look.day == last.look.day
    ended = [(one.verdict, one.cause, one.winner) for one in (again.verdict, last.verdict)]
    return told and same and ended[0] == ended[1]


def _situation(last: StoredLook | None, given: Situation) -> Situation:
    """What people know: all of before and what is given now, and since when effects were seen."""
    if last is None:
        return given
    before = last.situation
    seen = before.effects_seen or given.effects_seen or (None if _was_sealed(last) else last.look.day)
    return Situation(
        notes=tuple(dict.fromkeys((*before.notes, *given.notes))),
        acknowledged={**before.acknowledged, **given.acknowledged},
        effects_seen=seen,
    )


def keep_look(
    change: Change, experiment: str, past: Past, plan: Plan, findings: Findings, situation: Situation
) -> None:
    """Keep a look, after what the experiment has to be brought to for it."""
    _register(change, past, plan)
    looks.keep(
        change,
        experiment,
        evidence=findings.evidence,
        analysis=findings.analysis,
        verdict=findings.verdict,
        situation=situation,
    )


def _register(change: Change, past: Past, plan: Plan) -> None:
    """Take an experiment up, or bring it to the plan and the phase that are looked at."""
    if past.known is None:
        known = experiments.create(change, plan)
    else:
        known = experiments.save_plan(change, plan.id, plan, past.known.version)
    if known.state in ("planned", "implemented"):
        known = experiments.move(change, known.id, "running")
    while known.phase < past.phase:
        known = experiments.begin_phase(change, known.id)
