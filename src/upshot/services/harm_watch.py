"""The watch over running experiments: it looks for harm again and again, turns off, and tells.

It reads an experiment only where an event came since, or an hour passed (units mature by time alone), and tables that
lie elsewhere every few minutes.
"""

import logging
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from upshot.errors import InputError, UnavailableError, UpshotError
from upshot.events.arrival import arrivals
from upshot.services.alerts import ACTOR as ROLLOUTS
from upshot.services.alerts import Alerts
from upshot.services.defined import Defined
from upshot.services.flag_switch import switch
from upshot.services.harm import Harm, close_harmed, find_harm, harm_words, harmful_variants
from upshot.services.monitoring import WatchedStore
from upshot.store import experiments, looks
from upshot.store.alerts import Finding
from upshot.store.control import ControlStore
from upshot.store.experiments import Experiment
from upshot.store.flag_store import Stored
from upshot.store.kill_file import Switching
from upshot.store.looks import StoredLook

ACTOR = "upshot guardrails"
SCOPE = "harm/"
RIPENS = timedelta(hours=1)
"""Without any event, an experiment is read again after so long by the clock."""
TABLES = timedelta(minutes=5)
"""What is measured in tables beside the events is read so often: nothing tells that a row came, and others pay."""

_log = logging.getLogger("upshot.harm")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was there when an experiment was looked at last, and when that was."""

    what: Hashable
    at: datetime


class HarmWatch:
    """The watch over the experiments of a control store. One thread calls `look`, again and again."""

    def __init__(
        self,
        store: ControlStore,
        flags: WatchedStore,
        directory: Path,
        defined: Callable[[], Defined],
        alerts: Alerts,
    ) -> None:
        """
        Args:
            store: of the experiments. flags: that carry them. directory: the data directory.
            defined: gives what can be measured, as files say it now. alerts: what people are told by.
        """
        self._store, self._flags, self._directory = store, flags, directory
        self._defined, self._alerts = defined, alerts
        self._version: Hashable = None
        self._stored: Stored | None = None
        self._seen: dict[str, _Seen] = {}
        self._troubles: dict[str, Finding] = {}
        self._ended: dict[tuple[str, int], Finding | None] = {}

    def look(self, now: datetime) -> None:
        """Look for harm, turn off what is proven to harm, and tell."""
        with self._store.reading() as connection:
            running = [
                *experiments.listed(connection, "running"),
                *experiments.listed(connection, "analyzing"),
            ]
        for known in (self._seen, self._troubles):
            for gone in known.keys() - {one.id for one in running}:
                del known[gone]
        stored = self._read()
        came = arrivals(self._directory)
        for experiment in running:
            try:
                self._look_at(experiment, stored, came, now)
            except UnavailableError as error:
                _log.warning("%s is not watched now: %s", experiment.id, error)
            except UpshotError as error:
                self._trouble(experiment, "is not watched for harm", str(error))
            except Exception as error:
                _log.exception("%s is not watched for harm", experiment.id)
                self._trouble(
                    experiment, "is not watched for harm", f"a fault of ours ({type(error).__name__})"
                )
        self._alerts.report(SCOPE, [*self._killed(), *self._troubles.values()])

    def _read(self) -> Stored | None:
        """The flags in force; where they cannot be read, those that were."""
        version = self._flags.version()
        if version != self._version or self._stored is None:
            try:
                self._stored = self._flags.read()
                self._version = version
            except InputError as error:
                _log.error("experiments are watched with the flags as they were: %s", error)
        return self._stored

    def _look_at(self, experiment: Experiment, stored: Stored | None, came: Hashable, now: datetime) -> None:
        keys = _flags_of(stored, experiment.id)
        kill = self._kill_of(experiment, keys, stored)
        if kill is not None:
            self._finish(experiment, kill)
            return
        if _is_off(stored, keys) or (experiment.state == "analyzing" and not keys):
            return  # nobody gets it any more
        with self._store.reading() as connection:
            what = came, experiment.version, looks.newest(connection, experiment.id)
        seen = self._seen.get(experiment.id)
        defined = self._defined()
        tables = defined.reads_tables({metric.column for metric in experiment.plan.metrics})
        if (
            seen is not None
            and now - seen.at < (TABLES if tables else RIPENS)
            and (tables or seen.what == what)
        ):
            return
        harm = find_harm(self._store, self._directory, experiment, defined, now)
        self._seen[experiment.id] = _Seen(what, now)
        self._troubles.pop(experiment.id, None)
        if harm is not None:
            self._stop(harm, keys, now)

    def _kill_of(
        self, experiment: Experiment, keys: tuple[str, ...], stored: Stored | None
    ) -> Switching | None:
        """That a watch turned its flag off since it runs, which is to be brought to its end."""
        off = stored.kills.off if stored else {}
        since = experiment.started_at or experiment.created_at
        for entry in (off[key] for key in keys if key in off):
            own = entry.actor == ACTOR and entry.reason.startswith(f"{experiment.id}: ")
            if (own or entry.actor == ROLLOUTS) and entry.at >= since and self._is_open(experiment, entry):
                return entry
        return None

    def _is_open(self, experiment: Experiment, entry: Switching) -> bool:
        """Whether it was not ended for this before: what was killed can be taken up again."""
        if experiment.state == "running":
            return True
        with self._store.reading() as connection:
            last = looks.last(connection, experiment.id)
        return last is None or last.at < entry.at

    def _stop(self, harm: Harm, keys: tuple[str, ...], now: datetime) -> None:
        """Turn the flags off, durably, before anything else."""
        experiment = harm.experiment
        if not keys:
            self._trouble(experiment, "harms, and no flag of ours carries it", harm.sentence)
            return
        reason = f"{experiment.id}: {harm.sentence}"
        for key in keys:
            try:
                switch(self._flags, Switching(flag=key, action="kill", at=now, actor=ACTOR, reason=reason))
            except UpshotError as error:
                _log.error("flag %s harms and could not be turned off: %s", key, error)
                self._seen.pop(experiment.id, None)  # tried again at once
                what = f"harms, and its flag {key} cannot be turned off ({error})"
                self._trouble(experiment, what, harm.sentence)
                return
            _log.warning("flag %s is turned off: %s", key, reason)
        close_harmed(self._store, experiment, harm, ACTOR, reason)

    def _finish(self, experiment: Experiment, kill: Switching) -> None:
        """Bring to its end what was begun by turning the flag off, with the look that the data of that moment give."""
        harm = None
        try:
            harm = find_harm(self._store, self._directory, experiment, self._defined(), kill.at)
        except UnavailableError:
            raise
        except UpshotError as error:
            _log.warning("%s ends without the look that killed it: %s", experiment.id, error)
        close_harmed(self._store, experiment, harm, kill.actor, kill.reason)

    def _trouble(self, experiment: Experiment, what: str, said: str) -> None:
        self._troubles[experiment.id] = Finding(
            key=f"{SCOPE}{experiment.id}/trouble",
            subject=f"experiment/{experiment.id}",
            severity="critical",
            what=f"experiment {experiment.id} {what}",
            advice="turn it off where units get their variants, and mend what keeps the server from it",
            evidence={"said": said},
        )

    def _killed(self) -> Iterator[Finding]:
        """The experiments that were killed for harm, until people decided."""
        with self._store.reading() as connection:
            for one in experiments.listed(connection, "killed"):
                if (one.id, one.version) not in self._ended:
                    self._ended[one.id, one.version] = _ended(one, looks.last(connection, one.id))
                found = self._ended[one.id, one.version]
                if found is not None:
                    yield found


def _ended(experiment: Experiment, last: StoredLook | None) -> Finding | None:
    """That an experiment was killed by its last look."""
    if last is None or not harmful_variants(last.verdict):
        return None
    return Finding(
        key=f"{SCOPE}{experiment.id}/killed",
        subject=f"experiment/{experiment.id}",
        severity="critical",
        what=f"experiment {experiment.id} was turned off: it is proven to harm",
        advice=f"see `upshot look {experiment.id} --replay {last.number}`, and decide what becomes of it",
        evidence={"since": last.at.isoformat(), "said": harm_words(last.verdict)},
    )


def _is_off(stored: Stored | None, keys: tuple[str, ...]) -> bool:
    """Whether flags carry it and none of them is on."""
    if stored is None or stored.applied is None or not keys:
        return False
    return all(key in stored.kills.off or not stored.applied.flags[key].enabled for key in keys)


def _flags_of(stored: Stored | None, experiment: str) -> tuple[str, ...]:
    """The flags whose rules carry an experiment, on or off."""
    flags = stored.applied.flags if stored and stored.applied else {}
    return tuple(
        key
        for key, flag in flags.items()
        if any(rule.experiment and rule.experiment.id == experiment for rule in flag.rules)
    )
