"""Alerts: what somebody should hear of, once for as long as it lasts.

What is seen again while it lasts is counted, and not told again; when it has ended and comes back, it is a new alert.
That an alert is raised, told and ended is in the audit chain; that it was seen once more changes nothing that anybody
decided, and is not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from upshot.errors import InputError, NotFoundError
from upshot.formats.canonical import canonical_json
from upshot.store.audit import Change, record
from upshot.store.control import storable
from upshot.store.tables import ALERTS, time_text

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found, before it is known whether anybody heard of it.

    Attributes:
        key: names what it is about, such as ``guardrail/EXP-2026-001/treatment/crashed``; one alert at a time has it.
        subject: ``experiment/EXP-2026-001``, ``flag/checkout``.
        severity: how soon somebody should look.
        what: what it is, in a sentence. advice: what to do about it.
        evidence: the numbers behind it, as plain values.
    """

    key: str
    subject: str
    severity: Severity
    what: str
    advice: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A finding that lasts, or did.

    Attributes:
        id: its number. finding: the first sight of it.
        first_seen, last_seen, times: since when, until when and how often.
        delivered: channel -> when it was told there.
        ended_at: when it was over; None: it lasts.
    """

    id: int
    finding: Finding
    first_seen: datetime
    last_seen: datetime
    times: int
    delivered: Mapping[str, datetime]
    ended_at: datetime | None


def sight(change: Change, finding: Finding) -> Alert:
    """Raise an alert, or count one that lasts: `Alert.times` is 1 where it is new.

    Raises:
        InputError: it has no key, no sentence, or no such severity.
    """
    _complete(finding)
    lasting = _lasting(change.connection, finding.key)
    if lasting is None:
        return _raised(change, finding)
    seen = {"last_seen": change.at, "times": lasting.times + 1}
    change.connection.execute(update(ALERTS).where(ALERTS.c.id == lasting.id).values(**seen))
    return find(change.connection, lasting.id)


def end(change: Change, key: str) -> Alert | None:
    """What an alert told of is over; None where there was none."""
    lasting = _lasting(change.connection, key)
    if lasting is None:
        return None
    change.connection.execute(update(ALERTS).where(ALERTS.c.id == lasting.id).values(ended_at=change.at))
    record(change, "alert.ended", f"alert/{lasting.id}", after={"key": key, "times": lasting.times})
    return find(change.connection, lasting.id)


def delivered(change: Change, alert_id: int, channel: str) -> Alert:
    """An alert was told on a channel; it will not be told there again.

    Raises:
        NotFoundError: there is no such alert.
    """
    before = find(change.connection, alert_id)
    if channel in before.delivered:
        return before
    told = {**_times(before.delivered), storable(channel, "the channel"): time_text(change.at)}
    values = {"delivered": canonical_json(told)}
    change.connection.execute(update(ALERTS).where(ALERTS.c.id == alert_id).values(**values))
    record(change, "alert.delivered", f"alert/{alert_id}", before=_times(before.delivered), after=told)
    return find(change.connection, alert_id)


def undelivered(connection: Connection, channel: str) -> tuple[Alert, ...]:
    """Alerts that last and were not told on a channel yet, the oldest first."""
    return tuple(alert for alert in lasting(connection) if channel not in alert.delivered)


def lasting(connection: Connection, subject: str | None = None) -> tuple[Alert, ...]:
    """Alerts that last, of one subject or of all, the oldest first."""
    query = select(ALERTS).where(ALERTS.c.ended_at.is_(None)).order_by(ALERTS.c.id)
    if subject is not None:
        query = query.where(ALERTS.c.subject == subject)
    return tuple(_alert(row) for row in connection.execute(query).mappings())


def listed(connection: Connection, limit: int = 100) -> tuple[Alert, ...]:
    """The last alerts, over or not, the newest first."""
    query = select(ALERTS).order_by(ALERTS.c.id.desc()).limit(limit)
    return tuple(_alert(row) for row in connection.execute(query).mappings())


def find(connection: Connection, alert_id: int) -> Alert:
    """One alert.

    Raises:
        NotFoundError: there is no such alert.
    """
    row = connection.execute(select(ALERTS).where(ALERTS.c.id == alert_id)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"there is no alert {alert_id}")
    return _alert(row)


# Rows


def _complete(finding: Finding) -> None:
    for name in ("key", "subject", "what", "advice"):
        if not storable(getattr(finding, name), f"the alert's {name}").strip():
            raise InputError(f"the alert's {name} is empty: an alert says what it is about, and what to do")
    if finding.severity not in get_args(Severity):
        raise InputError(
            f"the alert's severity is {finding.severity!r}: give one of {', '.join(get_args(Severity))}"
        )


def _lasting(connection: Connection, key: str) -> Alert | None:
    query = select(ALERTS).where(ALERTS.c.key == key, ALERTS.c.ended_at.is_(None))
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _alert(row)


def _raised(change: Change, finding: Finding) -> Alert:
    number: int = change.connection.execute(select(func.coalesce(func.max(ALERTS.c.id), 0) + 1)).scalar_one()
    said = {name: getattr(finding, name) for name in ("key", "subject", "severity", "what", "advice")}
    evidence = canonical_json(finding.evidence)
    seen = {"first_seen": change.at, "last_seen": change.at, "times": 1, "delivered": "{}"}
    change.connection.execute(insert(ALERTS).values(id=number, **said, evidence=evidence, **seen))
    record(change, "alert.raised", f"alert/{number}", after={**said, "evidence": finding.evidence})
    return find(change.connection, number)


def _alert(row: RowMapping) -> Alert:
    said = {name: row[name] for name in ("key", "subject", "severity", "what", "advice")}
    times = {name: row[name] for name in ("id", "first_seen", "last_seen", "times", "ended_at")}
    told = {channel: datetime.fromisoformat(at) for channel, at in json.loads(row["delivered"]).items()}
    return Alert(finding=Finding(**said, evidence=json.loads(row["evidence"])), delivered=told, **times)


def _times(told: Mapping[str, datetime]) -> dict[str, str]:
    return {channel: time_text(at) for channel, at in told.items()}
