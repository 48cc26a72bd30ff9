"""Programs among the units: which they look to be, and whether leaving them out changes a verdict."""

import re
from dataclasses import dataclass

from upshot.analysis.anomalies import Anomaly
from upshot.analysis.phrases import percent, units

AGENTS = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|headless|phantomjs|selenium|puppeteer|playwright|lighthouse|pingdom|uptime|"
    r"facebookexternalhit|python-requests|curl/|wget/|scrapy|monitoring",
    re.IGNORECASE,
)
FASTEST = 120
"""Events in one minute that no person makes."""
LEAST_GAPS, EVEN = 20, 0.05
"""From so many gaps between events on, a coefficient of variation below this is no person's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a unit did, as far as it tells a person from a program.

    Attributes:
        user_agent: of its browser; empty where unknown.
        most_a_minute: events in its busiest minute.
        gaps, gap_mean, gap_std: between one event and the next, seconds.
    """

    user_agent: str = ""
    most_a_minute: int = 0
    gaps: int = 0
    gap_mean: float = 0.0
    gap_std: float = 0.0


def why_bot(behaviour: Behaviour) -> str | None:
    """Why a unit is taken for a program; None: it is not.

    >>> why_bot(Behaviour(user_agent="Mozilla/5.0 (compatible; Googlebot/2.1)"))
    'its browser says so'
    """
    if AGENTS.search(behaviour.user_agent):
        return "its browser says so"
    if behaviour.most_a_minute > FASTEST:
        return f"{behaviour.most_a_minute} events in a minute"
    if (
        behaviour.gaps >= LEAST_GAPS
        and behaviour.gap_mean > 0
        and behaviour.gap_std < EVEN * behaviour.gap_mean
    ):
        return "its events are as regular as a clock's"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an analysis came to: the verdict, and the lift of the first primary metric."""

    units: int
    verdict: str
    lift: float | None


def bots_matter(subject: str, bots: int, whole: Outcome, without: Outcome) -> Anomaly | None:
    """Whether leaving out what is taken for bots changes the verdict; both results are told."""
    if not bots or whole.verdict == without.verdict:
        return None
    lifts = [
        f"{one.verdict}, {'no lift' if one.lift is None else f'lift {percent(one.lift)}'}"
        for one in (whole, without)
    ]
    return Anomaly(
        kind="bots", subject=subject, what="programs decide its verdict", since=None,
        said=f"with {units(bots)} that look like programs: {lifts[0]}; without them: {lifts[1]}",
        advice="look at the units that were flagged, and keep them out at the door: by a condition on the flag",
        numbers={"bots": bots, "units": whole.units},
    )  # fmt: skip
