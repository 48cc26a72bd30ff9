"""Counting what happens to the units of a rollout, event by event."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from upshot.analysis.rollout import Counts, Seen, Subject
from upshot.model.event_metric import EXPOSURE

VIEWED = "Flag Viewed"
"""The event that a unit met a flag whose rollout is watched."""
HELD = 50_000
"""Units whose errors are kept for a while before it is known whether they met the flag."""


class Happened(NamedTuple):
    """What of an event is looked at; time in microseconds since 1970."""

    type: str
    event: str | None
    unit: str
    time: int
    properties: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What of events is an error, and what a latency.

    Attributes:
        error_event: the name of events that are errors.
        error_property: a property that is true on any event that is an error.
        latency_property: a numeric property with the milliseconds that something took, on any event.
    """

    error_event: str = "Error"
    error_property: str = "error"
    latency_property: str = "latency_ms"

    def read(self, event: Happened) -> tuple[bool, float | None]:
        """Whether an event is an error, and the latency that it tells."""
        error = event.event == self.error_event
        text, latency = event.properties, None
        told_error, told_latency = f'"{self.error_property}"' in text, f'"{self.latency_property}"' in text
        if told_error or told_latency:
            properties = _properties(text)
            error = error or properties.get(self.error_property) is True
            latency = _milliseconds(properties.get(self.latency_property))
        return error, latency


def _properties(text: str) -> Mapping[str, Any]:
    found = msgspec.json.decode(text)
    return found if isinstance(found, dict) else {}


def _milliseconds(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and value >= 0 else None  # type: ignore[arg-type, operator]  # is_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """That a unit met a flag, at a time in microseconds, for the so-manieth time that the flag is watched."""

    flag: str
    variant: str
    round: int
    drawn: bool


def read_met(event: Happened) -> Met | None:
    """What an exposure says; None where an event is none, or one of an experiment that names no flag."""
    if event.event not in (VIEWED, EXPOSURE) or event.type != "track":
        return None
    properties = _properties(event.properties)
    flag, variant, number = (properties.get(name) for name in ("flag", "variant", "round"))
    if not isinstance(flag, str) or not isinstance(variant, str):
        return None
    drawn = event.event == EXPOSURE or properties.get("reason") == "SPLIT"
    return Met(flag=flag, variant=variant, round=number if isinstance(number, int) else 1, drawn=drawn)


class _Part:
    """What happened to a unit since it got a variant."""

    __slots__ = ("failed", "requests", "since", "slow", "variant")

    def __init__(self, variant: str, since: int) -> None:
        self.variant, self.since = variant, since
        self.failed = False
        self.requests = self.slow = 0


class _Total:
    """Counts of a variant that are added to."""

    __slots__ = ("failed", "requests", "requests_squared", "slow", "slow_requests", "slow_squared", "units")

    def __init__(self) -> None:
        self.units = self.failed = self.requests = self.slow = 0
        self.requests_squared = self.slow_squared = self.slow_requests = 0

    def add(self, part: _Part, slow: bool) -> None:
        """One more request of a unit that had these."""
        self.requests += 1
        self.requests_squared += 2 * part.requests + 1
        self.slow += slow
        self.slow_squared += slow * (2 * part.slow + 1)
        self.slow_requests += part.slow + slow * (part.requests + 1)

    def counts(self) -> Counts:
        return Counts(**{name: getattr(self, name) for name in self.__slots__})


class Tally:
    """The units of one flag's rollout. A unit counts from when it met the flag; what it did before does not.

    Memory: about 300 bytes for each unit that met the flag.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.since: int | None = None  # the first exposure, microseconds
        self._units: dict[
            int, tuple[_Part, _Part]
        ] = {}  # by hash: as it first met the flag, and as it is now
        self._now: dict[str, _Total] = {}
        self._first: dict[str, _Total] = {}
        self._early: dict[int, list[tuple[int, bool, float | None]]] = {}
        self._earlier: dict[int, list[tuple[int, bool, float | None]]] = {}

    def meet(self, unit: str, met: Met, time: int) -> None:
        """A unit got a variant."""
        if self.subject.drawn_only and not met.drawn:
            return
        self.since = time if self.since is None else min(self.since, time)
        entry = hash(unit)
        known = self._units.get(entry)
        if known is None:
            part = _Part(met.variant, time)
            self._units[entry] = (part, part)
            _total(self._first, met.variant).units += 1
            _total(self._now, met.variant).units += 1
            self._recall(unit, entry)
        elif known[1].variant != met.variant and time >= known[1].since:
            self._units[entry] = (known[0], _Part(met.variant, time))
            _total(self._now, met.variant).units += 1
        else:
            known[1].since = min(known[1].since, time)

    def happen(self, unit: str, time: int, error: bool, latency: float | None) -> None:
        """Something happened to a unit; where it has not met the flag, that is kept for a while: the news of that may
        come by another way, and later."""
        known = self._units.get(hash(unit))
        if known is None:
            self._keep(hash(unit), (time, error, latency))
            return
        first, now = known
        if first is now:
            self._note(now, (self._now, self._first), time, error, latency)
        else:
            self._note(now, (self._now,), time, error, latency)
            self._note(first, (self._first,), time, error, latency)

    def seen(self) -> dict[str, Seen]:
        """By variant, what was counted."""
        none = _Total()
        return {
            variant: Seen(
                now=self._now.get(variant, none).counts(), first=self._first.get(variant, none).counts()
            )
            for variant in {**self._first, **self._now}
        }

    def _note(
        self,
        part: _Part,
        tables: tuple[dict[str, _Total], ...],
        time: int,
        error: bool,
        latency: float | None,
    ) -> None:
        if time < part.since:
            return
        totals = [_total(table, part.variant) for table in tables]
        if error and not part.failed:
            part.failed = True
            for total in totals:
                total.failed += 1
        bar = self.subject.limits.latency_threshold
        if latency is not None and bar is not None:
            slow = latency > bar
            for total in totals:
                total.add(part, slow)
            part.requests += 1
            part.slow += slow

    def _keep(self, entry: int, what: tuple[int, bool, float | None]) -> None:
        if len(self._early) >= HELD:
            self._earlier, self._early = self._early, {}
        self._early.setdefault(entry, []).append(what)

    def _recall(self, unit: str, entry: int) -> None:
        waiting = [*self._earlier.pop(entry, ()), *self._early.pop(entry, ())]
        for time, error, latency in waiting:
            self.happen(unit, time, error, latency)


def _total(table: dict[str, _Total], variant: str) -> _Total:
    return table.setdefault(variant, _Total())
