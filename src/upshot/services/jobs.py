"""Jobs: what the server does by itself, each when its time has come by the clock that it is given.

When a job is due follows the clock, so that a simulation's days are days; how often is asked follows real seconds. A
job of each day is due once its day is over: what was missed while no server ran is done once, when one runs again.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic

from upshot.errors import UnavailableError, UpshotError
from upshot.services.lease import Lease
from upshot.store import jobs as kept
from upshot.store.control import ControlStore
from upshot.store.jobs import JobRun

DAY, WEEK = timedelta(days=1), timedelta(days=7)
REST = 0.5
"""What takes a second rests for half of one: what is done often must not take the machine from what it is for."""
LONGEST_PAUSE = 60.0
"""Seconds until a job that failed is tried again, at most."""

_ACTOR = "upshot jobs"
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_OFTEN = timedelta(minutes=1)  # what is done more often than so is not kept more often
_log = logging.getLogger("upshot.jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something that is done again and again.

    Attributes:
        name: what people see, in a word or two.
        work: does it as of a moment of the clock; what it raises is kept as its fault, and it is tried again.
        every: its period. Days begin at midnight UTC and weeks on Monday; its time has come when another has begun.
        after: so long after the beginning of its period.
        pause: real seconds between two times that it is asked for.
    """

    name: str
    work: Callable[[datetime], None]
    every: timedelta
    after: timedelta = timedelta(0)
    pause: float = 1.0

    def next(self, now: datetime) -> datetime:
        """When the period after that of a moment begins."""
        begun = (now - self.after - _MONDAY) // self.every
        return _MONDAY + self.after + (begun + 1) * self.every


class Jobs:
    """The jobs of a process. Each may be asked for by a thread of its own; none runs twice at once."""

    def __init__(
        self, store: ControlStore, lease: Lease, jobs: Sequence[Job], clock: Callable[[], datetime]
    ) -> None:
        """
        Args:
            store: where the last run of each is kept. lease: of who runs them. jobs: with a name of its own each.
            clock: by which they are due.
        """
        self._store, self.lease, self._clock = store, lease, clock
        self._jobs = {job.name: job for job in jobs}
        self._locks = {name: Lock() for name in self._jobs}
        self._runs: dict[str, JobRun] | None = None
        self._kept: dict[str, JobRun] = {}
        self._again: dict[str, tuple[int, float]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Of all jobs, in their order."""
        return tuple(self._jobs)

    def works(self) -> list[tuple[Callable[[], object], float]]:
        """For each job what a thread does again and again, and the real seconds between."""
        return [(_bound(self.run, name), job.pause) for name, job in self._jobs.items()]

    def run_due(self) -> tuple[JobRun, ...]:
        """Run all that is due, one after the other; when it returns, nothing is due at the time at which it began."""
        found = [self.run(name, patient=False) for name in self._jobs]
        return tuple(run for run in found if run is not None)

    def run(self, name: str, *, patient: bool = True) -> JobRun | None:
        """Run a job if it is due here and now; None where it is not, or another process runs jobs.

        Args:
            patient: whether one that failed a moment ago, or took long, is given some time.
        """
        with self._locks[name]:
            if not self.lease.is_held or (patient and monotonic() < self._again.get(name, (0, 0.0))[1]):
                self._forget(name)
                return None
            now = self._clock()
            before = self._last(name)
            if not before.is_due(now):
                return None
            after = self._done(self._jobs[name], before, now)
            self._keep(after)
            return after

    def _done(self, job: Job, before: JobRun, now: datetime) -> JobRun:
        fault, start = "", monotonic()
        try:
            job.work(now)
        except UpshotError as error:
            fault = str(error)
            _log.error("%s: %s", job.name, fault)
        except Exception as error:
            fault = f"a fault of ours ({type(error).__name__}: {error}), the server's log has more"
            _log.exception("%s failed, and will be tried again", job.name)
        tries = self._again.get(job.name, (0, 0.0))[0] + 1 if fault else 0
        rest = min(job.pause * 2**tries, LONGEST_PAUSE) if fault else REST * (monotonic() - start)
        self._again[job.name] = (tries, monotonic() + rest)
        due = before.due if fault else job.next(now)
        ended = self._clock()
        return replace(
            before, began=now, ended=ended, due=due, fault=fault, holder=self.lease.holder, every=job.every
        )

    def _last(self, name: str) -> JobRun:
        """As this process knows it; what others did before is read once."""
        if self._runs is None:
            with self._store.reading() as connection:
                self._kept = {run.name: run for run in kept.listed(connection)}
            self._runs = dict(self._kept)
        return self._runs.get(name) or JobRun(name=name, every=self._jobs[name].every)

    def _forget(self, name: str) -> None:
        """Where another process runs jobs, what it does is read when this one takes over."""
        if not self.lease.is_held:
            self._runs = None

    def _keep(self, run: JobRun) -> None:
        if self._runs is not None:
            self._runs[run.name] = run
        last = self._kept.get(run.name)
        if last is not None and not _is_news(last, run):
            return
        try:
            with self._store.changing(_ACTOR, "ran") as change:
                kept.keep(change, run)
            self._kept[run.name] = run
        except UnavailableError as error:
            _log.error("it could not be kept that %s ran (%s)", run.name, error)


def all_done(runs: Sequence[JobRun], now: datetime) -> bool:
    """Whether all that was due at a moment is done, as it is kept; False where nothing is kept yet."""
    return bool(runs) and not any(run.is_due(now) for run in runs)


def told(runs: Sequence[JobRun]) -> list[Mapping[str, object]]:
    """The last runs as plain values."""
    return [
        {
            "name": run.name,
            "every_seconds": round(run.every.total_seconds()),
            "began": _text(run.began),
            "ended": _text(run.ended),
            "due": _text(run.due),
            "fault": run.fault or None,
            "holder": run.holder or None,
        }
        for run in runs
    ]


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _is_news(last: JobRun, run: JobRun) -> bool:
    """What is done each second is kept each minute, and when it goes otherwise than before."""
    if run.fault != last.fault or run.every >= _OFTEN or last.began is None or run.began is None:
        return True
    return run.began - last.began >= _OFTEN


def _bound(run: Callable[[str], object], name: str) -> Callable[[], object]:
    return lambda: run(name)
