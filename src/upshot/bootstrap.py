"""Putting the parts together: a store with the services over it. Doors come in from here."""

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from upshot.errors import InputError
from upshot.events.log import EventLog, Limits
from upshot.services.flags import Flags
from upshot.settings import Settings
from upshot.store.audited_flags import AuditedFlags
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url
from upshot.store.flag_files import FlagDirectory
from upshot.store.flag_store import FlagStore
from upshot.store.flags import StoredFlags

if TYPE_CHECKING:  # what is not needed to answer is not imported before the first answer
    from upshot.model.standards import Standards
    from upshot.services.alerts import Alerts
    from upshot.services.defined import Defined
    from upshot.services.jobs import Jobs
    from upshot.services.monitoring import Monitor
    from upshot.services.workspace import Workspace

Clock = Callable[[], datetime]
KeptFlags = AuditedFlags | StoredFlags

_log = logging.getLogger("upshot")


def open_clock(settings: Settings) -> Clock:
    """What gives now: the system's clock, or that of a simulation which the settings name.

    Raises:
        InputError: they name none.
    """
    if not settings.clock:
        return system_clock
    from upshot.simulate.clock import SharedClock

    return SharedClock.open(Path(settings.clock)).now


def system_clock() -> datetime:
    """Now, by the system's clock."""
    return datetime.now(UTC)


def open_flag_store(directory: Path | None, store: ControlStore, actor: str = "upshot") -> KeptFlags:
    """Where flags are kept, with their kills in the audit chain of a control store.

    Args:
        directory: of their files; None: they are in the store. actor: who puts flags of the store into force.
    """
    return StoredFlags(store, actor) if directory is None else AuditedFlags(FlagDirectory(directory), store)


def open_flags(flags: FlagStore, clock: Clock = system_clock) -> Flags:
    """Flags in force.

    Raises:
        InputError: they cannot be read; every mistake is named.
    """
    return Flags(flags, new_salt, clock)


def open_log(directory: Path, seal_every: float | None = None) -> EventLog:
    """The log of a data directory, which takes events until it is closed.

    Args:
        seal_every: seconds after which what was written is sealed, so that it can be brought into files.

    Raises:
        InputError: nothing can be kept there.
    """
    try:
        return EventLog.open(
            directory, Limits() if seal_every is None else Limits(segment_seconds=seal_every)
        )
    except OSError as error:
        raise InputError(
            f"events cannot be kept in {directory} ({error.strerror or error}): give another --data"
        ) from None


def open_store(
    data: Path, url: str | None = None, *, made: bool = False, clock: Clock = system_clock
) -> ControlStore:
    """The control store: of a data directory, or the one that a URL names.

    Args:
        made: a data directory that has none gets one. clock: gives the times of changes.

    Raises:
        InputError: it has none, or the URL names nothing that can be used.
        UnavailableError: it cannot answer.
    """
    path = data / "upshot.db"
    if url is None and not made and not path.exists():
        raise InputError(
            f"there is no store in {data}: name another by --data; `upshot key create` makes one"
        )
    return ControlStore.open(url or sqlite_url(path), clock)


STANDARDS = Path("standards.yaml")
"""Where a team keeps them, unless it says otherwise."""


def open_workspace(
    data: Path,
    url: str | None = None,
    *,
    flags: Path | None = None,
    metrics: Path | None = None,
    standards: Path | None = None,
    made: bool = False,
    clock: Clock = system_clock,
) -> "Workspace":
    """What the use cases of experiments work in; to be closed.

    Args:
        data, url, made: as of `open_store`.
        flags: a directory of flags; None: they are in the store.
        metrics: the folder of metrics over events; None: metrics/ where there is one. The catalogue's are there too.
        standards: their file; None: standards.yaml where there is one, else the defaults.

    Raises:
        InputError, UnavailableError: as of `open_store`; or what is to be read holds mistakes.
    """
    store = open_store(data, url, made=made, clock=clock)
    try:
        defined, kept = _defined(metrics, store), _standards(standards, store)
    except BaseException:
        store.close()
        raise
    return _workspace(store, open_flag_store(flags, store), data, defined, kept, clock)


def workspace_over(
    store: ControlStore, flags: KeptFlags, data: Path, metrics: Path | None, clock: Clock
) -> "Workspace":
    """The workspace of a store that is open already, with what files define at this moment; nothing is to be closed.

    Raises:
        InputError: what is to be read holds mistakes.
    """
    return _workspace(store, flags, data, _defined(metrics, store), _standards(None, store), clock)


def _workspace(
    store: ControlStore,
    flags: KeptFlags,
    data: Path,
    defined: "Defined",
    standards: "Standards",
    clock: Clock,
) -> "Workspace":
    from upshot.services.workspace import Workspace

    return Workspace(
        store=store,
        flags=flags,
        data=data,
        definitions=defined.metrics,
        standards=standards,
        clock=clock,
        new_salt=new_salt,
        exposures=defined.exposures,
    )


def _defined(directory: Path | None, store: ControlStore) -> "Defined":
    from upshot.services.defined import read_defined

    return read_defined(directory, store)


def _standards(path: Path | None, store: ControlStore) -> "Standards":
    """The standards of a file (standards.yaml where there is one), else of the store, or the defaults."""
    from upshot.formats.standards import read_standards
    from upshot.services.defined import stored_standards

    return (
        read_standards(path or STANDARDS)
        if path is not None or STANDARDS.is_file()
        else stored_standards(store)
    )


def open_alerts(store: ControlStore, settings: Settings, clock: Clock = system_clock) -> "Alerts":
    """The alerts of a server, told where its settings and the store say.

    An address of the store that cannot be one is logged: who wrote it is not here, and watching must go on.

    Raises:
        InputError: an address of the settings cannot be one.
    """
    from upshot.services.addresses import read_allowed
    from upshot.services.alerts import Alerts
    from upshot.services.channels import read_channels
    from upshot.services.defined import stored_addresses

    allowed = read_allowed(settings.alerts_allow)
    channels = [*read_channels(settings.alerts, settings.alert_secret, allowed)]
    try:
        channels += read_channels(stored_addresses(store, os.environ), settings.alert_secret, allowed)
    except InputError as error:
        _log.error("alerts go only where the settings say: %s", error)
    return Alerts(store, channels, clock)


def open_monitor(
    flags: KeptFlags, data: Path, alerts: "Alerts", settings: Settings, clock: Clock = system_clock
) -> "Monitor":
    """The watch over rollouts, by the events of a data directory."""
    from upshot.services.monitoring import Monitor
    from upshot.services.rollout_tally import Signals

    given = {name: getattr(settings, name) for name in ("error_event", "error_property", "latency_property")}
    signals = Signals(**{name: value for name, value in given.items() if value is not None})
    return Monitor(flags, data, alerts, clock, signals)


NIGHT = timedelta(hours=3)
"""When what is older than is kept is removed, UTC."""


@contextmanager
def open_jobs(
    store: ControlStore,
    flags: KeptFlags,
    data: Path,
    settings: Settings,
    metrics: Path | None = None,
    clock: Clock = system_clock,
) -> "Iterator[Jobs]":
    """What a server does by itself, for as long as the block runs and no other process does it.

    Args:
        metrics: the folder of metrics over events, read anew each time; None: metrics/ where there is one.

    Raises:
        InputError: as of `open_alerts`.
    """
    from upshot.services.automatic import SCOPE as AUTOMATIC
    from upshot.services.automatic import advance
    from upshot.services.defined import read_defined
    from upshot.services.job_list import jobs_of
    from upshot.services.jobs import DAY, Job, Jobs
    from upshot.services.lease import Lease
    from upshot.services.retention import Retention

    alerts = open_alerts(store, settings, clock)

    def decisions(_: datetime) -> None:
        """What is left to the rule, rollouts that end, outcomes that come late; what cannot be done is told."""
        try:
            workspace = workspace_over(store, flags, data, metrics, clock)
        except InputError:  # metrics or standards hold mistakes: the looks tell of it
            return
        alerts.report(AUTOMATIC, advance(workspace))

    jobs = jobs_of(store, flags, data, lambda: read_defined(metrics, store), alerts, clock)
    often = Job(name="decisions", work=decisions, every=timedelta(minutes=5), pause=5.0)
    jobs = (*jobs[:-1], often, jobs[-1])  # what it finds is told last
    if settings.keep_days is not None:
        retention = Retention(store, data, timedelta(days=settings.keep_days))
        often = Job(name="retention", work=retention.work, every=DAY, after=NIGHT, pause=10.0)
        jobs = (*jobs, often)
    with Lease(store) as lease:
        yield Jobs(store, lease, jobs, clock)


def new_salt() -> str:
    """A salt that nobody can guess and no other experiment has."""
    return secrets.token_hex(8)
