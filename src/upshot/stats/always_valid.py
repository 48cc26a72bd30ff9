"""Always-valid monitoring: bounds that hold at every look at once, with no end planned.

The mixture of Howard, Ramdas, McAuliffe, Sekhon (2021, Annals of Statistics 49, eq. 14) in its t form (Lindon,
Ham, Tingley, Bojinov 2022, "Anytime-Valid Inference in Linear Models", eq. 11): exact for normal data at any n,
and for large n the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2021, eq. 9).

``n`` counts information in units (both variants together); ``rho`` says at which n the bound is tightest.
"""

import math
from functools import lru_cache

from scipy.special import betainc, betaln, ndtr

from upshot.errors import DataError
from upshot.stats.fixed import SMALLEST

RARE_EVENTS = 10
"""The e-process for rare events speaks from this many events in all."""


def tuning(planned: float, alpha: float = 0.05) -> float:
    """The rho whose bound is tightest at ``planned`` units (Waudby-Smith et al. 2021, app. B.2).

    Raises:
        DataError: ``planned`` is not positive.

    >>> round(tuning(10_000, 0.05), 1)
    1257.3
    """
    if planned <= 0:
        raise DataError(f"planned units are {planned}: give a positive number")
    return planned / (math.log1p(-2 * math.log(alpha)) - 2 * math.log(alpha))


def critical(n: float, rho: float, alpha: float = 0.05, df: float = math.inf) -> float:
    """How many standard errors the two-sided bound is away at ``n`` units; infinite where n is too small.

    >>> round(critical(10_000, tuning(10_000)), 2)
    3.04
    """
    if n <= 0:
        return math.inf
    c = rho / (rho + n)
    if math.isinf(df):
        return math.sqrt((n + rho) / n * (2 * -math.log(alpha) - math.log(c)))
    q_gap = -math.expm1((2 * math.log(alpha) + math.log(c)) / (df + 1))  # 1 - q
    room = (1 - c) - q_gap
    return math.sqrt(df * q_gap / room) if room > 0 else math.inf


def log_e_value(z: float, n: float, rho: float, df: float = math.inf) -> float:
    """Log of the evidence against "no effect"; its exponential has mean 1 at most without effect."""
    if n <= 0:
        return 0.0
    c = rho / (rho + n)
    if math.isinf(df):
        return 0.5 * math.log(c) + 0.5 * (1 - c) * z * z
    x = z * z / df
    return 0.5 * math.log(c) + 0.5 * (df + 1) * (math.log1p(x) - math.log1p(c * x))


def p_value(z: float, n: float, rho: float, df: float = math.inf) -> float:
    """The anytime p of this look, 1/E; the running p is the smallest so far. In (0, 1]."""
    return _from_log_e(log_e_value(z, n, rho, df))


def one_sided_log_e_value(z: float, n: float, rho: float) -> float:
    """Log of the evidence for "greater", against "no greater": a mixture over positive effects only.

    Half-normal mixture (Howard et al. 2021, prop. 6).
    """
    if n <= 0:
        return 0.0
    c = rho / (rho + n)
    shrunk = z * math.sqrt(1 - c)
    return math.log(2) + 0.5 * math.log(c) + 0.5 * shrunk * shrunk + _log_ndtr(shrunk)


def one_sided_p_value(z: float, n: float, rho: float) -> float:
    """The anytime p of "no greater" at this look; in (0, 1]."""
    return _from_log_e(one_sided_log_e_value(z, n, rho))


@lru_cache(maxsize=65_536)
def one_sided_critical(n: float, rho: float, alpha: float) -> float:
    """How many standard errors the one-sided bound is away at ``n`` units."""
    if n <= 0:
        return math.inf
    goal = -math.log(alpha)
    z = critical(n, rho, min(2 * alpha, 0.999))
    for _ in range(30):  # Newton: the log evidence is convex in z above the start
        shrink = n / (n + rho)
        root = z * math.sqrt(shrink)
        density = math.exp(-0.5 * root * root) / math.sqrt(2 * math.pi)
        slope = shrink * z + math.sqrt(shrink) * density / float(ndtr(root))
        step = (one_sided_log_e_value(z, n, rho) - goal) / slope
        z -= step
        if abs(step) < 1e-12:
            break
    return z


def share_log_e_value(successes: int, failures: int, share: float, weight: float = 4.0) -> float:
    """Log of the evidence that a Bernoulli share exceeds ``share``; valid after every single trial.

    A beta mixture over larger shares (Howard et al. 2021, prop. 7, one-sided), with prior mean ``share`` worth
    ``weight`` trials. Any order and any stopping is allowed; smaller true shares only make it smaller.

    Raises:
        DataError: a count is negative, or the share is not between 0 and 1.
    """
    if successes < 0 or failures < 0 or not 0 < share < 1:
        given = f"{successes} successes, {failures} failures, share {share}"
        raise DataError(f"{given}: give counts of 0 or more and a share between 0 and 1")
    a, b = weight * share, weight * (1 - share)
    after = 1 - float(betainc(a + successes, b + failures, share))
    before = 1 - float(betainc(a, b, share))
    if after <= 0:
        return -math.inf
    mixture = float(betaln(a + successes, b + failures) - betaln(a, b)) + math.log(after / before)
    return mixture - successes * math.log(share) - failures * math.log1p(-share)


def rare_events_p_value(
    events_c: int, n_c: float, events_t: int, n_t: float, margin: float = 0.0
) -> float | None:
    """Anytime p of "treatment's rate is at most (1 + margin) times control's"; None below 10 events in all.

    Given that an event happened, it is treatment's with probability n_t (1 + margin) / (n_c + n_t (1 + margin))
    at the border (rare events in proportion to units): a single Bernoulli share, so a crash shows after ten
    events and not after ten in each variant.
    """
    if events_c + events_t < RARE_EVENTS or n_c <= 0 or n_t <= 0:
        return None
    weighted = n_t * (1 + margin)
    return _from_log_e(share_log_e_value(events_t, events_c, weighted / (n_c + weighted)))


def limit_p_value(events: int, n: int, limit: float) -> float | None:
    """Anytime p of "the share of units with an event is at most ``limit``"; None below 10 events."""
    if events < RARE_EVENTS:
        return None
    return _from_log_e(share_log_e_value(events, n - events, limit, weight=1 / limit))


def _from_log_e(log_e: float) -> float:
    return min(max(math.exp(min(-log_e, 0.0)), SMALLEST), 1.0)


def _log_ndtr(x: float) -> float:
    value = float(ndtr(x))
    return math.log(value) if value > 0 else -0.5 * x * x - math.log(-x * math.sqrt(2 * math.pi))
