"""What goes on: alerts, events, jobs, and who changed what."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from upshot.doors.web.api.answers import Limit, Offset, Page, page, told
from upshot.doors.web.api.caller import Auditor, Reader
from upshot.doors.web.api.parts import Given
from upshot.store.alerts import Alert

router = APIRouter()


class KnownAlert(BaseModel):
    """Something that was noticed, with its evidence and what to do; it lasts where ``ended_at`` is null."""

    id: int
    subject: str
    severity: str
    what: str
    advice: str
    evidence: Mapping[str, Any]
    first_seen: datetime
    last_seen: datetime
    times: int
    ended_at: datetime | None


class Kind(BaseModel):
    """A kind of event, and how many there are of it."""

    model_config = ConfigDict(from_attributes=True)

    type: str
    event: str | None
    events: int
    units: int
    last: datetime


class EventStats(BaseModel):
    """What came in."""

    events: int
    units: int
    rejected: int
    bytes: int
    lag: float = Field(description="Seconds since the oldest events that are not in files yet.")
    kinds: list[Kind] = Field(description="Those first of which there are most; 500 at most.")


class RejectedMessage(BaseModel):
    """A message that is no event, and why."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    source: str
    received: datetime
    index: int
    message_id: str | None
    reason: str


class JobStatus(BaseModel):
    """What the server does by itself, and when it did it last."""

    name: str
    every_seconds: int
    began: datetime | None
    ended: datetime | None
    due: datetime | None
    fault: str | None
    holder: str | None


class AuditRow(BaseModel):
    """A row of the audit chain."""

    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: str | None
    after: str | None
    reason: str
    previous: str
    hash: str


class ChainProof(BaseModel):
    """What a walk over the whole chain found; whole where there are no problems."""

    model_config = ConfigDict(from_attributes=True)

    rows: int
    head: str = Field(description="Note it elsewhere: it tells later whether the chain was written anew.")
    problems: list[str]


@router.get("/alerts", responses=told(), tags=["alerts"])
def list_alerts(_: Reader, parts: Given, limit: Limit = 100, offset: Offset = 0) -> Page[KnownAlert]:
    """What was noticed, over or not, the newest first."""
    from upshot.store import alerts

    with parts.store.reading() as connection:
        found = alerts.listed(connection, limit + offset + 1)
    return page([_alert(one) for one in found], limit, offset)


@router.get("/events/stats", responses=told(), tags=["events"])
def event_stats(_: Reader, parts: Given) -> EventStats:
    """How many events there are, of which kinds, and how far files are behind."""
    from upshot.services.events import stats

    found = stats(parts.workspace().data)
    return EventStats(
        events=found.stock.events,
        units=found.units,
        rejected=found.rejected,
        bytes=found.stock.bytes + found.stock.segment_bytes,
        lag=found.stock.lag,
        kinds=[Kind.model_validate(one) for one in found.kinds[:500]],
    )


@router.get("/events/rejected", responses=told(), tags=["events"])
def rejected_messages(
    _: Reader, parts: Given, limit: Limit = 100, offset: Offset = 0
) -> Page[RejectedMessage]:
    """Messages that are no events, each with its reason. What they hold is shown by `upshot events rejected` alone."""
    from upshot.services.events import rejected

    found = list(islice(rejected(parts.workspace().data), limit + offset + 1))
    return page([RejectedMessage.model_validate(one) for one in found], limit, offset)


@router.get("/jobs", responses=told(), tags=["jobs"])
def list_jobs(_: Reader, parts: Given) -> list[JobStatus]:
    """What the server does by itself: when it did each last, and what failed."""
    from upshot.services.jobs import told as plain
    from upshot.store import jobs

    with parts.store.reading() as connection:
        return [JobStatus.model_validate(one) for one in plain(jobs.listed(connection))]


@router.get("/audit", responses=told(), tags=["audit"])
def list_audit(
    _: Auditor,
    parts: Given,
    subject: Annotated[
        str | None,
        Query(max_length=500, description="Of one thing, as key/7f3a9c1e02b4, or of a kind, as key/."),
    ] = None,
    before: Annotated[
        int | None, Query(ge=1, le=2**62, description="Rows before this number, to page on.")
    ] = None,
    limit: Limit = 100,
) -> list[AuditRow]:
    """The last changes, the newest first: when, who, what, why, what was before and after."""
    from upshot.services import audit

    found = audit.entries(parts.store, subject=subject, limit=limit, before=before)
    return [AuditRow.model_validate(asdict(one)) for one in reversed(found)]


@router.get("/audit/verify", responses=told(), tags=["audit"])
def verify_audit(
    _: Auditor,
    parts: Given,
    head: Annotated[str | None, Query(max_length=100, description="A head that was noted earlier.")] = None,
) -> ChainProof:
    """Walk the whole chain, and compare looks and plans with it."""
    from upshot.services import audit

    return ChainProof.model_validate(audit.verify(parts.store, head))


def _alert(alert: Alert) -> KnownAlert:
    finding = alert.finding
    return KnownAlert(
        id=alert.id,
        subject=finding.subject,
        severity=finding.severity,
        what=finding.what,
        advice=finding.advice,
        evidence=finding.evidence,
        first_seen=alert.first_seen,
        last_seen=alert.last_seen,
        times=alert.times,
        ended_at=alert.ended_at,
    )
