"""What became of many worlds under one rule: shares of each verdict, error rates, runtimes."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from upshot.model.decision import Cause, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the rule ended one world.

    Attributes:
        verdict, cause, winner: of the experiment, on the day it ended.
        day: the day of the decision, counted from 1; the last day if none was made.
        decided: whether a decision was made (else time ran out with the verdict still open).
        significant: whether any primary was significant then.
        covered: whether every primary's adjusted interval held the truth then; None before a decision point.
        always_covered: the same at every look of the whole course; None where the course was cut short.
        guardrail_harm: whether a guardrail was called harmed at any look until then.
        estimate: the winner's lift on the first primary, or the first variant's; None where none was given.
    """

    verdict: Verdict
    cause: Cause
    winner: str | None
    day: int
    decided: bool
    significant: bool
    covered: bool | None
    always_covered: bool | None
    guardrail_harm: bool
    estimate: float | None


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of worlds with the standard error that chance leaves it."""

    share: float
    std_error: float
    worlds: int

    def __str__(self) -> str:
        return f"{self.share:.2%} ± {self.std_error:.2%}"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The endings of many worlds."""

    endings: tuple[Ending, ...]

    def rate(self, condition: Callable[[Ending], bool | None]) -> Rate:
        """The share of worlds that meet a condition, among those of which it can be said (not None)."""
        known = [bool(answer) for answer in map(condition, self.endings) if answer is not None]
        n = len(known)
        share = sum(known) / n if n else math.nan
        return Rate(share, math.sqrt(share * (1 - share) / n) if n else math.nan, n)

    def verdicts(self) -> dict[tuple[Verdict, Cause], float]:
        """The share of each verdict and cause, the commonest first."""
        counts = Counter((ending.verdict, ending.cause) for ending in self.endings)
        return {key: count / len(self.endings) for key, count in counts.most_common()}

    @property
    def shipped(self) -> Rate:
        """SHIP: a false ship where the true effect is 0 or worse, the chance to ship where it is planned."""
        return self.rate(lambda ending: ending.verdict == "SHIP")

    @property
    def significant(self) -> Rate:
        """Any primary significant at the decision: false positives in an A/A world, power otherwise."""
        return self.rate(lambda ending: ending.significant)

    @property
    def killed_as_bad(self) -> Rate:
        """KILL · harm or · worse: false kills where the true effect is at least the minimum."""
        return self.rate(lambda ending: ending.verdict == "KILL" and ending.cause in ("harm", "worse"))

    @property
    def guardrail_harmed(self) -> Rate:
        """A guardrail called harmed at any look: wrong where none is."""
        return self.rate(lambda ending: ending.guardrail_harm)

    @property
    def covered(self) -> Rate:
        """The adjusted interval held the truth at the decision."""
        return self.rate(lambda ending: ending.covered)

    @property
    def always_covered(self) -> Rate:
        """The adjusted interval held the truth at every look."""
        return self.rate(lambda ending: ending.always_covered)

    @property
    def days(self) -> float:
        """Expected runtime in days."""
        return sum(ending.day for ending in self.endings) / len(self.endings)

    @property
    def estimate(self) -> float:
        """The mean estimated lift of the worlds that shipped: above the truth by the winner's curse."""
        lifts = [e.estimate for e in self.endings if e.verdict == "SHIP" and e.estimate is not None]
        return sum(lifts) / len(lifts) if lifts else math.nan
