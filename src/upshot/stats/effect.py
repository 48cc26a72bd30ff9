"""One effect and one standard error, which feed the test, every interval, every monitoring method, the posterior.

An interval is made of an effect and a *critical value* c: the difference plus and minus c standard errors, and
for the lift the set of ratios that a test with the same c does not reject. Monitoring chooses c; so a test and
its interval never disagree, whatever the method.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from upshot.stats.interval import Interval, undefined
from upshot.stats.moments import DENOMINATOR, OUTCOME, Moments

LiftMethod = Literal["fieller", "log", "delta"]

TINY = 1e-70
"""What is this near to 0 is 0, and beyond its inverse there is no estimate: powers would leave a double's range."""


@dataclass(frozen=True, slots=True)
class Arm:
    """The estimate of one variant.

    Attributes:
        value: a mean, ratio or quantile. variance: of that estimate (not of a unit).
        n: units. df: degrees of freedom of the variance.
    """

    value: float
    variance: float
    n: int
    df: float


@dataclass(frozen=True, slots=True)
class Effect:
    """A variant against control.

    Attributes:
        control, treatment: their estimates. covariance: between the two estimates (0 for separate units).
    """

    control: Arm
    treatment: Arm
    covariance: float = 0.0

    @property
    def difference(self) -> float:
        """Treatment minus control."""
        return self.treatment.value - self.control.value

    @property
    def variance(self) -> float:
        """Variance of the difference."""
        return self.control.variance + self.treatment.variance - 2 * self.covariance

    @property
    def std_error(self) -> float:
        """Standard error of the difference; NaN where the variance is unknown."""
        return math.sqrt(max(self.variance, 0.0)) if not math.isnan(self.variance) else math.nan

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom of the difference (Welch 1947, Biometrika 34, eq. 28)."""
        whole = self.control.variance + self.treatment.variance
        parts = [(arm.variance / whole, arm.df) for arm in (self.control, self.treatment) if arm.variance > 0]
        below = sum(share**2 / df for share, df in parts if df > 0)
        return 1 / below if below > 0 else math.inf

    @property
    def lift(self) -> float | None:
        """The difference relative to control's absolute value; None where control is 0."""
        base = abs(self.control.value)
        return self.difference / base if base > TINY else None

    def why_not(self) -> str:
        """Why there is no test of this effect; empty where there is one."""
        for name, arm in (("control", self.control), ("the variant", self.treatment)):
            if arm.n < 2:
                return f"{name} has {arm.n} unit{'' if arm.n == 1 else 's'}: at least 2 are needed"
            if arm.df <= 0:
                return f"{name} has {arm.n} units, too few for its covariates: use fewer"
        if not (math.isfinite(self.variance) and math.isfinite(self.difference)):
            return "the estimate or its variance is not a finite number: see its denominator or its largest values"
        if self.variance <= 0:
            return (
                "no unit differs from another in either variant, so there is nothing to measure chance with"
            )
        return ""

    def swapped(self) -> "Effect":
        """Control and treatment exchanged."""
        return replace(self, control=self.treatment, treatment=self.control)


def estimate(moments: Moments) -> Arm:
    """The mean of an outcome, or its ratio to the denominator, with the variance of that estimate.

    A ratio is the sum of outcomes over the sum of denominators; its variance is the delta method's: Deng,
    Knoblich, Lu (2018), "Applying the Delta Method in Metric Analytics", KDD, eq. 4. Units whose denominator
    is 0 stay in.

    >>> estimate(Moments.from_counts(3, 4)).value
    0.75
    """
    n = moments.n
    if n == 0 or not max(abs(moments.means).max(), float(moments.cross.max()) ** 0.5) < 1 / TINY:
        return Arm(math.nan, math.nan, n, max(n - 1, 0))
    if not moments.is_ratio:
        variance = moments.var() / n if n > 1 else math.nan
        return Arm(moments.mean(), variance, n, n - 1)
    below = moments.mean(DENOMINATOR)
    if abs(below) <= TINY:
        return Arm(math.nan, math.nan, n, n - 1)
    ratio = moments.mean() / below
    spread = (
        moments.var() - 2 * ratio * moments.cov(OUTCOME, DENOMINATOR) + ratio**2 * moments.var(DENOMINATOR)
    )
    return Arm(ratio, max(spread, 0.0) / (n * below**2) if n > 1 else math.nan, n, n - 1)


def effect_of(control: Moments, treatment: Moments) -> Effect:
    """The unadjusted effect of a variant against control."""
    return Effect(estimate(control), estimate(treatment))


def difference_interval(effect: Effect, critical: float) -> Interval:
    """Difference plus and minus ``critical`` standard errors."""
    reason = effect.why_not()
    if reason:
        return undefined(reason)
    if critical > 1 / TINY:
        return Interval(None, None, "this look has no share of alpha to spend, so nothing is ruled out")
    reach = critical * effect.std_error
    return Interval(effect.difference - reach, effect.difference + reach)


def lift_interval(effect: Effect, critical: float, method: LiftMethod = "fieller") -> Interval:
    """An interval of the lift (treatment/control - 1) with the same critical value as the difference.

    ``fieller`` inverts the test of the difference at every ratio (Fieller 1954, JRSS B 16, sect. 3), so it
    excludes 0 exactly when `difference_interval` does; it is unbounded where control is not told from 0.
    ``log`` is symmetric for the log ratio and needs both estimates positive; ``delta`` is symmetric for the
    ratio (first-order Taylor) and one-sidedly wrong for rare outcomes: it is there to compare with.
    For a negative control the lift is relative to its absolute value.
    """
    reason = effect.why_not()
    if reason:
        return undefined(reason)
    base = effect.control.value
    if abs(base) <= TINY:
        return undefined("control is 0, so a change relative to it has no meaning: read the difference")
    if critical > 1 / TINY:
        return Interval(None, None, "this look has no share of alpha to spend, so nothing is ruled out")
    if method == "log":
        return _log(effect, critical)
    return _delta(effect, critical) if method == "delta" else _fieller(effect, critical)


def _fieller(effect: Effect, critical: float) -> Interval:
    """The lifts L for which (difference - L |control|)^2 <= c^2 Var(difference - L |control|).

    Solved for the lift and not for the ratio, in units of control: a lift of 1e-9 keeps its digits, and the
    constant term of the quadratic is the test of the difference itself.
    """
    base = abs(effect.control.value)
    lift, square = effect.difference / base, critical**2
    var_base, var_lift = effect.control.variance / base**2, effect.variance / base**2
    cov = math.copysign(1.0, effect.control.value) * (effect.covariance - effect.control.variance) / base**2
    a, b = 1 - square * var_base, lift - square * cov
    c = (abs(lift) - critical * math.sqrt(var_lift)) * (abs(lift) + critical * math.sqrt(var_lift))
    # b^2 - a c, with what cancels left out
    inside = var_lift + lift**2 * var_base - 2 * lift * cov - square * (var_base * var_lift - cov**2)
    root = critical * math.sqrt(max(inside, 0.0))
    if a <= 0:
        return _open_fieller(lift, a, b, c, root)
    far = b + math.copysign(root, b)  # the larger root in size first, the other by Vieta
    first, second = far / a, c / far if far != 0 else 0.0
    return Interval(min(first, second), max(first, second))


def _open_fieller(lift: float, a: float, b: float, c: float, root: float) -> Interval:
    """Control is not told from 0: what is ruled out, if anything, lies between the roots."""
    reason = "control cannot be told from 0 at this level, so the relative change has no bound"
    if c <= 0:
        return Interval(None, None, reason)
    # the set is all but what lies between the roots, one each side of 0: keep the half with the estimate
    far = b + math.copysign(root, b)
    roots = (c / far, far / a) if a else (c / far,)
    return Interval(max(roots), None, reason) if lift > 0 else Interval(None, min(roots), reason)


def _log(effect: Effect, critical: float) -> Interval:
    base, value = effect.control.value, effect.treatment.value
    if base <= 0 or value <= 0:
        return undefined("a log interval needs both means positive: use fieller")
    spread = math.sqrt(
        max(
            effect.treatment.variance / value**2
            + effect.control.variance / base**2
            - 2 * effect.covariance / (base * value),
            0.0,
        )
    )
    ratio = value / base
    reach = critical * spread
    high = ratio * math.exp(reach) - 1 if reach < 700 else None
    return Interval(ratio * math.exp(-reach) - 1, high, "" if high is not None else "too wide for a number")


def _delta(effect: Effect, critical: float) -> Interval:
    base, ratio = effect.control.value, effect.treatment.value / effect.control.value
    variance = (
        effect.treatment.variance + ratio**2 * effect.control.variance - 2 * ratio * effect.covariance
    ) / base**2
    lift = effect.difference / abs(base)
    reach = critical * math.sqrt(max(variance, 0.0))
    return Interval(lift - reach, lift + reach)


def margin_effect(effect: Effect, margin: float, relative: bool = True) -> Effect:
    """The effect against a margin, with control's uncertainty kept.

    Relative: treatment - (1 + margin) control, so ``margin`` -0.02 asks whether treatment is above 98% of
    control (Sasabuchi 1988, Statistics & Probability Letters 6). Absolute: treatment - control - margin.
    Its sign and its test answer superiority over a margin and non-inferiority alike.
    """
    if not relative:
        shifted = replace(effect.treatment, value=effect.treatment.value - margin)
        return replace(effect, treatment=shifted)
    factor = 1 + margin * math.copysign(1.0, effect.control.value)
    base = replace(
        effect.control,
        value=effect.control.value * factor,
        variance=effect.control.variance * factor**2,
    )
    return replace(effect, control=base, covariance=effect.covariance * factor)
