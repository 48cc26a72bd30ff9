"""Guardrails of a rollout: are its units proven to fail too often, proven not to, or neither yet.

Both limits are shares: of units that had an error, and of requests slower than the limit ("p95 below L" is "fewer
than 5% of requests above L"). Each is read at any time: beta-binomial e-processes, exact for units that fail
independently of each other. Harm has one level, divided over limits and variants. With a control, harm is beyond the
limit *and* worse than control; without one a rollout is held to its limits alone.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from upshot.analysis.phrases import percent, quantity, units
from upshot.analysis.result import GuardrailState
from upshot.model.flag import TARGETING_KEY, Flag, Monitoring, Rule
from upshot.stats import always_valid
from upshot.stats.fixed import SMALLEST

LEVEL = 0.01
"""The chance that a harmless rollout is ever called harmed, over all its limits and variants."""
HELD_LEVEL = 0.05
"""One-sided level of "the limit holds"."""
LEAST_EVENTS = 10
"""Failing units (slow requests) of a variant from which on harm is spoken of: fewer are a bad minute."""
SLOW_SHARE = 0.05
"""The share of requests that may be above a p95 limit."""

Limit = Literal["errors", "latency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was seen of the units of a variant. Squares and products are summed over units, for their clustering.

    Attributes:
        units: that met the flag. failed: of them that had an error afterwards.
        requests: whose latency is known. slow: of them above the limit.
        requests_squared, slow_squared, slow_requests: sums over units of requests², slow², slow x requests.
    """

    units: int = 0
    failed: int = 0
    requests: int = 0
    slow: int = 0
    requests_squared: int = 0
    slow_squared: int = 0
    slow_requests: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in Counts.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A variant's units in two ways, which differ where a rollout grew while units came back.

    Attributes:
        now: units that got the variant, and what happened while they had it: what limits are about.
        first: units that got it before any other variant, and all that happened to them since: as random as the
            draw, whoever moved later, and so what is compared with control.
    """

    now: Counts
    first: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is watched of a flag.

    Attributes:
        flag: its key. limits: of its rollout.
        variants: that are judged.
        control: the variant of units of the same draw that did not get one of them; None: there is none.
        drawn_only: whether units count only where the draw chose, not where they were left out of it.
    """

    flag: str
    limits: Monitoring
    variants: tuple[str, ...]
    control: str | None
    drawn_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a variant stands against one limit.

    Attributes:
        state: ``harmed``, ``held`` (proven) or ``unproven``.
        value: the share seen; None where there is nothing yet. limit: the share allowed.
        bound: of what is harmed, the share that is exceeded at any look, at the level of harm; else None.
        p_value: always valid, of "no harm". level: it is held against.
        sentence: the state with its numbers. warning: what keeps the limit from judging; empty where nothing does.
    """

    variant: str
    limit: Limit
    state: GuardrailState
    value: float | None
    allowed: float
    bound: float | None
    p_value: float | None
    level: float
    sentence: str
    warning: str = ""


def subject_of(flag: Flag) -> Subject | None:
    """What is to be watched of a flag; None where it names no limit or nothing is rolled out.

    Control is what units get that the one draw of the flag left out or gave the default to. Where rules choose by
    anything but that draw (a condition, several rules, a prerequisite), those who are left out are other people, and
    no control.
    """
    limits = flag.monitoring
    if limits is None or not limits.has_limit:
        return None
    served = dict.fromkeys(name for rule in flag.rules for name in _served(rule))
    control, drawn_only = _control(flag)
    judged = tuple(name for name in served if name not in (control, flag.default))
    if not judged:
        return None
    return Subject(flag=flag.key, limits=limits, variants=judged, control=control, drawn_only=drawn_only)


def _served(rule: Rule) -> tuple[str, ...]:
    if rule.experiment:
        return tuple(rule.experiment.split)
    if rule.rollout:
        return tuple(rule.rollout.split) or (str(rule.rollout.variant),)
    return (rule.variant,) if rule.variant is not None else ()


def _control(flag: Flag) -> tuple[str | None, bool]:
    """The variant to compare with, and whether only units count that were drawn."""
    rule = flag.rules[0] if len(flag.rules) == 1 else None
    drawn = None if rule is None else (rule.experiment or rule.rollout)
    if rule is None or drawn is None or drawn.unit != TARGETING_KEY:
        return None, False
    within = next((name for name in ("control", flag.default) if name in drawn.split), None)
    if within is not None:
        return within, True
    chosen = rule.when is not None or rule.segments or flag.prerequisites or rule.starts or rule.until
    return (None, False) if chosen or rule.experiment else (flag.default, False)


def watch(subject: Subject, seen: Mapping[str, Seen], level: float = LEVEL) -> tuple[Standing, ...]:
    """Where each judged variant stands against each limit.

    Args:
        seen: by variant, control included where there is one.
        level: of harm, over all limits and variants (Bonferroni).
    """
    limits: list[Limit] = []
    if subject.limits.error_threshold is not None:
        limits.append("errors")
    if subject.limits.latency_threshold is not None:
        limits.append("latency")
    each = level / max(len(limits) * len(subject.variants), 1)
    return tuple(
        _stand(subject, variant, limit, seen, each) for limit in limits for variant in subject.variants
    )


@dataclass(frozen=True, slots=True)
class _Share:
    """Events in trials that count as independent, and what was seen of them."""

    events: int
    trials: int
    value: float | None
    words: str

    @property
    def is_empty(self) -> bool:
        return self.trials == 0


def _share(counts: Counts, limit: Limit) -> _Share:
    if limit == "errors":
        value = counts.failed / counts.units if counts.units else None
        return _Share(counts.failed, counts.units, value, units(counts.units))
    value = counts.slow / counts.requests if counts.requests else None
    effect = design_effect(counts)
    events, trials = math.floor(counts.slow / effect), math.ceil(counts.requests / effect)
    return _Share(events, trials, value, units(counts.requests, "request"))


def design_effect(counts: Counts) -> float:
    """By how much requests of the same units carry less than as many independent ones would; at least 1.

    The variance of the share by units over its binomial variance; counts divided by it may be read as binomial
    (Rao, Scott 1992, "A Simple Method for the Analysis of Clustered Binary Data", Biometrics 48, eq. 2-4).

    >>> design_effect(Counts(units=2, requests=20, slow=10, requests_squared=200, slow_squared=100, slow_requests=100))
    20.0
    """
    n, slow, m = counts.requests, counts.slow, counts.units
    if not 0 < slow < n or m < 2:
        return 1.0 if m > 1 or n <= 1 else float(n)
    share = slow / n
    spread = counts.slow_squared - 2 * share * counts.slow_requests + share**2 * counts.requests_squared
    return max(m / (m - 1) * spread / (n * share * (1 - share)), 1.0)


def _stand(subject: Subject, variant: str, limit: Limit, seen: Mapping[str, Seen], level: float) -> Standing:
    none = Seen(now=Counts(), first=Counts())
    here = seen.get(variant, none)
    now, allowed = _share(here.now, limit), _allowed(subject.limits, limit)
    p, warning = _beyond(now, allowed), ""
    against = None
    if subject.control is not None:
        control = seen.get(subject.control, none)
        mine, against = _share(here.first, limit), _share(control.first, limit)
        p = max(p, _worse(mine, against)) if p is not None else None
        warning = _control_over(subject.control, _share(control.now, limit), allowed, limit)
    state: GuardrailState = "unproven"
    if p is not None and p <= level:
        state = "harmed"
    elif not now.is_empty and _below(now, allowed) <= HELD_LEVEL:
        state = "held"
    bound = always_valid.rate_bound(now.events, now.trials, level) if state == "harmed" else None
    sentence = _words(_Told(subject, variant, limit, now, against, allowed, bound), state)
    return Standing(
        variant=variant, limit=limit, state=state, value=now.value, allowed=allowed, bound=bound, p_value=p,
        level=level, sentence=sentence, warning=warning,
    )  # fmt: skip


def _allowed(limits: Monitoring, limit: Limit) -> float:
    return float(limits.error_threshold or 0.0) if limit == "errors" else SLOW_SHARE


def _beyond(share: _Share, allowed: float) -> float | None:
    """The always-valid p of "the share is at most what is allowed"; None where there is too little to say so."""
    if allowed >= 1 or share.is_empty:
        return None
    if allowed == 0:
        return SMALLEST if share.events else 1.0
    enough = share.events >= LEAST_EVENTS
    return always_valid.rate_p_value(share.events, share.trials, allowed) if enough else None


def _below(share: _Share, allowed: float) -> float:
    """The always-valid p of "the share is at least what is allowed"."""
    if allowed >= 1:
        return SMALLEST
    if allowed <= 0:
        return 1.0
    return always_valid.rate_p_value(share.trials - share.events, share.trials, 1 - allowed)


def _worse(here: _Share, control: _Share) -> float:
    """The always-valid p of "no worse than control"; 1 where there is nothing to compare with yet."""
    if here.is_empty or control.is_empty:
        return 1.0
    return always_valid.two_rates_p_value(here.events, here.trials, control.events, control.trials)


def _control_over(name: str, control: _Share, allowed: float, limit: Limit) -> str:
    if control.value is None or not control.value > allowed or control.events < LEAST_EVENTS:
        return ""
    return (
        f"{limit}: {name} itself is at {percent(control.value)} of {control.words}, above the limit of "
        f"{percent(allowed)}: only what is worse than {name} can be laid at the rollout's door; raise the limit, "
        f"or mend {name}"
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What a sentence is made of."""

    subject: Subject
    variant: str
    limit: Limit
    now: _Share
    against: _Share | None
    allowed: float
    bound: float | None


def _words(told: _Told, state: GuardrailState) -> str:
    if told.now.value is None:
        missing = "no unit has" if told.limit == "errors" else "no request with a latency of units that have"
        return f"{told.limit}: {missing} {told.variant} yet"
    seen = f"{percent(told.now.value)} of {told.now.words} {_failing(told)} with {told.variant}"
    allowed = f"{percent(told.allowed)} {'are' if told.limit == 'latency' else 'is'} allowed"
    compared = _compared(told)
    if state == "harmed":
        least = f", at least {percent(told.bound)} at this level" if told.bound else ""
        return f"{told.limit}: harmed: {seen}{least}; {allowed}{compared}"
    if state == "held":
        most = 1 - always_valid.rate_bound(told.now.trials - told.now.events, told.now.trials, HELD_LEVEL)
        return f"{told.limit}: held: {seen}, and more than {percent(most)} is ruled out; {allowed}{compared}"
    return f"{told.limit}: unproven: {seen} so far; {allowed}{compared}"


def _failing(told: _Told) -> str:
    if told.limit == "errors":
        return "failed"
    return f"took longer than {quantity(float(told.subject.limits.latency_threshold or 0.0))} ms"


def _compared(told: _Told) -> str:
    if told.against is None:
        return ""
    if told.against.value is None:
        return f"; nothing of {told.subject.control} to compare with yet"
    return f"; {told.subject.control} has {percent(told.against.value)} of {told.against.words}"
