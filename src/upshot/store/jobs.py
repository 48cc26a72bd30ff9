"""Jobs: what is done again and again, when each was done last, and which process does them.

A lease is held by one process at a time, for a few seconds; who dies does not renew it, and another takes it. Neither
leases nor runs are in the audit chain: nobody decides anything by them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from upshot.store.audit import Change
from upshot.store.tables import JOBS, LEASES


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """The last run of a job.

    Attributes:
        name: of the job. every: its period.
        began, ended: when, by the clock that jobs follow; None: it never ran.
        due: from when on it is to run again; None: at once.
        fault: what went wrong, in a sentence; empty where nothing did.
        holder: the process that ran it.
    """

    name: str
    every: timedelta
    began: datetime | None = None
    ended: datetime | None = None
    due: datetime | None = None
    fault: str = ""
    holder: str = ""

    def is_due(self, now: datetime) -> bool:
        """Whether it is to run."""
        return self.due is None or self.due <= now


def take(change: Change, name: str, holder: str, now: datetime, lasts: timedelta) -> bool:
    """Take a lease, or keep it; False where another process holds it.

    Args:
        now: by a clock that all processes share; `Change.at` may be a simulation's.
        lasts: for how long, unless it is taken again before.
    """
    held = change.connection.execute(select(LEASES).where(LEASES.c.name == name)).one_or_none()
    if held is None:
        change.connection.execute(insert(LEASES).values(name=name, holder=holder, until=now + lasts))
        return True
    if held.holder != holder and held.until > now:
        return False
    values = {"holder": holder, "until": now + lasts}
    change.connection.execute(update(LEASES).where(LEASES.c.name == name).values(**values))
    return True


def release(change: Change, name: str, holder: str) -> None:
    """Give a lease back, where this process holds it."""
    change.connection.execute(delete(LEASES).where(LEASES.c.name == name, LEASES.c.holder == holder))


def holder_of(connection: Connection, name: str, now: datetime) -> str | None:
    """The process that holds a lease; None where none does."""
    query = select(LEASES.c.holder).where(LEASES.c.name == name, LEASES.c.until > now)
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def keep(change: Change, run: JobRun) -> None:
    """Keep the last run of a job."""
    values = {"every": round(run.every.total_seconds()), "began": run.began, "ended": run.ended, "due": run.due,
              "fault": run.fault, "holder": run.holder}  # fmt: skip
    if find(change.connection, run.name) is None:
        change.connection.execute(insert(JOBS).values(name=run.name, **values))
    else:
        change.connection.execute(update(JOBS).where(JOBS.c.name == run.name).values(**values))


def find(connection: Connection, name: str) -> JobRun | None:
    """The last run of a job; None where it was never met."""
    row = connection.execute(select(JOBS).where(JOBS.c.name == name)).mappings().one_or_none()
    return None if row is None else _run(row)


def listed(connection: Connection) -> Sequence[JobRun]:
    """The last run of each job, by name."""
    return [_run(row) for row in connection.execute(select(JOBS).order_by(JOBS.c.name)).mappings()]


def _run(row: RowMapping) -> JobRun:
    fields: dict[str, Any] = {**row, "every": timedelta(seconds=row["every"])}
    return JobRun(**fields)
