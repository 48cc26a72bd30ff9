"""The weekly report: what runs and how far it is, what was decided and killed, what went wrong, what was learnt.

What runs is told by its progress, never by an effect: whoever sees one each Monday may stop on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from upshot.model.course import Decision
from upshot.model.learning import Learning
from upshot.report import words
from upshot.report.cells import Table
from upshot.report.learning_words import head
from upshot.report.paper import Block, Lines, Paper, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An experiment that runs or waits for its decision.

    Attributes:
        name: with its id. state: running or analyzing. since, due: of its start and its decision; None: not known.
        progress: how far it is, in words. says: what its last look says that may be said now.
    """

    name: str
    owner: str
    state: str
    since: date | None
    due: date | None
    progress: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An experiment that was decided or killed in the week.

    Attributes:
        decision: None where it was killed and nobody decided it yet. why: the reason, or what harmed.
        expected: what its winner is to be expected to bring, in words; empty where nothing is.
    """

    name: str
    decision: Decision | None
    at: datetime
    why: str
    expected: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An alert of the week, or one that lasts."""

    what: str
    severity: str
    since: datetime
    is_over: bool
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """What is told of a week.

    Attributes:
        since, until: its bounds; until itself is left out.
        proposed: names of what was proposed in it. running, ended, alerts, stale, learnings: as named.
        coming: what is due in the week after, a sentence each.
    """

    since: datetime
    until: datetime
    proposed: Sequence[str] = ()
    running: Sequence[Running] = ()
    ended: Sequence[Ended] = ()
    alerts: Sequence[Told] = ()
    stale: Sequence[Told] = ()
    learnings: Sequence[Learning] = ()
    coming: Sequence[str] = ()

    @property
    def decided(self) -> tuple[Ended, ...]:
        """What somebody decided."""
        return tuple(one for one in self.ended if one.decision is not None)

    @property
    def killed(self) -> tuple[Ended, ...]:
        """What was killed and is not decided yet."""
        return tuple(one for one in self.ended if one.decision is None)


def weekly_paper(week: Week) -> Paper:
    """The report of a week."""
    last = (week.until - timedelta(microseconds=1)).date()
    running = [one for one in week.running if one.state == "running"]
    waiting = [one for one in week.running if one.state != "running"]
    return Paper(
        title=f"Experiments, {words.period(week.since.date(), last)}",
        badge="",
        headline=_headline(week),
        beside="",
        sections=(
            Section(title="Running", blocks=_running(running)),
            Section(
                title="Waiting for a decision",
                blocks=_running(waiting),
            ),
            Section(title="Decided", blocks=_decided(week.decided)),
            Section(title="Killed", blocks=_killed(week.killed)),
            Section(title="Alerts", blocks=_alerts(week.alerts)),
            Section(title="Stale flags", blocks=_listed([_advised(one) for one in week.stale])),
            Section(title="Learnings", blocks=_learnings(week.learnings)),
            Section(title="Proposed", blocks=_listed(week.proposed)),
            Section(title="Coming up", blocks=_listed(week.coming)),
        ),
    )


def _headline(week: Week) -> str:
    running = sum(one.state == "running" for one in week.running)
    waiting = len(week.running) - running
    lasting = sum(not one.is_over for one in week.alerts)
    nothing = "nothing runs"
    parts = [
        f"{words.plural(running, 'experiment')} {'runs' if running == 1 else 'run'}" if running else nothing,
        f"{len(week.decided)} decided",
        f"{len(week.killed)} killed" if week.killed else "",
        f"{waiting} waiting for a decision" if waiting else "",
        f"{words.plural(lasting, 'alert')} open" if lasting else "",
    ]
    return words.capital(", ".join(part for part in parts if part))


def _running(running: Sequence[Running]) -> list[Block]:
    header = ["Experiment", "Owner", "Since", "Decision date", "Progress", "What can be said"]
    rows = [
        [one.name, one.owner, _day(one.since), _day(one.due), one.progress, words.sentence(one.says)]
        for one in running
    ]
    return [Table(header=header, rows=rows)] if rows else []


def _decided(decided: Sequence[Ended]) -> list[Block]:
    header = ["Experiment", "Verdict", "By", "Why", "To be expected"]
    rows = [
        [one.name, one.decision.verdict, one.decision.actor, words.sentence(one.why), one.expected or "–"]
        for one in decided
        if one.decision is not None
    ]
    return [Table(header=header, rows=rows)] if rows else []


def _killed(killed: Sequence[Ended]) -> list[Block]:
    rows = [[one.name, _day(one.at.date()), words.sentence(one.why)] for one in killed]
    return [Table(header=["Experiment", "On", "Why"], rows=rows)] if rows else []


def _alerts(alerts: Sequence[Told]) -> list[Block]:
    rows = [
        [
            one.severity,
            words.sentence(one.what),
            _day(one.since.date()),
            "over" if one.is_over else one.advice,
        ]
        for one in alerts
    ]
    return [Table(header=["How bad", "What", "Since", "What to do"], rows=rows)] if rows else []


def _learnings(learnings: Sequence[Learning]) -> list[Block]:
    return _listed([f"{head(one)}: {' '.join(one.text.splitlines())}" for one in learnings])


def _advised(one: Told) -> str:
    return f"{words.capital(one.what)} {words.capital(one.advice)}"


def _listed(lines: Sequence[str]) -> list[Block]:
    return [Lines(lines=lines)] if lines else []


def _day(day: date | None) -> str:
    return words.day(day) if day else "–"
