"""p(win), expected loss and the shrunken lift: one normal prior on the lift, named beside every number."""

import math
from dataclasses import replace

from upshot.analysis.comparison import Tested
from upshot.analysis.result import Comparison
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.stats.bayes import Prior, posterior
from upshot.stats.effect import Effect

EARLY = "given after the decision point only"


def prior_of(plan: Plan) -> Prior:
    """Most changes do little: a lift is believed to be around 0, give or take the minimum effect."""
    return Prior(
        0.0,
        plan.minimum_effect,
        f"normal around 0 with std {100 * plan.minimum_effect:g}% (the minimum effect)",
    )


def lift_error(effect: Effect) -> float:
    """The standard error of the lift, first order."""
    ratio = effect.treatment.value / effect.control.value
    variance = effect.treatment.variance + ratio**2 * effect.control.variance - 2 * ratio * effect.covariance
    return math.sqrt(max(variance, 0.0)) / abs(effect.control.value)


def with_belief(
    comparison: Comparison, tested: Tested, metric: Metric, plan: Plan, ready: bool
) -> Comparison:
    """Add the posterior's answers after the decision point; before it, say why they are missing."""
    fields = ("p_win", "expected_loss", "shrunken_lift")
    if not ready:
        return replace(comparison, reasons={**comparison.reasons, **dict.fromkeys(fields, EARLY)})
    lift = comparison.lift
    if lift is None or comparison.p_value is None or not lift_error(tested.effect) > 0:
        why = (
            comparison.reasons.get("lift") or comparison.reasons.get("p_value") or "there is no lift to judge"
        )
        return replace(comparison, reasons={**comparison.reasons, **dict.fromkeys(fields, why)})
    belief = posterior(lift, lift_error(tested.effect), prior_of(plan))
    wanted = belief if metric.sign > 0 else belief.mirrored()
    return replace(
        comparison,
        p_win=wanted.p_above(plan.worth_shipping),
        expected_loss=wanted.expected_loss(),
        shrunken_lift=belief.mean,
    )
