"""A metric over events: which of the things that a unit did after its first exposure become one number, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt, MinLen

from upshot.model.fact_table import FactTable
from upshot.model.metric import Better, Horizon

EventKind = Literal[
    "proportion", "count", "mean", "ratio", "quantile", "retention", "funnel", "time_to_event"
]
EventType = Literal["track", "page", "screen", "identify", "group", "alias"]
Condition = Mapping[str, object]
Name = Annotated[str, MinLen(1)]

ANY = "*"
"""The name that stands for whatever a unit did; being exposed is nothing that it did."""
EXPOSURE = "Experiment Viewed"
"""The event that is an exposure."""
DAY = timedelta(days=1)
TIME_UNITS: Mapping[str, timedelta] = {
    "seconds": timedelta(seconds=1),
    "minutes": timedelta(minutes=1),
    "hours": timedelta(hours=1),
    "days": DAY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Which events count, or which rows of a table, and what of each.

    Attributes:
        event: the event's name (of a page or screen: its name), or ``*`` for anything but exposures.
        table: a table of the workspace, instead of an event: each of its rows counts as an event does.
        type: the kind of call that an event came by; left out: any.
        where: a condition over the event's properties or the table's columns, as flags have it.
        value: the numeric property or column that is summed; left out: events or rows are counted.
    """

    event: Name | None = None
    table: FactTable | None = None
    type: EventType | None = None
    where: Condition | None = None
    value: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMetric:
    """A rule that turns the events of a unit, in a window after its first exposure, into one number.

    Attributes:
        name: how people call it; unique in a workspace.
        kind: ``proportion`` (has such an event), ``count`` (of events), ``mean`` (per unit, of the sum of a
            property), ``ratio`` (over a denominator's events), ``quantile`` (of a property, over events),
            ``retention`` (has such an event on a day after), ``funnel`` (went through steps in their order),
            ``time_to_event`` (mean time to the first such event, whoever has none counting as the whole window).
        event: the event's name, or ``*`` for anything but exposures; retention: ``*`` where left out.
        table: a table of the workspace, instead of an event: each of its rows counts as an event does.
        type: the kind of call that the event came by; left out: any.
        where: a condition over the event's properties or the table's columns, as flags have it.
        value: the numeric property or column of a mean, ratio or quantile.
        denominator: of a ratio: which events it divides by, counted or with the sum of a property.
        steps: of a funnel, in their order, at least two.
        quantile: the level of a quantile, in (0, 1): 0.95 for p95.
        day: of retention: how many days after the first exposure, each of 24 hours.
        absent: of proportion and retention: count the units that have no such event.
        window: how long after the first exposure events count; of retention: how long from its day on, 1 day where
            left out. None: as long as there are data.
        covariate: how long before the first exposure the same is measured, to reduce variance; None: not.
        cap: quantile of all units' values at which they are winsorised, in (0, 1).
        better: the wanted direction.
        horizon: ``leading`` is known within the experiment, ``lagging`` later.
        description: what it means, and what to mind.
        unit: what its values are shown in (``s``, ``USD``); of time_to_event seconds, minutes, hours or days, and
            hours where left out.
    """

    name: Name
    kind: EventKind
    event: Name | None = None
    table: FactTable | None = None
    type: EventType | None = None
    where: Condition | None = None
    value: Name | None = None
    denominator: Source | None = None
    steps: tuple[Source, ...] = ()
    quantile: Annotated[float, Gt(0), Lt(1)] | None = None
    day: Annotated[int, Ge(0)] | None = None
    absent: bool = False
    window: Annotated[timedelta, Gt(timedelta(0))] | None = None
    covariate: Annotated[timedelta, Gt(timedelta(0))] | None = None
    cap: Annotated[float, Gt(0), Lt(1)] | None = None
    better: Better = "higher"
    horizon: Horizon = "leading"
    description: str = ""
    unit: str = ""

    @property
    def source(self) -> Source:
        """The events that are counted, summed or looked for; of a funnel those of its first step."""
        if self.steps:
            return self.steps[0]
        event = self.event if self.table or self.event else ANY
        return Source(event=event, table=self.table, type=self.type, where=self.where, value=self.value)

    @property
    def sources(self) -> tuple[Source, ...]:
        """All events that it reads."""
        if self.steps:
            return self.steps
        return (self.source,) if self.denominator is None else (self.source, self.denominator)

    @property
    def begins(self) -> timedelta:
        """From when on events count, after the first exposure."""
        return DAY * self.day if self.day else timedelta(0)

    @property
    def ends(self) -> timedelta | None:
        """Until when events count, and after which a unit is mature; None: as long as there are data."""
        if self.kind == "retention":
            return self.begins + (self.window or DAY)
        return self.window

    @property
    def time_unit(self) -> timedelta:
        """What a time to an event is measured in."""
        return TIME_UNITS.get(self.unit, TIME_UNITS["hours"])
