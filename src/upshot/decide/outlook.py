"""What more data would bring: when the maximum is reached, and the chance to conclude by then."""

import math
from datetime import date, timedelta
from functools import lru_cache

from scipy.special import ndtr, ndtri

from upshot.analysis.result import Analysis
from upshot.decide.reading import Reading
from upshot.model.plan import Plan, Spending
from upshot.stats.group_sequential import futility_bounds


def last_day(plan: Plan, analysis: Analysis) -> date | None:
    """The day on which the maximum is reached; None where no calendar is known."""
    if plan.start is not None:
        return plan.start + timedelta(days=plan.maximum_days - 1)
    day, days, information = analysis.look.day, analysis.progress.days, analysis.progress.information
    if day is None or not days or not 0 < information <= 1:
        return None
    return day + timedelta(days=math.ceil(days * (1 / information - 1)))


def chance_to_conclude(reading: Reading, plan: Plan, information: float) -> float | None:
    """The predictive probability that this reading is better at the maximum.

    Averages the conditional power over what the effect may be, given what was seen and a flat prior
    (Spiegelhalter, Freedman, Blackburn 1986): Phi((z - c sqrt(t)) / sqrt(1 - t)), z the standardised effect,
    t the information, c the critical value at the end.

    Args:
        reading: a primary, seen in its wanted direction.
        plan: its alpha and monitoring method give c.
        information: share of the maximum that is in, in (0, 1).
    """
    effect, std_error = reading.comparison.effect, reading.comparison.std_error
    if effect is None or not std_error or not 0 < information < 1:
        return None
    z = abs(effect) / std_error * (1 if reading.leans_well else -1)
    critical = _critical(reading, plan)
    return float(ndtr((z - critical * math.sqrt(information)) / math.sqrt(1 - information)))


def is_futile(reading: Reading, plan: Plan, information: float) -> bool:
    """Whether a plan with futility bounds would stop here: the z so far makes success too unlikely.

    Beta is spent over the planned looks and this one (`group_sequential.futility_bounds`, non-binding).
    """
    effect, std_error = reading.comparison.effect, reading.comparison.std_error
    if not plan.futility or effect is None or not std_error or not 0 < information < 1:
        return False
    z = abs(effect) / std_error * (1 if reading.leans_well else -1)
    level = plan.alpha / max(reading.comparison.tests, 1)
    return z < _futility_bound(information, plan.looks, level, plan.power, plan.spending)


@lru_cache(maxsize=1024)
def _futility_bound(information: float, looks: int, alpha: float, power: float, spending: Spending) -> float:
    planned = (look / looks for look in range(1, looks + 1))
    apart = (fraction for fraction in planned if abs(fraction - information) > 1e-3 or fraction == 1)
    fractions = sorted({*apart, information})
    return futility_bounds(fractions, alpha, power, spending).bounds[fractions.index(information)]


def _critical(reading: Reading, plan: Plan) -> float:
    """At the end: the normal quantile (spending has left nearly all of alpha to it), or today's sequence."""
    comparison = reading.comparison
    low, high = comparison.interval
    if plan.monitoring == "always_valid" and comparison.std_error and low is not None and high is not None:
        return (high - low) / 2 / comparison.std_error
    return float(-ndtri(plan.alpha / 2 / max(comparison.tests, 1)))
