"""A design: what is expected of a metric and asked of its test, before there are data.

Everything that planning computes rests on one number, the drift: the mean of the test statistic when all
units are in. It grows with the root of the units.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from scipy.special import ndtr

from upshot.errors import InputError
from upshot.model.metric import Better, Kind
from upshot.model.plan import Family, Monitoring, Spending
from upshot.stats import always_valid, fixed, group_sequential
from upshot.stats.effect import estimate
from upshot.stats.families import dunnett_critical, loading
from upshot.stats.moments import Moments

_SHARES: tuple[Kind, ...] = ("proportion", "retention", "funnel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """One metric of a planned experiment, and the test that will run on it.

    Attributes:
        kind: any kind but ``quantile``, whose spread at the quantile nobody knows beforehand.
        baseline: what control will have: a share, a mean, or sum over sum; not 0.
        std: of one unit, for means, counts and ratios (`unit_std` takes it from data); shares have their own,
            and so must leave it out. Assumed equal in all variants.
        effect: the true relative effect that is planned for, in the wanted direction; negative: worse.
        better: the wanted direction.
        weights: relative size of each variant, control first.
        alpha, power: two-sided level of the family, and chance to find the effect.
        monitoring, spending, looks: as in the plan; ``looks`` are even, up to all units.
        tests: how many tests the family has; None: one for each variant beside control.
        family: its correction. Holm and Benjamini-Hochberg count as Bonferroni, their least favourable case.
        r_squared: share of the variance that covariates explain (CUPED), in [0, 1).
        margin: None: the test is for superiority. Else for "not worse than control by this much", relative.

    Raises:
        InputError: a field is out of its range; the message names it.
    """

    kind: Kind = "proportion"
    baseline: float
    std: float | None = None
    effect: float = 0.05
    better: Better = "higher"
    weights: tuple[float, ...] = (1.0, 1.0)
    alpha: float = 0.05
    power: float = 0.8
    monitoring: Monitoring = "fixed"
    spending: Spending = "obrien_fleming"
    looks: int = 28
    tests: int | None = None
    family: Family = "holm"
    r_squared: float = 0.0
    margin: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be planned."""
        for wrong, text in _problems(self):
            if wrong:
                raise InputError(text)

    @property
    def sign(self) -> int:
        """+1 where higher is better, -1 where lower is."""
        return 1 if self.better == "higher" else -1

    @property
    def is_share(self) -> bool:
        """Whether a unit is a yes or no, so that the baseline gives the variance."""
        return self.kind in _SHARES

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of all units in each variant, control first."""
        total = sum(self.weights)
        return tuple(weight / total for weight in self.weights)

    @property
    def smallest(self) -> float:
        """The share of the smallest variant beside control: the one that decides how long it takes."""
        return min(self.shares[1:])

    @property
    def variances(self) -> tuple[float, float]:
        """Variance of one unit in control and in a variant with the effect, after covariates."""
        left = 1 - self.r_squared
        if self.std is not None:
            return self.std**2 * left, self.std**2 * left
        other = self.baseline * (1 + self.sign * self.effect)
        return self.baseline * (1 - self.baseline) * left, other * (1 - other) * left

    @property
    def level(self) -> float:
        """The two-sided level of one test, after the family's correction."""
        tests = len(self.weights) - 1 if self.tests is None else self.tests
        if tests == 1:
            return self.alpha
        if self.family == "dunnett" and self.monitoring == "fixed" and tests == len(self.weights) - 1:
            loadings = [loading(1 / self.shares[0], 1 / share) for share in self.shares[1:]]
            return 2 * float(ndtr(-dunnett_critical(self.alpha, loadings)))
        return self.alpha / tests

    def unit_drift(self, against: float | None = None) -> float:
        """The drift for one unit in all: towards the wanted side of a relative effect ``against``.

        The test of treatment - (1 + against) control, with the noise of both (Sasabuchi 1988). None: what this
        design tests: 0, or minus the margin.
        """
        point = self.tested if against is None else against
        gap = (self.effect - point) * abs(self.baseline)
        factor = 1 + self.sign * point * math.copysign(1.0, self.baseline)
        control, variant = self.variances
        return gap / math.sqrt(factor**2 * control / self.shares[0] + variant / self.smallest)

    @property
    def tested(self) -> float:
        """The relative effect that the test must rule out, in the wanted direction: 0 or minus the margin."""
        return 0.0 if self.margin is None else -self.margin

    @property
    def schedule(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Information fractions of the looks, and the critical value of |z| at each."""
        return _schedule(self.monitoring, self.spending, self.looks, self.alpha, self.level)


def unit_std(moments: Moments) -> float:
    """The standard deviation of one unit of a mean or ratio, from past data: what `Design.std` wants.

    For a ratio that of (outcome - ratio * denominator) / mean denominator (the delta method).
    """
    arm = estimate(moments)
    if arm.n < 2 or not math.isfinite(arm.variance):
        raise InputError(
            f"{arm.n} units say nothing about the spread: give 2 or more, with a denominator above 0"
        )
    return math.sqrt(arm.variance * arm.n)


@lru_cache(maxsize=256)
def _schedule(
    monitoring: Monitoring, spending: Spending, looks: int, alpha: float, level: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if monitoring == "fixed":
        return (1.0,), (fixed.critical(level),)
    fractions = tuple(look / looks for look in range(1, looks + 1))
    if monitoring == "group_sequential":
        return fractions, group_sequential.bounds(fractions, level, spending)
    rho = always_valid.tuning(1.0, alpha)  # only units over planned units matter
    return fractions, tuple(always_valid.critical(fraction, rho, level) for fraction in fractions)


def _problems(design: Design) -> Sequence[tuple[bool, str]]:
    """Each condition that a design must not meet, and the sentence about it."""
    base, std, effect = design.baseline, design.std, design.effect
    share = design.is_share
    other = base * (1 + design.sign * effect)
    return (
        (design.kind == "quantile", "kind is quantile: power needs a mean, proportion, count or ratio"),
        (not math.isfinite(base) or base == 0, f"baseline is {base}: give control's value, other than 0"),
        (share and not 0 < base < 1, f"baseline is {base}: a {design.kind} lies between 0 and 1"),
        (share and std is not None, f"std is {std}: leave it out, a {design.kind} has its own"),
        (not share and std is None, f"std is missing: a {design.kind} needs the spread of one unit"),
        (std is not None and not 0 < std < math.inf, f"std is {std}: give a positive number"),
        (not -1 < effect < math.inf, f"effect is {effect}: give a relative effect such as 0.05, above -1"),
        (
            share and not 0 < other < 1,
            f"effect is {effect}: {base} would become {other:.4g}, which is no share; give a smaller one",
        ),
        (not 0 < design.alpha < 1, f"alpha is {design.alpha}: give a number between 0 and 1"),
        (not 0 < design.power < 1, f"power is {design.power}: give a number between 0 and 1"),
        (not 1 <= design.looks <= 1000, f"looks is {design.looks}: give 1 to 1000"),
        (design.tests is not None and design.tests < 1, f"tests is {design.tests}: give 1 or more"),
        (not 0 <= design.r_squared < 1, f"r_squared is {design.r_squared}: give a share from 0 to below 1"),
        (
            design.margin is not None and not 0 <= design.margin < 1,
            f"margin is {design.margin}: give a relative margin such as 0.02, from 0 to below 1",
        ),
        (
            len(design.weights) < 2 or not all(0 < weight < math.inf for weight in design.weights),
            f"weights are {design.weights}: give a positive one to control and to each variant",
        ),
    )
