"""Guardrails: is a variant proven harmful, proven harmless, or neither yet.

Harm has its own level and is read at any time: one-sided always-valid bounds, Bonferroni over guardrails and
variants. Holding is the plan's own monitored interval: all guardrails must hold, so none needs a correction.
"""

import math
from dataclasses import dataclass

from scipy.special import ndtr

from upshot.analysis.comparison import Tested, ends, lift_at
from upshot.analysis.evidence import Sample
from upshot.analysis.monitor import LEAST_EVENTS, Monitor, Reach
from upshot.analysis.phrases import percent, quantity
from upshot.analysis.result import Guardrail, GuardrailState
from upshot.model.metric import Metric
from upshot.stats import always_valid, fixed
from upshot.stats.effect import Arm, Effect, estimate, lift_interval, margin_effect
from upshot.stats.proportions import wilson

RARE = 0.05
"""Shares below this count as rare events: an e-process of their counts replaces the normal limit."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What one guardrail is judged with.

    Attributes:
        metric: the guardrail. tested: the variant against control. level: one-sided, for harm.
        control, variant: the samples. monitor: of the plan. before: the running harm p so far.
    """

    metric: Metric
    tested: Tested
    control: Sample
    variant: Sample
    monitor: Monitor
    level: float
    before: float


def assess(watch: Watch) -> Guardrail:
    """The state of a guardrail with the numbers it rests on; `Guardrail.p_value` is the running one."""
    return _limit(watch) if watch.metric.has_limit else _margin(watch)


def _state(p: float | None, level: float, held: bool) -> GuardrailState:
    if p is not None and p <= level:
        return "harmed"
    return "held" if held else "unproven"


def _running(p: float | None, before: float) -> float | None:
    return min(p, before) if p is not None else (before if before < 1 else None)


def _margin(watch: Watch) -> Guardrail:
    margin = watch.metric.margin or 0.0
    p, bound = _rare_margin(watch, margin) if _is_rare(watch) else _normal_margin(watch, margin)
    p = _running(p, watch.before)
    worst = _worst_deterioration(watch)
    state = _state(p, watch.level, worst is not None and worst < margin)
    return Guardrail(
        state=state,
        bound=bound,
        threshold=margin,
        p_value=p,
        sentence=_margin_words(watch, state, bound, worst),
    )


def _margin_words(watch: Watch, state: GuardrailState, bound: float | None, worst: float | None) -> str:
    name, margin = watch.metric.name, percent(watch.metric.margin or 0.0)
    if state == "harmed":
        least = f"at least {percent(bound)}" if bound is not None and bound > 0 else "proven"
        return f"{name} is worse than control by {least}, beyond its margin of {margin}"
    if state == "held":
        most = percent(max(worst or 0.0, 0.0))
        return f"{name} holds: a deterioration of more than {most} is ruled out (margin {margin})"
    if watch.tested.reason and worst is None:
        return f"{name} is unproven: {watch.tested.reason}"
    could = "without bound" if worst is None else f"up to {percent(worst)}"
    mend = (
        "" if watch.metric.margin else "; only a proven gain holds at 0: give it a margin, such as margin=2%"
    )
    return f"{name} is unproven: it could be worse {could}, its margin is {margin}{mend}"


def _worst_deterioration(watch: Watch) -> float | None:
    """The upper end of the relative deterioration in the plan's own interval; None: no bound."""
    if watch.tested.reason and watch.tested.counts is None:
        return None
    low, high = ends(lift_at(watch.tested, watch.monitor, watch.monitor.plan.alpha))
    if watch.metric.better == "lower":
        return high
    return None if low is None else -low


def _is_rare(watch: Watch) -> bool:
    if watch.metric.kind not in ("proportion", "retention", "funnel") or watch.metric.better == "higher":
        return False
    if watch.variant.clusters is not None or not (watch.control.moments.n and watch.variant.moments.n):
        return False
    pooled = watch.control.moments + watch.variant.moments
    return pooled.mean() < RARE


def _events(sample: Sample) -> tuple[int, int]:
    return round(sample.moments.mean() * sample.moments.n), sample.moments.n


def _rare_margin(watch: Watch, margin: float) -> tuple[float | None, float | None]:
    events_t, n_t = _events(watch.variant)
    events_c, n_c = _events(watch.control)
    if events_t + events_c < LEAST_EVENTS:
        return None, None
    p = always_valid.two_rates_p_value(events_t, n_t, events_c, n_c, 1 + margin)
    bound = always_valid.two_rates_bound(events_t, n_t, events_c, n_c, watch.level)
    return p, None if bound is None else bound - 1


def _normal_margin(watch: Watch, margin: float) -> tuple[float | None, float | None]:
    tested, sign = watch.tested, watch.metric.sign
    if tested.effect.why_not() or not tested.reach.ripe:
        return None, None
    p = _greater_p(margin_effect(tested.effect, -sign * margin), -sign, tested.reach.n, watch.monitor)
    critical = always_valid.one_sided_critical(tested.reach.n, watch.monitor.harm_rho, watch.level)
    low, high = ends(lift_interval(tested.effect, fixed.critical_from_score(critical, tested.effect.df)))
    bound = low if sign < 0 else (None if high is None else -high)
    return p, bound


def _greater_p(effect: Effect, direction: int, n: int, monitor: Monitor) -> float:
    """One-sided anytime p of "the effect is not positive" in a direction."""
    score = direction * fixed.normal_score(fixed.statistic(effect), effect.df)
    return always_valid.one_sided_p_value(score, n, monitor.harm_rho)


@dataclass(frozen=True, slots=True)
class _Level:
    """What is held against a limit.

    Attributes:
        arm: the estimate. limit: what it must not pass. side: +1 where more hurts, -1 where less does.
        share: whether it is a share, in words. events: how many units make it up, where units are counted one
            by one and not by clusters.
    """

    arm: Arm
    limit: float
    side: int
    share: bool
    events: int | None


def _limit(watch: Watch) -> Guardrail:
    here = _level_of(watch, watch.variant, watch.tested.effect.treatment)
    control = _level_of(watch, watch.control, watch.tested.effect.control)
    beyond, worse = _beyond_p(here, watch), _worse_p(here, control, watch)
    p = _running(None if beyond is None or worse is None else max(beyond, worse), watch.before)
    over = (control.arm.value - control.limit) * control.side > 0
    bound = _far_end(here, watch)
    held = bound is not None and (here.limit - bound) * here.side > 0
    state = _state(p, watch.level, held)
    return Guardrail(
        state=state, bound=bound, threshold=here.limit, p_value=p,
        sentence=_limit_words(watch, state, here, control, over, bound),
    )  # fmt: skip


def _limit_words(
    watch: Watch, state: GuardrailState, here: _Level, control: _Level, over: bool, bound: float | None
) -> str:
    name, say = watch.metric.name, (percent if here.share else quantity)
    limit = f"{'above' if here.side > 0 else 'below'} its limit of {say(here.limit)}"
    if watch.metric.kind == "quantile":
        of = "values" if watch.variant.moments.is_ratio else "units"
        what = f"share of {of} beyond {quantity(_bar(watch.metric))}"
        name, limit = f"{name}: the {what}", f"above the {say(here.limit)} that its limit allows"
    if state == "harmed":
        return f"{name} is {say(here.arm.value)}, {limit}, and worse than control's {say(control.arm.value)}"
    if over:
        return f"{name}: control itself is {limit} ({say(control.arm.value)}), so this limit cannot judge the variant"
    if state == "held":
        return f"{name} holds: {say(here.arm.value)}, and {say(bound or 0.0)} at worst, is not {limit}"
    return f"{name} is unproven: {say(here.arm.value)} so far, it could still be {limit}"


def _bar(metric: Metric) -> float:
    return float(metric.maximum if metric.maximum is not None else metric.minimum or 0.0)


def _level_of(watch: Watch, sample: Sample, arm: Arm) -> _Level:
    """A quantile's limit is judged as the share of units beyond it: ``moments`` then hold that indicator."""
    metric = watch.metric
    counted = sample.clusters is None and not sample.moments.is_ratio and _is_share(metric)
    events = _events(sample)[0] if counted else None
    if metric.kind == "quantile":
        upper = metric.maximum is not None
        level = metric.quantile or 0.5
        return _Level(estimate(sample.moments), 1 - level if upper else level, 1, True, events)
    side = 1 if metric.maximum is not None else -1
    found = arm if sample.clusters is not None else estimate(sample.moments)
    return _Level(found, _bar(metric), side, _is_share(metric), events)


def _beyond_p(here: _Level, watch: Watch) -> float | None:
    n = watch.variant.moments.n
    if here.events is not None and here.side > 0:
        enough = n > 0 and here.events >= LEAST_EVENTS and 0 < here.limit < 1
        return always_valid.rate_p_value(here.events, n, here.limit) if enough else None
    if not here.arm.variance > 0 or not watch.tested.reach.ripe:
        return None
    z = here.side * (here.arm.value - here.limit) / math.sqrt(here.arm.variance)
    return always_valid.one_sided_p_value(fixed.normal_score(z, here.arm.df), n, watch.monitor.harm_rho)


def _worse_p(here: _Level, control: _Level, watch: Watch) -> float | None:
    """Anytime p of "not worse than control", on the scale on which the limit is judged."""
    n_t, n_c = watch.variant.moments.n, watch.control.moments.n
    if here.events is not None and control.events is not None and here.side > 0 and n_t and n_c:
        few = here.events + control.events < RARE * (n_t + n_c)
        if few:
            return always_valid.two_rates_p_value(here.events, n_t, control.events, n_c)
    effect = Effect(control.arm, here.arm)
    return None if effect.why_not() else _greater_p(effect, here.side, n_t + n_c, watch.monitor)


def _is_share(metric: Metric) -> bool:
    return metric.kind in ("proportion", "retention", "funnel", "quantile")


def _far_end(here: _Level, watch: Watch) -> float | None:
    """The end towards the limit of the plan's own interval of the variant alone."""
    n = watch.variant.moments.n
    if n < 2:
        return None
    df = math.inf if here.events is not None else here.arm.df
    critical = watch.monitor.critical(watch.monitor.plan.alpha, Reach(n, df, watch.tested.reach.ripe))
    if math.isinf(critical):
        return None
    if here.events is not None:
        low, high = ends(wilson(here.events, n, max(2 * float(ndtr(-critical)), 1e-300)))
        return high if here.side > 0 else low
    if not here.arm.variance >= 0:
        return None
    return here.arm.value + here.side * critical * math.sqrt(here.arm.variance)
