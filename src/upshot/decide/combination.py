"""Several variants, one verdict: the killed drop out, the others go on, a tie is broken as the plan says."""

from collections.abc import Sequence

from upshot.decide.case import Case
from upshot.model.decision import Cause, ExperimentVerdict, VariantVerdict, Verdict
from upshot.model.plan import Plan

KILLS: tuple[Cause, ...] = ("harm", "worse", "no_effect", "inconclusive")
STANDING: tuple[Verdict, ...] = ("INVESTIGATE", "EXTEND", "CONTINUE", "DISCUSS", "ITERATE")


def combine(plan: Plan, cases: Sequence[Case], verdicts: Sequence[VariantVerdict]) -> ExperimentVerdict:
    """The verdict over all variants, from those of each."""
    killed = [verdict for verdict in verdicts if verdict.verdict == "KILL"]
    standing = [verdict for verdict in verdicts if verdict.verdict != "KILL"]
    ships = [verdict for verdict in standing if verdict.verdict == "SHIP"]
    if not standing:
        chosen = min(killed, key=lambda verdict: KILLS.index(verdict.cause))
    elif len(ships) == 1:
        chosen = ships[0]
    elif ships:
        return _tie(plan, cases, verdicts, ships)
    else:
        chosen = min(standing, key=lambda verdict: STANDING.index(verdict.verdict))
    return _spoken(chosen, verdicts)


def _spoken(chosen: VariantVerdict, verdicts: Sequence[VariantVerdict]) -> ExperimentVerdict:
    """The chosen variant speaks for the experiment; what became of the others is said after it."""
    several = len(verdicts) > 1
    others = [f"{other.variant}: {other.headline}." for other in verdicts if other is not chosen]
    stop = [other.variant for other in verdicts if other.cause == "harm" and other is not chosen]
    headline = f"{chosen.variant}: {chosen.headline}" if several else chosen.headline
    return ExperimentVerdict(
        verdict=chosen.verdict,
        cause=chosen.cause,
        headline=f"Turn {' and '.join(stop)} off. {headline}" if stop else headline,
        reasons=(*chosen.reasons, *others),
        would_change=chosen.would_change,
        winner=chosen.variant if chosen.verdict == "SHIP" else None,
        variants=tuple(verdicts),
    )


def _tie(
    plan: Plan, cases: Sequence[Case], verdicts: Sequence[VariantVerdict], ships: list[VariantVerdict]
) -> ExperimentVerdict:
    names = [verdict.variant for verdict in ships]
    winner = tie_winner(plan, [case for case in cases if case.variant in names])
    if winner is not None:
        spoken = _spoken(next(verdict for verdict in ships if verdict.variant == winner), verdicts)
        rule = f"{', '.join(names)} all reach SHIP; the plan's tie-break, {plan.tie_break}, takes {winner}."
        return _with_reason(spoken, rule)
    return ExperimentVerdict(
        verdict="DISCUSS",
        cause="tie",
        headline=f"Choose one: {' and '.join(names)} could all be shipped",
        reasons=tuple(f"{verdict.variant}: {reason}" for verdict in ships for reason in verdict.reasons),
        would_change="A tie-break in the plan, or one variant ahead of the others in a test of its own.",
        winner=None,
        variants=tuple(verdicts),
    )


def _with_reason(verdict: ExperimentVerdict, reason: str) -> ExperimentVerdict:
    return ExperimentVerdict(
        verdict=verdict.verdict,
        cause=verdict.cause,
        headline=verdict.headline,
        reasons=(reason, *verdict.reasons),
        would_change=verdict.would_change,
        winner=verdict.winner,
        variants=verdict.variants,
    )


def tie_winner(plan: Plan, cases: Sequence[Case]) -> str | None:
    """Which of several variants the plan's tie-break takes; None: people must choose."""
    if plan.tie_break == "first":
        return cases[0].variant
    if plan.tie_break is None:
        return None
    gains = {case.variant: _gain(case, plan.tie_break) for case in cases}
    measured = {variant: gain for variant, gain in gains.items() if gain is not None}
    return max(measured, key=lambda variant: measured[variant]) if measured else None


def _gain(case: Case, tie_break: str) -> float | None:
    """The gain that a tie-break compares: of the first primary, or of the metric it names."""
    if tie_break == "largest_lift":
        return case.primaries[0].gain if case.primaries else None
    readings = case.primaries + case.secondaries + case.guardrails
    return next((reading.gain for reading in readings if reading.name == tie_break), None)
