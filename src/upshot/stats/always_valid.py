"""Always-valid monitoring: numbers that may be looked at after every unit, for as long as one likes.

An e-value is evidence against "no effect" whose expectation without an effect is at most 1 at any stopping
time; 1/e is an always-valid p-value (Ville 1939). All e-values here are mixtures over effects, and every
critical value is the statistic at which the e-value reaches 1/alpha: test and interval agree at every look.

``n`` and ``rho`` are on one scale, whichever: units of all variants, or information fractions. Only n / rho
enters. The running p-value of an experiment is the least over its looks.
"""

import math
from functools import lru_cache

from scipy.special import betaincc, betaln, log_ndtr, xlog1py, xlogy

from upshot.errors import InputError
from upshot.stats.fixed import SMALLEST
from upshot.stats.root import solve

_LOG_SMALLEST = math.log(SMALLEST)


def tuning(plan_n: float, alpha: float = 0.05) -> float:
    """The mixture variance rho that makes the interval narrowest at ``plan_n``.

    rho = N / (log(1 - 2 log alpha) - 2 log alpha), close to the optimum (Howard, Ramdas, McAuliffe, Sekhon
    2021, Annals of Statistics 49, sect. 3.5; Waudby-Smith et al. 2021, app. B.2). It must be fixed before the
    first look. For a one-sided level alpha give 2 alpha.

    >>> round(10_000 / tuning(10_000, 0.05), 2)
    7.94
    """
    _check_level(alpha)
    if not plan_n > 0:
        raise InputError(f"plan_n is {plan_n}: give the positive number of units to tune for")
    return plan_n / (math.log1p(-2 * math.log(alpha)) - 2 * math.log(alpha))


def e_value(z: float, n: float, rho: float) -> float:
    """Evidence against "no effect": the normal mixture, sqrt(rho / (n + rho)) exp(n z^2 / (2 (n + rho))).

    Robbins (1970); asymptotic for estimated variance (Waudby-Smith et al. 2021, thm. 2.2). Infinite where it
    exceeds the largest number.
    """
    return _exp(_log_e(z, n, rho))


def p_value(z: float, n: float, rho: float) -> float:
    """The always-valid two-sided p-value of one look: 1 / e, at most 1; never 0.

    >>> c = critical(5000, tuning(10_000), 0.05)
    >>> p_value(c + 1e-9, 5000, tuning(10_000)) < 0.05 < p_value(c - 1e-9, 5000, tuning(10_000))
    True
    """
    return _p(_log_e(z, n, rho))


def critical(n: float, rho: float, alpha: float = 0.05) -> float:
    """How many standard errors the always-valid interval reaches at a look.

    sqrt(((n + rho) / n) log((n + rho) / (rho alpha^2))) (Howard et al. 2021, eq. 14).

    >>> round(critical(10_000, tuning(10_000), 0.05), 2)
    3.04
    """
    _check(n, rho)
    _check_level(alpha)
    return math.sqrt((n + rho) / n * (math.log1p(n / rho) - 2 * math.log(alpha)))


def one_sided_e_value(z: float, n: float, rho: float) -> float:
    """Evidence against "no effect or a negative one": the mixture over positive effects only.

    Twice the two-sided e-value times Phi(z sqrt(n / (n + rho))) (Howard et al. 2021, prop. 6).
    """
    return _exp(_log_e_one_sided(z, n, rho))


def one_sided_p_value(z: float, n: float, rho: float) -> float:
    """The always-valid p-value of "no effect or a negative one": 1 / e, at most 1; never 0."""
    return _p(_log_e_one_sided(z, n, rho))


@lru_cache(maxsize=4096)
def one_sided_critical(n: float, rho: float, alpha: float = 0.05) -> float:
    """How many standard errors below the estimate the always-valid lower bound lies.

    >>> round(one_sided_critical(10_000, tuning(10_000, 0.1), 0.05), 2)
    2.77
    """
    _check_level(alpha)
    high = critical(n, rho, alpha)  # the one-sided e-value is larger than the two-sided one for z > 0
    target = -math.log(alpha)
    return solve(lambda z: _log_e_one_sided(z, n, rho) - target, -40.0, high + 1)


def t_p_value(t: float, n: float, rho: float, df: float) -> float:
    """The always-valid two-sided p-value of a t statistic: exact for normal data at any n.

    e = sqrt(r) ((1 + r t^2 / df) / (1 + t^2 / df))^(-(df + 1) / 2), r = rho / (n + rho) (Lai 1976; Wang, Ramdas
    2023, "Anytime-valid t-tests", thm. 4.9; Lindon et al. 2022). Also a valid one-sided p-value on the side of
    t, then conservative. As df grows it becomes `p_value`.
    """
    _check(n, rho)
    if math.isinf(df):
        return p_value(t, n, rho)
    _check_df(df)
    r, x = rho / (n + rho), t * t / df
    return _p(0.5 * math.log(r) + (df + 1) / 2 * (math.log1p(x) - math.log1p(r * x)))


def t_critical(n: float, rho: float, df: float, alpha: float = 0.05) -> float:
    """The t at which `t_p_value` reaches alpha; infinity where so few data can never reach it.

    >>> t_critical(4, 1.0, 2, 0.05)
    inf
    """
    _check(n, rho)
    _check_level(alpha)
    if math.isinf(df):
        return critical(n, rho, alpha)
    _check_df(df)
    r = rho / (n + rho)
    exponent = 2 / (df + 1) * (-0.5 * math.log(r) - math.log(alpha))
    below = 1 - r * math.exp(exponent) if exponent < 700 else -1.0
    return math.sqrt(df * math.expm1(exponent) / below) if below > 0 else math.inf


def rate_e_value(events: int, trials: int, limit: float, concentration: float = 10.0) -> float:
    """Evidence that a share is above ``limit``: the beta-binomial mixture over the shares above it.

    Howard et al. (2021, prop. 7), one-sided: the prior is Beta(c limit, c (1 - limit)) cut to (limit, 1).
    Exact at any number of events, so it suits crashes and the like. For "below a limit" give the trials
    without the event and 1 - limit.

    Args:
        events: trials with the event. limit: in (0, 1). concentration: c, how near the limit one expects
            the share; 10 suits an alarm after some ten events.
    """
    return _exp(_log_e_rate(events, trials, limit, concentration))


def rate_p_value(events: int, trials: int, limit: float, concentration: float = 10.0) -> float:
    """The always-valid p-value of "the share is at most ``limit``"; never 0."""
    return _p(_log_e_rate(events, trials, limit, concentration))


@lru_cache(maxsize=4096)
def rate_bound(events: int, trials: int, alpha: float = 0.05, concentration: float = 10.0) -> float:
    """The always-valid lower bound of a share: the largest limit that `rate_p_value` rejects; 0 where none.

    >>> bound = rate_bound(12, 1000, 0.05)
    >>> rate_p_value(12, 1000, bound * 0.999) < 0.05 < rate_p_value(12, 1000, bound * 1.001)
    True
    """
    _check_level(alpha)
    _check_trials(events, trials)
    if events == 0:
        return 0.0

    def excess(log_limit: float) -> float:
        return _log_e_rate(events, trials, math.exp(log_limit), concentration) + math.log(alpha)

    high = math.log(events / trials) if events < trials else math.log1p(-1e-12)
    low = high - 1.0
    while excess(low) <= 0:
        low -= 1.0
        if low < -600:
            return 0.0
    return math.exp(solve(excess, low, high, 1e-10))


def two_rates_p_value(
    events_t: int, n_t: int, events_c: int, n_c: int, ratio: float = 1.0, concentration: float = 10.0
) -> float:
    """The always-valid p-value of "the treatment's rare rate is at most ``ratio`` times control's".

    Given that an event happened, it fell to the treatment with chance n_t ratio / (n_t ratio + n_c), whatever
    the rate: a sequence of coin tosses (Przyborowski, Wilenski 1940, Biometrika 31), tested by `rate_p_value`.
    Exact for random assignment and a ratio of 1, conservative for common events.

    >>> two_rates_p_value(14, 5000, 2, 5000) < 0.05 < two_rates_p_value(9, 5000, 7, 5000)
    True
    """
    return rate_p_value(events_t, events_t + events_c, _share(n_t, n_c, ratio), concentration)


def two_rates_bound(
    events_t: int, n_t: int, events_c: int, n_c: int, alpha: float = 0.05, concentration: float = 10.0
) -> float | None:
    """The always-valid lower bound of the ratio of two rare rates; None (no bound known) without units.

    The bound exceeds a ratio exactly when `two_rates_p_value` of that ratio is below alpha.
    """
    if n_t == 0 or n_c == 0 or events_t + events_c == 0:
        return None
    share = rate_bound(events_t, events_t + events_c, alpha, concentration)
    return share / (1 - share) * n_c / n_t


def _share(n_t: int, n_c: int, ratio: float) -> float:
    if n_t <= 0 or n_c <= 0:
        raise InputError(f"the variants have {n_t} and {n_c} units: both need some")
    if not 0 < ratio < math.inf:
        raise InputError(f"ratio is {ratio}: give a positive number")
    return n_t * ratio / (n_t * ratio + n_c)


def _log_e(z: float, n: float, rho: float) -> float:
    _check(n, rho)
    return 0.5 * (n / (n + rho) * z * z - math.log1p(n / rho))


def _log_e_one_sided(z: float, n: float, rho: float) -> float:
    side = float(log_ndtr(z * math.sqrt(n / (n + rho))))
    return _log_e(z, n, rho) + math.log(2) + side


def _log_e_rate(events: int, trials: int, limit: float, concentration: float) -> float:
    _check_trials(events, trials)
    if not 0 < limit < 1:
        raise InputError(f"limit is {limit}: give a share between 0 and 1")
    a, b = concentration * limit, concentration * (1 - limit)
    misses = trials - events
    cut = _log(betaincc(a + events, b + misses, limit)) - _log(betaincc(a, b, limit))
    mixture = float(betaln(a + events, b + misses) - betaln(a, b)) + cut
    return mixture - float(xlogy(events, limit) + xlog1py(misses, -limit))


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else -math.inf


def _exp(log_e: float) -> float:
    return math.exp(log_e) if log_e < 709 else math.inf


def _p(log_e: float) -> float:
    return math.exp(min(0.0, max(-log_e, _LOG_SMALLEST)))


def _check(n: float, rho: float) -> None:
    if not n > 0:
        raise InputError(f"n is {n}: an always-valid number needs data")
    if not rho > 0:
        raise InputError(f"rho is {rho}: give a positive number, for example tuning(plan_n, alpha)")


def _check_level(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}: give a number between 0 and 1")


def _check_df(df: float) -> None:
    if not df > 0:
        raise InputError(f"df is {df}: a t statistic needs at least 1 degree of freedom")


def _check_trials(events: int, trials: int) -> None:
    if not 0 <= events <= trials:
        raise InputError(f"{events} events in {trials} trials: events must lie between 0 and the trials")
