"""The weekly report of a workspace: made of what is kept, as of any moment, and sent where alerts go."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

from sqlalchemy import Connection

from upshot.model.learning import Learning
from upshot.model.lifecycle import State
from upshot.report import sections, words
from upshot.report.paper import Paper
from upshot.report.weekly import Ended, Running, Told, Week, weekly_paper
from upshot.services.documents import ALL, ended_at
from upshot.services.live import again
from upshot.services.stale_flags import SCOPE as STALE
from upshot.store import alerts, audit, experiments, learnings, looks
from upshot.store.alerts import Alert
from upshot.store.audit import Entry
from upshot.store.control import ControlStore
from upshot.store.experiments import Experiment

LASTS = timedelta(days=7)
NOT_ALERTS = (STALE, "decision/", "report/")
"""Keys of what is told elsewhere in the report."""

Rows = Mapping[str, Sequence[Entry]]


def weekly(store: ControlStore, as_of: datetime) -> Paper:
    """The report of the seven days before a moment, as things stood then."""
    with store.reading() as connection:
        return weekly_paper(week(connection, as_of))


def last_midnight(now: datetime) -> datetime:
    """The end of the last whole day in UTC, which reports go up to."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def week(connection: Connection, as_of: datetime) -> Week:
    """What is told of the seven days before a moment."""
    since = as_of - LASTS
    rows = _rows(connection, as_of)
    known = [one for one in experiments.listed(connection) if one.created_at < as_of]
    taught = [one for one in learnings.listed(connection) if since <= one.at < as_of]
    seen = [one for one in alerts.listed(connection, ALL) if one.first_seen < as_of]
    told = [one for one in seen if _is_lasting(one, as_of) or one.first_seen >= since]
    return Week(
        since=since,
        until=as_of,
        proposed=tuple(_name(one) for one in known if one.created_at >= since),
        running=tuple(_running(connection, one, rows[one.id], as_of) for one in known if _runs(rows[one.id])),
        ended=tuple(_ended(known, rows, taught, since, as_of)),
        alerts=tuple(_told(one, as_of) for one in told if not one.finding.key.startswith(NOT_ALERTS)),
        stale=tuple(
            _told(one, as_of) for one in told if one.finding.key.startswith(STALE) and _is_lasting(one, as_of)
        ),
        learnings=tuple(taught),
        coming=tuple(_coming(known, rows, as_of)),
    )


def _rows(connection: Connection, as_of: datetime) -> Rows:
    """The rows of the chain before a moment, by experiment."""
    found: dict[str, list[Entry]] = {}
    for row in audit.entries(connection, subject="experiment/", limit=ALL):
        kept = found.setdefault(row.subject.partition("/")[2], [])
        if datetime.fromisoformat(row.at) < as_of:
            kept.append(row)
    return found


def _state(rows: Sequence[Entry]) -> State | None:
    """The state that the last move before the moment led to."""
    moves = [row.action.partition(".")[2] for row in rows]
    return next((state for move in reversed(moves) for state in get_args(State) if move == state), None)


def _runs(rows: Sequence[Entry]) -> bool:
    return _state(rows) in ("running", "analyzing")


def _running(
    connection: Connection, experiment: Experiment, rows: Sequence[Entry], as_of: datetime
) -> Running:
    last = looks.last(connection, experiment.id, before=as_of)
    findings = again(connection, last).findings if last is not None else None
    plan = experiment.plan
    return Running(
        name=_name(experiment),
        owner=plan.owner,
        state=_state(rows) or experiment.state,
        since=experiment.started_at.date() if experiment.started_at else None,
        due=plan.end,
        progress=sections.status(findings) if findings else "nobody looked yet",
        says=findings.verdict.headline if findings else "",
    )


def _ended(
    known: Sequence[Experiment], rows: Rows, taught: Sequence[Learning], since: datetime, as_of: datetime
) -> Iterator[Ended]:
    for one in known:
        decision = one.course.decision
        if decision is not None and since <= decision.at < as_of:
            yield Ended(
                name=_name(one),
                decision=decision,
                at=decision.at,
                why=decision.reason or decision.headline,
                expected=_expected(one.id, taught),
            )
        elif _state(rows[one.id]) == "killed":
            at = ended_at(one, rows[one.id])
            if at is not None and since <= at:
                killed = [row for row in rows[one.id] if row.action == "experiment.killed"]
                yield Ended(name=_name(one), decision=None, at=at, why=killed[-1].reason)


def _expected(experiment_id: str, taught: Sequence[Learning]) -> str:
    """What a winner is to be expected to bring on what it was made for."""
    shipped = [one for one in taught if one.experiment == experiment_id and one.verdict == "SHIP"]
    effects = [effect for one in shipped for effect in one.effects if effect.role == "primary"]
    return ", ".join(
        f"{effect.metric} {words.percent(effect.expected, 1, signed=True)}"
        for effect in effects
        if effect.expected is not None and effect.moved == "better"
    )


def _told(alert: Alert, as_of: datetime) -> Told:
    finding = alert.finding
    return Told(
        what=finding.what,
        severity=finding.severity,
        since=alert.first_seen,
        is_over=not _is_lasting(alert, as_of),
        advice=finding.advice,
    )


def _is_lasting(alert: Alert, as_of: datetime) -> bool:
    return alert.ended_at is None or alert.ended_at >= as_of


def _coming(known: Sequence[Experiment], rows: Rows, as_of: datetime) -> Iterator[str]:
    """What is due in the week after."""
    first, last = as_of.date(), (as_of + LASTS).date()
    for one in known:
        if _runs(rows[one.id]) and one.plan.end is not None and one.plan.end < last:
            when = (
                f"on {words.day(one.plan.end)}"
                if one.plan.end >= first
                else f"since {words.day(one.plan.end)}"
            )
            yield f"{_name(one)} is to be decided {when}"
        for check in one.course.lagging:
            if check.held == "waiting" and check.due < last:
                yield f"{_name(one)}: {check.metric} is looked at again on {words.day(max(check.due, first))}"


def _name(experiment: Experiment) -> str:
    return f"{experiment.design.name} ({experiment.id})" if experiment.design.name else experiment.id
