"""Alerts: each trouble is told once when it begins and once when it is over, however often it is seen.

What stands now is reported again and again; what is new opens an alert, and what has not been seen for a while ends
one. Telling goes on beside that, with pauses that grow, until each channel has taken it.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from threading import Lock

from upshot.errors import InputError, UnavailableError, UpshotError
from upshot.services.channels import Channel, Message, News
from upshot.store import alerts
from upshot.store.alerts import Alert, Finding
from upshot.store.control import ControlStore

ACTOR = "upshot monitoring"
SETTLED = timedelta(minutes=10)
"""For so long a trouble must not be seen before it counts as over: what comes and goes is told once."""
PAUSES = tuple(timedelta(seconds=pause) for pause in (0, 2, 10, 60, 300, 1800))
"""Before each attempt; the last one again and again."""
GIVEN_UP = timedelta(days=1)
"""A channel that took nothing for so long is not tried again with this message."""
STALE = timedelta(hours=6)
"""What has been over for so long is told to nobody any more, such as a channel that is new."""
END = " (its end)"
"""After the name of a channel: that the end of an alert was told there."""

_log = logging.getLogger("upshot.alerts")


class Alerts:
    """The alerts of a server. `report` is called by who watches, `deliver` by who tells; both may be threads."""

    def __init__(
        self, store: ControlStore, channels: Sequence[Channel], clock: Callable[[], datetime]
    ) -> None:
        """
        Args:
            store: where alerts are kept. channels: that are told. clock: gives now.
        """
        self._store, self._channels, self._clock = store, tuple(channels), clock
        self._began = clock()
        self._lock = Lock()
        self._seen: dict[str, datetime] = {}
        self._tries: dict[tuple[str, str], tuple[int, datetime]] = {}

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Who is told."""
        return self._channels

    def report(self, scope: str, findings: Sequence[Finding]) -> None:
        """What is wrong now, as far as one watcher looks. Where the store takes nothing now, the next report will do.

        Args:
            scope: what it looks at: alerts that are not among these and whose keys begin so are on their way out.
        """
        now = self._clock()
        with self._lock:
            try:
                self._keep(scope, findings, now)
            except UnavailableError as error:
                _log.error("alerts could not be kept (%s)", error)

    def deliver(self) -> None:
        """Tell what has not been told, as far as it is time to try; channels that fail are tried again later."""
        for message, channel in self._due():
            try:
                channel.send(message)
            except InputError as error:
                _log.error("%s will not be told of %s: %s", channel.name, message.alert.finding.key, error)
            except UpshotError as error:
                if self._again(message, channel, str(error)):
                    continue
            except Exception:  # a fault in a library must not keep other channels waiting
                _log.exception("%s could not be told", channel.name)
                if self._again(message, channel, "a fault"):
                    continue
            self._told(message, channel)

    def _keep(self, scope: str, findings: Sequence[Finding], now: datetime) -> None:
        with self._store.reading() as connection:
            lasting = {alert.finding.key for alert in alerts.lasting(connection)}
        self._seen |= {finding.key: now for finding in findings}
        new = [finding for finding in findings if finding.key not in lasting]
        over = [
            key
            for key in lasting
            if key.startswith(scope) and now - self._seen.get(key, self._began) >= SETTLED
        ]
        if not new and not over:
            return
        with self._store.changing(ACTOR, "what it saw") as change:
            for finding in new:
                alerts.sight(change, finding)
                _log.warning("%s: %s", finding.severity, finding.what)
            for key in over:
                alerts.end(change, key)

    def _due(self) -> list[tuple[Message, Channel]]:
        now = self._clock()
        try:
            with self._store.reading() as connection:
                known = [
                    *alerts.lasting(connection),
                    *(one for one in alerts.listed(connection) if one.ended_at),
                ]
        except UnavailableError as error:
            _log.error("alerts cannot be read, and so not told (%s)", error)
            return []
        wanted = [
            (_message(alert, news), channel)
            for alert in known
            if alert.ended_at is None or now - alert.ended_at < STALE
            for channel in self._channels
            for news in _untold(alert, channel.name)
        ]
        return [one for one in wanted if self._tries.get(_place(*one), (0, now))[1] <= now]

    def _again(self, message: Message, channel: Channel, why: str) -> bool:
        """Whether it will be tried again."""
        now, key = self._clock(), message.alert.finding.key
        if now - message.at >= GIVEN_UP:
            _log.error("%s was not told of %s for a day, and will not be: %s", channel.name, key, why)
            return False
        tries = self._tries.get(_place(message, channel), (0, now))[0] + 1
        pause = PAUSES[min(tries, len(PAUSES) - 1)]
        self._tries[_place(message, channel)] = (tries, now + pause)
        _log.warning("%s was not told (%s); again in %d s", channel.name, why, pause.total_seconds())
        return True

    def _told(self, message: Message, channel: Channel) -> None:
        self._tries.pop(_place(message, channel), None)
        name = channel.name + (END if message.news == "ended" else "")
        try:
            with self._store.changing(ACTOR, "told") as change:
                alerts.delivered(change, message.alert.id, name)
        except UnavailableError as error:  # told again, which is better than not at all
            _log.error("it could not be kept that %s was told (%s)", channel.name, error)


def _untold(alert: Alert, channel: str) -> list[News]:
    """What a channel has yet to hear; of a trouble that is over before it could hear of it, first that it was."""
    if channel not in alert.delivered:
        return ["opened"]
    return ["ended"] if alert.ended_at is not None and channel + END not in alert.delivered else []


def _message(alert: Alert, news: News) -> Message:
    at = alert.ended_at if news == "ended" and alert.ended_at else alert.first_seen
    name = f"{alert.id} {alert.finding.key} {alert.first_seen.isoformat()} {news}"
    return Message(
        id=f"alert_{blake2b(name.encode(), digest_size=12).hexdigest()}", news=news, alert=alert, at=at
    )


def _place(message: Message, channel: Channel) -> tuple[str, str]:
    return message.id, channel.name
