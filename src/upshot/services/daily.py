"""Daily looks: each experiment that runs is looked at once for each day, at its end in UTC, by the server itself.

A day that was missed is not looked at afterwards: looks cost alpha, and the one at the last midnight sees all of it.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from upshot.errors import UnavailableError, UpshotError
from upshot.services.alerts import Alerts
from upshot.services.defined import Defined
from upshot.services.live import Asked, live_look
from upshot.store import experiments, looks
from upshot.store.alerts import Finding
from upshot.store.control import ControlStore
from upshot.store.experiments import Experiment

ACTOR = "upshot looks"
SCOPE = "look/"

_log = logging.getLogger("upshot.looks")


class DailyLooks:
    """The looks that a server takes of the experiments in its control store."""

    def __init__(
        self,
        store: ControlStore,
        directory: Path,
        defined: Callable[[], Defined],
        alerts: Alerts,
    ) -> None:
        """
        Args:
            store: of the experiments. directory: the data directory.
            defined: gives what can be measured, as files say it now. alerts: what people are told by.
        """
        self._store, self._directory = store, directory
        self._defined, self._alerts = defined, alerts

    def take(self, now: datetime) -> None:
        """Take what looks are due as of the last midnight; what cannot be looked at is told, and hinders no other.

        Raises:
            UnavailableError: some could not be taken now; those that were are not taken again.
        """
        as_of = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        with self._store.reading() as connection:
            running = experiments.listed(connection, "running")
            due = [one for one in running if not _is_looked_at(one, looks.last(connection, one.id), as_of)]
        found: list[Finding] = []
        later: list[UnavailableError] = []
        for experiment in due:
            try:
                found += self._look(experiment, as_of)
            except UnavailableError as error:
                later.append(error)
        self._alerts.report(SCOPE, found)
        if later:
            raise later[0]

    def _look(self, experiment: Experiment, as_of: datetime) -> Iterator[Finding]:
        try:
            defined = self._defined()
            asked = Asked(
                data=self._directory,
                experiment=experiment.id,
                as_of=as_of,
                definitions=defined.metrics,
                exposures=defined.exposures,
                segments=experiment.design.segments,
                situation=experiment.course.situation,
            )
            taken = live_look(self._store, asked, ACTOR)
        except UnavailableError:
            raise
        except UpshotError as error:
            _log.error("%s could not be looked at: %s", experiment.id, error)
            yield _cannot(experiment, as_of, str(error))
        except Exception as error:
            _log.exception("%s could not be looked at", experiment.id)
            yield _cannot(experiment, as_of, f"a fault of ours ({type(error).__name__}: {error})")
        else:
            verdict = taken.findings.verdict
            _log.info("%s: look %d: %s: %s", experiment.id, taken.number, verdict.verdict, verdict.headline)


def _is_looked_at(experiment: Experiment, last: looks.StoredLook | None, as_of: datetime) -> bool:
    """Whether there is nothing to look at yet, or somebody looked that day or later."""
    if experiment.started_at is not None and experiment.started_at >= as_of:
        return True
    if last is None or last.look.day is None or last.phase < experiment.phase:
        return False
    return last.look.day >= (as_of - timedelta(microseconds=1)).date()


def _cannot(experiment: Experiment, as_of: datetime, why: str) -> Finding:
    return Finding(
        key=f"{SCOPE}{experiment.id}",
        subject=f"experiment/{experiment.id}",
        severity="warning",
        what=f"experiment {experiment.id} cannot be looked at: {why}",
        advice=f"mend it, and look by `upshot look {experiment.id}`; the server tries again after the next midnight",
        evidence={"as_of": as_of.isoformat(), "said": why},
    )
