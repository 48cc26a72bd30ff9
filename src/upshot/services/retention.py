"""For how long events are kept: what is older is removed, and the audit chain says so."""

import logging
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from upshot.errors import InputError
from upshot.events.expiry import Expired, expire, is_due
from upshot.store.audit import record
from upshot.store.control import ControlStore
from upshot.store.tables import time_text

SHORTEST = timedelta(days=1)
"""What is younger may still be on its way into files, and into looks."""

_SUBJECT = "events"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger("upshot.events")


def remove_older(
    store: ControlStore, directory: Path, age: timedelta, now: datetime, *, actor: str, reason: str = ""
) -> Expired:
    """Remove what was received longer ago, for good: events, rejected messages, names of units that have nothing left.

    The chain has a row when it begins and one when it is done. One that was cut off is done by doing it again.

    Raises:
        InputError: the age is below a day, or there is no such directory.
        ConflictError: a compaction runs. UnavailableError: the store cannot be written; then nothing is removed.
    """
    before = _before(age, now)
    moment = time_text(before)
    with store.changing(actor, reason) as change:
        record(change, "events.expiring", _SUBJECT, after={"before": moment})
    done = expire(directory, (before - _EPOCH) // timedelta(microseconds=1))
    with store.changing(actor, reason) as change:
        record(change, "events.expired", _SUBJECT, after={"before": moment, **asdict(done)})
    return done


class Retention:
    """What a server that keeps events for some time does each day."""

    def __init__(self, store: ControlStore, directory: Path, age: timedelta) -> None:
        """
        Raises:
            InputError: the age is below a day.
        """
        self._store, self._directory, self._age = store, directory, age
        _before(age, datetime.now(UTC))

    def work(self, now: datetime) -> None:
        """Remove what is older by then. Raises as `remove_older`."""
        if is_due(self._directory, (_before(self._age, now) - _EPOCH) // timedelta(microseconds=1)):
            done = remove_older(
                self._store,
                self._directory,
                self._age,
                now,
                actor="upshot retention",
                reason="older than is kept",
            )
            _log.info(
                "%d events and %d rejected messages are older than is kept", done.events, done.rejections
            )


def _before(age: timedelta, now: datetime) -> datetime:
    if age < SHORTEST:
        raise InputError(f"the age is {age}: give a day or more, such as 400d")
    return now - age
