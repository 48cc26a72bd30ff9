"""When the answers of a ruleset change by themselves: the times at which its rules begin and end."""

import json
from bisect import bisect_right
from dataclasses import dataclass

from upshot_sdk.operators import as_instant


@dataclass(frozen=True, slots=True)
class Schedule:
    """The times, in seconds since 1970 and in order, at which a rule comes into force or ceases to be.

    Between two of them a context always gets the same answers.
    """

    times: tuple[float, ...]

    def stretch(self, now: float) -> int:
        """How many of the times have come.

        >>> Schedule((100.0, 200.0)).stretch(100.0)
        1
        """
        return bisect_right(self.times, now)


def read_schedule(ruleset: bytes) -> Schedule:
    """The schedule of a ruleset's JSON, which was found valid before."""
    payload = json.loads(ruleset)
    edges = (
        as_instant(rule[edge])
        for flag in payload["flags"].values()
        for rule in flag.get("rules") or ()
        for edge in ("from", "until")
        if rule.get(edge) is not None
    )
    return Schedule(tuple(sorted({edge.timestamp() for edge in edges if edge is not None})))
