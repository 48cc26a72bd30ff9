"""Watching rollouts: what harms is turned off, by itself where its flag says so, and people are told.

One process of those that share a data directory watches. It reads what is new in the log; what is older it reads once,
when it begins, or when what is to be counted changes.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from upshot.analysis.rollout import Standing, Subject, subject_of, watch
from upshot.errors import InputError, UpshotError
from upshot.events.following import Following, Recent
from upshot.events.reader import connect
from upshot.model.event_metric import EXPOSURE
from upshot.services.alerts import ACTOR, Alerts
from upshot.services.flag_switch import Switchable, switch
from upshot.services.rollout_tally import VIEWED, Happened, Signals, Tally, read_met
from upshot.store.alerts import Finding
from upshot.store.flag_store import Stored
from upshot.store.kill_file import Switching

EVERY = 2.0
"""Seconds between two looks."""
PAST = timedelta(days=30)
"""So far back a rollout is counted when watching begins."""
SCOPE = "rollout/"

_OVERLAP = timedelta(hours=1)  # in which an event may lie in a file and in a segment that is still read
_log = logging.getLogger("upshot.monitoring")


class WatchedStore(Switchable, Protocol):
    """A store of flags that can be watched."""

    def version(self) -> Hashable:
        """Changes when something was edited or switched."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """A rollout, and for which time it is watched."""

    subject: Subject
    round: int


class Monitor:
    """The watch over the rollouts of a store. One thread calls `look`, again and again."""

    def __init__(
        self,
        store: WatchedStore,
        directory: Path,
        alerts: Alerts,
        clock: Callable[[], datetime],
        signals: Signals | None = None,
    ) -> None:
        """
        Args:
            store: of the flags. directory: the data directory. alerts: what people are told by. clock: gives now.
            signals: what is an error, and a latency.
        """
        self._store, self._directory, self._alerts, self._clock = store, directory, alerts, clock
        self._signals = signals or Signals()
        self._lease: int | None = None
        self._version: Hashable = None
        self._stored: Stored | None = None
        self._watched: Mapping[str, _Watched] = {}
        self._tallies: dict[str, Tally] = {}
        self._standings: dict[str, tuple[Standing, ...]] = {}
        self._since: dict[str, datetime] = {}
        self._following: Following | None = None

    @property
    def standings(self) -> Mapping[str, tuple[Standing, ...]]:
        """By flag, where its variants stood at the last look."""
        return dict(self._standings)

    def look(self) -> None:
        """Read what is new, turn off what is proven to harm, and tell. Does nothing where another process watches."""
        if not self._has_lease():
            return
        stored = self._refresh()
        changed = self._read_on()
        for key in changed:
            self._standings[key] = watch(self._watched[key].subject, self._tallies[key].seen())
        failed = dict(self._kill(changed))
        if failed or any(self._harms(key) for key in changed):
            stored = self._refresh()
        self._alerts.report(SCOPE, [*self._findings(), *failed.values(), *_killed(stored)])

    def close(self) -> None:
        """Let go of the log, and let another process watch."""
        if self._following is not None:
            self._following.close()
        if self._lease is not None:
            os.close(self._lease)
            self._lease = None

    def _has_lease(self) -> bool:
        if self._lease is not None:
            return True
        descriptor = os.open(self._directory / "monitor.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lease = descriptor
        return True

    def _refresh(self) -> Stored | None:
        """What is in force now; where it cannot be read, what was."""
        version = self._store.version()
        if version != self._version:
            try:
                self._stored = self._store.read()
            except InputError as error:
                _log.error("rollouts are watched as they were: %s", error)
            self._version = version
            self._turn_to(_to_watch(self._stored))
        return self._stored

    def _turn_to(self, watched: Mapping[str, _Watched]) -> None:
        """Watch these from now on. What is counted already goes on; what is new is counted from the past on."""
        begins = any(self._watched.get(key) != one for key, one in watched.items())
        self._watched = watched
        if begins or not watched:
            self._begin()
        for counted in (self._tallies, self._standings):
            for key in counted.keys() - watched.keys():
                del counted[key]

    def _begin(self) -> None:
        if self._following is not None:
            self._following.close()
            self._following = None
        self._tallies = {key: Tally(one.subject) for key, one in self._watched.items()}
        self._standings = {}
        if not self._watched:
            return
        recent = Recent()
        self._following = Following(self._directory, recent)
        newest = [_happened(event) for event in self._following.more()]
        for past in (self._past(recent), newest):
            for event in past:
                self._count(event)
        for key, tally in self._tallies.items():
            self._standings[key] = watch(self._watched[key].subject, tally.seen())

    def _past(self, recent: Recent) -> Iterator[Happened]:
        """What lies in files and matters here, oldest first, but for what is read from segments."""
        signals, now = self._signals, self._clock()
        query = (
            "SELECT type, event, unit, epoch_us(time), properties, source, message_id, received_at >= $late "
            "FROM events WHERE arrival IS NOT NULL AND received_at >= $since "
            "AND (event IN ($viewed, $exposure, $error) "
            "OR contains(properties, $error_property) OR contains(properties, $latency)) ORDER BY received_at"
        )
        values = {
            "since": _naive(now - PAST), "late": _naive(now - _OVERLAP), "viewed": VIEWED, "exposure": EXPOSURE,
            "error": signals.error_event, "error_property": f'"{signals.error_property}"',
            "latency": f'"{signals.latency_property}"',
        }  # fmt: skip
        with connect(self._directory, threads=1) as database:
            found = database.execute(query, values)
            while rows := found.fetchmany(10_000):
                for *happened, source, message_id, is_late in rows:
                    if not is_late or recent.first(source, message_id):
                        yield Happened(*happened)

    def _read_on(self) -> set[str]:
        """Count what came since the last look; the flags that it was about."""
        if self._following is None:
            return set()
        changed: set[str] = set()
        for event in self._following.more():
            changed |= self._count(_happened(event))
        return changed

    def _count(self, event: Happened) -> set[str]:
        met = read_met(event)
        if met is not None:
            watched = self._watched.get(met.flag)
            if watched is None or watched.round != met.round:
                return set()
            self._tallies[met.flag].meet(event.unit, met, event.time)
            return {met.flag}
        error, latency = self._signals.read(event)
        if not error and latency is None:
            return set()
        for tally in self._tallies.values():
            tally.happen(event.unit, event.time, error, latency)
        return set(self._tallies)

    def _harms(self, key: str) -> Standing | None:
        return next((one for one in self._standings.get(key, ()) if one.state == "harmed"), None)

    def _kill(self, changed: set[str]) -> Iterator[tuple[str, Finding]]:
        """Turn off what harms, where its flag says so; what could not be turned off, as findings."""
        for key in [*changed, *(key for key in self._standings if key not in changed)]:
            harm = self._harms(key)
            if harm is None or not self._watched[key].subject.limits.auto_kill:
                continue
            entry = Switching(flag=key, action="kill", at=self._clock(), actor=ACTOR, reason=harm.sentence)
            try:
                switch(self._store, entry)
                _log.warning("flag %s is turned off: %s", key, harm.sentence)
            except UpshotError as error:
                _log.error("flag %s harms and could not be turned off: %s", key, error)
                yield key, self._stuck(key, harm, error)

    def _findings(self) -> Iterator[Finding]:
        for key, standings in self._standings.items():
            for one in standings:
                place = f"{SCOPE}{key}/{self._watched[key].round}/{one.limit}/{one.variant}"
                if one.state == "harmed" and not self._watched[key].subject.limits.auto_kill:
                    what = f"flag {key} harms with {one.variant}, and is on: it has no autoKill"
                    advice = (
                        f"see what changed with it, and turn it off by `upshot flag kill {key} --reason WHY`"
                    )
                    yield self._finding(place, key, one, (what, advice))
                elif one.warning:
                    what = f"flag {key}: its control is beyond the limit, too"
                    advice = f"see what ails the service as a whole, or raise the limit of flag {key}"
                    yield self._finding(f"{place}/control", key, one, (what, advice))

    def _stuck(self, key: str, harm: Standing, error: UpshotError) -> Finding:
        what = f"flag {key} harms, and cannot be turned off: {error}"
        return self._finding(f"{SCOPE}{key}/stuck", key, harm, (what, "turn it off where it is edited"))

    def _finding(self, place: str, key: str, one: Standing, told: tuple[str, str]) -> Finding:
        since = self._since.setdefault(place, self._clock())
        harms = one.state == "harmed"
        return Finding(
            key=place,
            subject=f"flag/{key}",
            severity="critical" if harms else "warning",
            what=told[0],
            advice=told[1],
            evidence={"since": since.isoformat(), "said": one.sentence if harms else one.warning, "value": one.value,
                      "allowed": one.allowed, "p_value": one.p_value, "level": one.level},
        )  # fmt: skip


def _to_watch(stored: Stored | None) -> dict[str, _Watched]:
    """The rollouts in force that have limits and are on."""
    if stored is None or stored.applied is None:
        return {}
    on = {
        key: flag
        for key, flag in stored.applied.flags.items()
        if flag.enabled and key not in stored.kills.off
    }
    found = {key: subject_of(flag) for key, flag in on.items()}
    rounds = stored.kills.rounds
    return {
        key: _Watched(subject, rounds.get(key, 1)) for key, subject in found.items() if subject is not None
    }


def _killed(stored: Stored | None) -> Iterator[Finding]:
    """That monitoring turned a flag off, for as long as it is off."""
    for key, entry in (stored.kills.off if stored else {}).items():
        if entry.actor == ACTOR:
            yield Finding(
                key=f"{SCOPE}{key}/killed/{entry.at.isoformat()}",
                subject=f"flag/{key}",
                severity="critical",
                what=f"flag {key} was turned off: its rollout did harm",
                advice=f"mend what changed with it, and give it back by `upshot flag revive {key} --reason WHY`",
                evidence={"since": entry.at.isoformat(), "said": entry.reason},
            )


def _happened(event: Happened | object) -> Happened:
    return Happened(*(getattr(event, name) for name in Happened._fields))


def _naive(at: datetime) -> datetime:
    """As the files have it: UTC without saying so."""
    return at.astimezone(UTC).replace(tzinfo=None)
