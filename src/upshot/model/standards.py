"""The standards of an organisation: what its experiments keep to, unless a design says why not."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from upshot.model.plan import Monitoring

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip
Share = Annotated[float, Gt(0), Lt(1)]

STANDARDS = (
    "units_per_variant", "confidence", "power", "minimum_effect", "minimum_runtime", "maximum_runtime", "whole_weeks",
    "working_day", "monitoring",
)  # fmt: skip
"""What a design can be excepted from, each with a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standards:
    """What experiments keep to.

    Attributes:
        units_per_variant: the least units per variant before any benefit is claimed.
        confidence: 1 - alpha, at least, in (0, 1).
        power: the chance to see the minimum effect, at least, in (0, 1).
        minimum_effect: relative; the smallest effect that a sample is sized for, at least, in (0, 1).
        minimum_weeks, maximum_weeks: how long experiments run, in whole weeks.
        working_days: days of the week on which decisions are made.
        holidays: days on which nobody decides.
        monitoring: methods that may be used.
    """

    units_per_variant: Annotated[int, Ge(0)] = 1000
    confidence: Share = 0.95
    power: Share = 0.8
    minimum_effect: Share = 0.05
    minimum_weeks: Annotated[int, Ge(1)] = 1
    maximum_weeks: Annotated[int, Ge(1)] = 4
    working_days: tuple[Weekday, ...] = WEEKDAYS[:5]
    holidays: tuple[date, ...] = ()
    monitoring: tuple[Monitoring, ...] = ("group_sequential", "always_valid", "fixed")

    def is_working(self, day: date) -> bool:
        """Whether people are there to decide on a day."""
        return WEEKDAYS[day.weekday()] in self.working_days and day not in self.holidays

    def working_day(self, day: date) -> date:
        """The day, or the next one on which people are there; where none is within a year, the day itself."""
        days = (day + timedelta(days=ahead) for ahead in range(366))
        return next((one for one in days if self.is_working(one)), day)
