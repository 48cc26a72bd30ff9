"""What a server does by itself, job by job. Whoever adds one adds a line here."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from upshot.services.alerts import Alerts
from upshot.services.anomalies import AnomalyWatch
from upshot.services.daily import DailyLooks
from upshot.services.defined import Defined
from upshot.services.harm_watch import HarmWatch
from upshot.services.jobs import DAY, WEEK, Job
from upshot.services.monitoring import WatchedStore
from upshot.services.new_flags import NewFlags
from upshot.services.stale_flags import StaleFlags
from upshot.services.weekly_letter import MORNING, WeeklyLetter
from upshot.store.control import ControlStore

ON_THEIR_WAY = timedelta(minutes=5)
"""So long after midnight the day is looked at: what happened before may still be on its way."""


def jobs_of(
    store: ControlStore,
    flags: WatchedStore,
    directory: Path,
    defined: Callable[[], Defined],
    alerts: Alerts,
    clock: Callable[[], datetime],
) -> tuple[Job, ...]:
    """The jobs of a server.

    Args:
        store: of experiments and alerts. flags: that carry experiments. directory: the data directory.
        defined: gives what can be measured, as files say it now. alerts: what people are told by. clock: gives now.
    """
    looks = DailyLooks(store, directory, defined, alerts)
    harm = HarmWatch(store, flags, directory, defined, alerts)
    anomalies = AnomalyWatch(flags, directory, alerts, clock, store)
    stale = StaleFlags(store, flags, directory, alerts)
    new = NewFlags(store, flags, alerts)
    letter = WeeklyLetter(store, alerts.channels)
    return (
        Job(name="guardrails", work=harm.look, every=timedelta(seconds=2), pause=2.0),
        Job(name="looks", work=looks.take, every=DAY, after=ON_THEIR_WAY, pause=2.0),
        Job(name="anomalies", work=lambda _: anomalies.look(), every=timedelta(minutes=5), pause=2.0),
        Job(name="stale flags", work=stale.look, every=DAY, after=timedelta(hours=6), pause=10.0),
        Job(name="new flags", work=new.look, every=DAY, after=timedelta(hours=7), pause=10.0),
        Job(name="weekly report", work=letter.send, every=WEEK, after=MORNING, pause=10.0),
        Job(name="alerts", work=lambda _: alerts.deliver(), every=timedelta(seconds=1), pause=1.0),
    )
