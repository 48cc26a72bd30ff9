"""The document of an experiment from the first idea to what was learnt: everything that is kept of it, in words.

Of a sealed experiment it holds findings that were sealed before they came here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from upshot.model.course import Course
from upshot.model.experiment import Design
from upshot.model.learning import Learning, Link
from upshot.model.lifecycle import State
from upshot.model.metric import Metric
from upshot.report import design_words, words
from upshot.report.cells import Table
from upshot.report.dossier_results import result_sections
from upshot.report.findings import Findings
from upshot.report.learning_words import link_lines
from upshot.report.paper import Facts, Lines, Paper, Section, paragraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that was done, as the audit chain has it."""

    at: datetime
    actor: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Something that failed or got worse, and who accepted it, when and why."""

    what: str
    reason: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """A learning of the experiment, with its links."""

    learning: Learning
    links: Sequence[Link]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """All that is kept of an experiment.

    Attributes:
        id, design, state, phase, course: as it is now. created_at, started_at, ended_at: when it was proposed, began,
            and came to its end; None: not yet.
        findings: its last look, sealed where effects are not to be seen; None before the first.
        is_sealed: whether effects are left out of the findings.
        happenings, acceptances, taught: the oldest first.
        proof: hashes, and whether the last look gives the same verdict again.
    """

    id: str
    design: Design
    state: State
    phase: int
    course: Course
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    findings: Findings | None = None
    is_sealed: bool = False
    happenings: Sequence[Happening] = ()
    acceptances: Sequence[Acceptance] = ()
    taught: Sequence[Taught] = ()
    proof: Sequence[tuple[str, str]] = field(default_factory=tuple)

    @property
    def title(self) -> str:
        """Its name with its id."""
        return f"{self.design.name} ({self.id})" if self.design.name else self.id


def dossier_paper(dossier: Dossier) -> Paper:
    """The document of an experiment."""
    course, decision = dossier.course, dossier.course.decision
    return Paper(
        title=dossier.title,
        badge=decision.verdict if decision else "",
        headline=_headline(dossier),
        beside=" · ".join(part for part in (dossier.design.owner, dossier.state, _dates(dossier)) if part),
        sections=(
            Section(title="Overview", blocks=[Facts(facts=_overview(dossier))]),
            Section(title="Hypothesis", blocks=[paragraph(*design_words.why(dossier.design))]),
            Section(
                title="Design", blocks=[Facts(facts=design_words.agreed(dossier.design, _measured(dossier)))]
            ),
            *result_sections(dossier.findings, decision, is_sealed=dossier.is_sealed),
            Section(title="Broken seal", blocks=_lines(_unsealed(course))),
            Section(title="Exploratory", blocks=_lines(_exploratory(course))),
            Section(title="Accepted", blocks=_accepted(dossier)),
            Section(title="Notes", blocks=_lines(_notes(course))),
            Section(title="Decision", blocks=_decision(dossier)),
            Section(title="After the decision", blocks=_lagging(course)),
            Section(title="Key learnings", blocks=_learnings(dossier)),
            Section(title="Course", blocks=_happened(dossier)),
            Section(title="Proof", blocks=[Facts(facts=dossier.proof)] if dossier.proof else []),
        ),
    )


def _measured(dossier: Dossier) -> Sequence[Metric]:
    return dossier.findings.evidence.metrics if dossier.findings else ()


def _headline(dossier: Dossier) -> str:
    decision, findings = dossier.course.decision, dossier.findings
    if decision is not None:
        followed = decision.verdict == decision.recommended and decision.headline
        return decision.headline if followed else decision.reason or f"Decided by {decision.actor}"
    if dossier.state == "killed":
        return f"Killed: {findings.verdict.headline if findings else 'it was turned off'}"
    if dossier.started_at is None:
        return "Not started yet"
    return findings.verdict.headline if findings else "It runs, and nobody looked yet"


def _dates(dossier: Dossier) -> str:
    first = dossier.started_at.date() if dossier.started_at else None
    last = dossier.ended_at.date() if dossier.ended_at else None
    return words.period(first, last) if first else ""


def _overview(dossier: Dossier) -> list[tuple[str, str]]:
    design, plan = dossier.design, dossier.design.plan
    decided = dossier.course.decision
    facts = [
        ("Id", dossier.id),
        ("Type", design.type or ""),
        ("Owner", design.owner),
        ("State", dossier.state + (f", phase {dossier.phase}" if dossier.phase > 1 else "")),
        ("Flag", design.flag),
        ("Proposed", words.day(dossier.created_at.date())),
        ("Started", words.day(dossier.started_at.date()) if dossier.started_at else "not yet"),
        ("Decision date", words.day(plan.end) if plan.end else ""),
        ("Decided", words.day(decided.at.date()) if decided else ""),
        ("Units", _units(dossier)),
        ("Tags", ", ".join(design.tags)),
    ]
    return [(name, text) for name, text in facts if text]


def _units(dossier: Dossier) -> str:
    if dossier.findings is None:
        return ""
    found = dossier.findings.analysis.progress.units
    total = sum(found.values())
    each = "; ".join(f"{words.plain(name)} {words.count(units)}" for name, units in found.items())
    return f"{words.count(total)} ({each})"


# What happened


def _unsealed(course: Course) -> Iterator[str]:
    seen = course.unsealed
    if seen is not None:
        yield (
            f"{seen.actor} saw effects before the decision point, on {words.day(seen.at.date())}, "
            f"because {words.sentence(seen.reason)}"
        )
        yield "Whoever saw an effect early may have stopped on it: read the result with that in mind."
        if course.unsealings > 1:
            yield f"The seal was broken {course.unsealings} times."


def _exploratory(course: Course) -> Iterator[str]:
    if course.exploratory:
        yield "What follows was changed after data were seen, so the results are exploratory:"
        yield from map(words.sentence, course.exploratory)


def _accepted(dossier: Dossier) -> list[Table]:
    rows = [
        [one.what.replace("_", " "), words.sentence(one.reason), one.actor, words.day(one.at.date())]
        for one in dossier.acceptances
    ]
    return [Table(header=["What", "Why it was accepted", "By", "On"], rows=rows)] if rows else []


def _notes(course: Course) -> Iterator[str]:
    for note in course.situation.notes:
        dated = f" ({words.day(note.dated)})" if note.dated else ""
        yield f"{note.sign}{dated}: {words.sentence(note.text)}"


def _decision(dossier: Dossier) -> list[Facts | Lines]:
    decision = dossier.course.decision
    if decision is None:
        return []
    followed = decision.verdict == decision.recommended
    advice = decision.recommended or "nothing, for nobody had looked"
    facts = [
        ("Verdict", decision.verdict),
        ("What stays", decision.variant or ""),
        ("By", f"{decision.actor}{' (automatic, as the plan says)' if decision.automatic else ''}"),
        ("On", words.day(decision.at.date())),
        ("Reason", words.sentence(decision.reason)),
        ("Recommended", f"{advice} ({decision.cause.replace('_', ' ')})" if decision.cause else advice),
        ("Against the recommendation", "" if followed else "yes"),
        ("Look", str(decision.look or "")),
        ("To be done by hand", decision.edit),
    ]
    reasons = [] if dossier.findings is None else list(map(words.sentence, dossier.findings.verdict.reasons))
    shown: list[Facts | Lines] = [Facts(facts=[(name, text) for name, text in facts if text])]
    return [*shown, Lines(lines=reasons)] if reasons else shown


_HELD = {
    "waiting": "not looked at yet", "held": "the early win held", "faded": "the early win faded",
    "reversed": "it turned round", "unclear": "it cannot be said",
}  # fmt: skip


def _lagging(course: Course) -> list[Table]:
    rows = [
        [one.metric, words.day(one.due), _HELD[one.held], words.sentence(one.sentence)]
        for one in course.lagging
    ]
    return [Table(header=["Metric", "Due", "Result", "What was found"], rows=rows)] if rows else []


def _learnings(dossier: Dossier) -> list[Lines]:
    lines = [
        line for one in dossier.taught for line in (*one.learning.text.splitlines(), *link_lines(one.links))
    ]
    return [Lines(lines=lines)] if lines else []


def _happened(dossier: Dossier) -> list[Table]:
    rows = [
        [f"{one.at:%Y-%m-%d %H:%M}", one.actor, one.what, one.reason and words.sentence(one.reason)]
        for one in dossier.happenings
    ]
    return [Table(header=["When (UTC)", "Who", "What", "Why"], rows=rows)] if rows else []


def _lines(lines: Iterator[str]) -> list[Lines]:
    told = list(lines)
    return [Lines(lines=told)] if told else []
