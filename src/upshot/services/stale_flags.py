"""Flags that are done: what they were for is decided, their day has passed, or nobody meets them any more.

A flag that stays in the code is a branch that nobody tests. Each is told once, as long as it is there.
"""

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from upshot.errors import InputError
from upshot.events.reader import connect
from upshot.model.event_metric import EXPOSURE
from upshot.model.flag import Flag
from upshot.model.lifecycle import State
from upshot.services.alerts import Alerts
from upshot.services.anomalies import FlagSource
from upshot.services.rollout_tally import VIEWED
from upshot.store import experiments
from upshot.store.alerts import Finding
from upshot.store.control import ControlStore

SCOPE = "stale/"
UNMET = timedelta(days=30)
"""A flag that units met before, and none for so long, is not asked for any more."""
OVER: tuple[State, ...] = ("decided", "completed", "iterated")
"""States in which an experiment needs its rule no more."""

_log = logging.getLogger("upshot.flags")


class StaleFlags:
    """The watch over flags that could go."""

    def __init__(self, store: ControlStore, flags: FlagSource, directory: Path, alerts: Alerts) -> None:
        """
        Args:
            store: of the experiments. flags: that are looked through. directory: the data directory.
            alerts: what people are told by.
        """
        self._store, self._flags, self._directory, self._alerts = store, flags, directory, alerts

    def look(self, now: datetime) -> None:
        """Find the flags that could go, and tell."""
        flags = in_force(self._flags)
        if flags is None:
            return
        with self._store.reading() as connection:
            states = {one.id: one.state for one in experiments.listed(connection)}
        met = last_met(self._directory)
        reasons = {key: tuple(_reasons(flag, states, met.get(key), now)) for key, flag in flags.items()}
        found = [_finding(flags[key], why) for key, why in reasons.items() if why]
        self._alerts.report(SCOPE, found)


def in_force(source: FlagSource) -> Mapping[str, Flag] | None:
    """The flags in force, by key; None, which is logged: they cannot be read."""
    try:
        stored = source.read()
    except InputError as error:
        _log.error("flags are not looked through: %s", error)
        return None
    return stored.applied.flags if stored.applied else {}


def last_met(directory: Path) -> Mapping[str, datetime]:
    """By flag, when a unit met it last; flags that tell nobody of it are not among them."""
    query = (
        "SELECT json_extract_string(properties, '$.flag') AS flag, max(time) FROM events "
        "WHERE event IN (?, ?) GROUP BY 1 HAVING flag IS NOT NULL"
    )
    with connect(directory, threads=1) as database:
        rows = database.execute(query, [VIEWED, EXPOSURE]).fetchall()
    return {flag: last.replace(tzinfo=UTC) for flag, last in rows}


def _reasons(flag: Flag, states: Mapping[str, State], met: datetime | None, now: datetime) -> Iterator[str]:
    carried = [rule.experiment.id for rule in flag.rules if rule.experiment is not None]
    yield from (f"{one} is {states[one]}" for one in carried if states.get(one) in OVER)
    if flag.expires is not None and flag.expires < now.astimezone(UTC).date():
        yield f"it was to be gone by {flag.expires}"
    if met is not None and now - met >= UNMET:
        yield f"no unit has met it since {met.date()}"


def _finding(flag: Flag, why: tuple[str, ...]) -> Finding:
    owner = f"{flag.owner}: " if flag.owner else ""
    return Finding(
        key=f"{SCOPE}{flag.key}",
        subject=f"flag/{flag.key}",
        severity="info",
        what=f"flag {flag.key} is stale: {'; '.join(why)}",
        advice=f"{owner}take it out of the code with the branch that lost, then out of the flags",
        evidence={"reasons": list(why)},
    )
