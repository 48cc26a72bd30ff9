"""What goes wrong beside the numbers: shares that drift, exposures that stop, variants that fall silent, odd volumes.

Each function answers one question about running data and gives an `Anomaly`, or None where all is as usual. They are
asked again and again, so each speaks at a level (`LEVEL`) at which a sound month hardly ever does. Lost messages are
in `telemetry`, programs among the units in `bots`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import numpy as np
from scipy.special import betaln

from upshot.analysis.phrases import percent, quantity, units
from upshot.stats.sample_ratio import sequential

AnomalyKind = Literal[
    "sample_ratio",
    "exposures_stopped",
    "silent_variant",
    "volume",
    "jump",
    "telemetry_loss",
    "bots",
    "dependence",
]
Value = float | int | str | None

LEVEL = 1e-4
"""The chance at which something is no longer taken for chance, where it is asked about often."""
RATIO_LEVEL = 0.001
"""The level of the sample ratio, whose test may be asked at every look."""
LEAST_PAST = 5
"""Periods of the past that are needed to know what is usual."""
FAR = 6.0
"""Robust standard deviations beyond which a count or a value is out of its range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """Something that is not as it should be.

    Attributes:
        kind: fixed word. subject: ``experiment/EXP-2026-001`` or ``event/Purchase``.
        what: in one sentence. since: when it began, as far as that can be known.
        said: the evidence in a sentence; numbers: what it was made of.
        advice: what to do.
    """

    kind: AnomalyKind
    subject: str
    what: str
    since: datetime | None
    said: str
    advice: str
    numbers: Mapping[str, Value] = field(default_factory=dict)


def sample_ratio_drift(
    subject: str, looks: Sequence[tuple[datetime, Mapping[str, int]]], weights: Mapping[str, float]
) -> Anomaly | None:
    """Whether the variants do not get their shares any more.

    Args:
        looks: when, and how many units each variant had had by then; oldest first.
        weights: the shares that were planned.
    """
    for end in range(1, len(looks) + 1):
        found = sequential([counts for _, counts in looks[:end]], weights)
        if found.p_value is not None and found.p_value < RATIO_LEVEL:
            at, counts = looks[-1][0], looks[-1][1]
            total = sum(counts.values())
            shares = ", ".join(f"{name} {percent(counts.get(name, 0) / total)}" for name in weights)
            planned = ", ".join(
                f"{name} {percent(weight / sum(weights.values()))}" for name, weight in weights.items()
            )
            return Anomaly(
                kind="sample_ratio", subject=subject, what="the variants do not get the shares that were planned",
                since=looks[end - 1][0], said=f"{units(total)} by {at:%Y-%m-%d %H:%M}: {shares}; planned: {planned}",
                advice="do not read its results; find what loses or adds units in one variant",
                numbers={"p_value": found.p_value, **{f"units_{name}": count for name, count in counts.items()}},
            )  # fmt: skip
    return None


def exposures_stopped(
    subject: str, past: Sequence[tuple[datetime, int]], last: datetime, now: datetime
) -> Anomaly | None:
    """Whether no unit meets an experiment any more.

    Nothing for a while is taken for a stop where the quietest of the same hours before would have made it unlikely.

    Args:
        past: hours and the exposures in each, those without any included, up to the one in which the last came.
        last: when the last one came.
    """
    expected, hour = 0.0, last
    while hour < now:
        step = min(now, hour.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)) - hour
        same = (
            [count for at, count in past if at.hour == hour.hour] if len(past) >= 48 else [n for _, n in past]
        )
        expected += (min(same) if same else 0) * (step / timedelta(hours=1))
        hour += step
    if not expected > -math.log(LEVEL):
        return None
    return Anomaly(
        kind="exposures_stopped", subject=subject, what="no unit meets it any more", since=last,
        said=f"the last exposure came {last:%Y-%m-%d %H:%M}; even the quietest of such hours would have brought "
             f"{quantity(round(expected))} since",
        advice="see whether the code that asks the flag is still reached, and whether its key still works",
        numbers={"expected": expected},
    )  # fmt: skip


def silent_variant(subject: str, seen: Mapping[str, tuple[int, int]]) -> Anomaly | None:
    """Whether the units of one variant do nothing any more, as where its page never loads or its events get lost.

    The chance of none among its units, given how many of the others' did something: beta-binomial.

    Args:
        seen: variant -> units that met it, and of these the ones of which anything else is known.
    """
    for name, (met, active) in seen.items():
        others = [pair for other, pair in seen.items() if other != name]
        met_others, active_others = sum(m for m, _ in others), sum(a for _, a in others)
        if active or not met or not active_others:
            continue
        idle = met_others - active_others
        chance = math.exp(
            float(betaln(active_others + 1, idle + met + 1) - betaln(active_others + 1, idle + 1))
        )
        if chance < LEVEL:
            return Anomaly(
                kind="silent_variant", subject=subject, what=f"nothing is heard of units that got {name}", since=None,
                said=f"0 of {units(met)} of {name} did anything afterwards, and {percent(active_others / met_others)} "
                     "of the others",
                advice=f"open {name} and see whether it works and whether its events are sent",
                numbers={"chance": chance, "units": met},
            )  # fmt: skip
    return None


def volume(subject: str, past: Sequence[int], count: int, since: datetime) -> Anomaly | None:
    """Whether a count of events is out of its usual range.

    On the scale of square roots, on which Poisson counts have one spread (Anscombe 1948, Biometrika 35), against the
    median and its absolute deviation; and only where it is half of the usual or less, or twice or more.

    Args:
        past: counts of like periods (the same hour of the days before). count: of this one.
        since: when this one began.
    """
    if len(past) < LEAST_PAST:
        return None
    roots = 2 * np.sqrt(np.asarray(past, float) + 0.375)
    middle = float(np.median(roots))
    spread = max(1.4826 * float(np.median(np.abs(roots - middle))), 1.0)
    usual = float(np.median(past))
    far = abs(2 * math.sqrt(count + 0.375) - middle) / spread
    if far < FAR or usual / 2 < count < 2 * usual:
        return None
    more = count > usual
    return Anomaly(
        kind="volume", subject=subject, what=f"there are far {'more' if more else 'fewer'} of it than usual",
        since=since, said=f"{quantity(count)} since {since:%H:%M}, and {quantity(usual)} usually",
        advice="see whether it is sent twice, or by a program" if more else "see whether its sender changed or is down",
        numbers={"count": count, "usual": usual, "deviations": far},
    )  # fmt: skip


def jump(subject: str, days: Sequence[tuple[date, float, float]]) -> Anomaly | None:
    """Whether the last day's value of a metric is out of the range of the days before.

    Args:
        days: day, value and its standard error; oldest first.
    """
    if len(days) <= LEAST_PAST:
        return None
    past = np.array([value for _, value, _ in days[:-1]])
    middle = float(np.median(past))
    usual = 1.4826 * float(np.median(np.abs(past - middle)))
    day, value, error = days[-1]
    spread = math.hypot(usual, error)
    if not spread > 0 or abs(value - middle) / spread < FAR:
        return None
    return Anomaly(
        kind="jump", subject=subject, what=f"it {'rose' if value > middle else 'fell'} all at once",
        since=datetime(day.year, day.month, day.day, tzinfo=UTC),
        said=f"{quantity(value)} on {day}, and {quantity(middle)} on the {len(past)} days before",
        advice="see what was released that day, and whether the events that it is made of are as they were",
        numbers={"value": value, "usual": middle, "deviations": abs(value - middle) / spread},
    )  # fmt: skip
