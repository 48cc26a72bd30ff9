"""Plan and analysis in, verdict out."""

from upshot.analysis.result import Analysis
from upshot.decide.aa import aa_verdict
from upshot.decide.case import Case, case_of, failed_checks, losses
from upshot.decide.combination import combine
from upshot.decide.phrases import ended
from upshot.decide.reading import describe
from upshot.decide.table import first_row
from upshot.errors import DataError
from upshot.model.decision import Cause, ExperimentVerdict, Situation, VariantVerdict
from upshot.model.plan import Plan

__all__ = ["Situation", "decide"]


def decide(plan: Plan, analysis: Analysis, situation: Situation | None = None) -> ExperimentVerdict:
    """The verdict over all variants.

    Each non-control variant meets the first row of its policy's table that applies (DESIGN section 5); killed
    variants drop out, several that reach SHIP are decided by the plan's tie-break. An A/A plan is healthy
    or not.

    Args:
        plan: what was fixed before the start.
        analysis: what the data say at this look.
        situation: what people know beside the numbers; None: nothing.

    Raises:
        DataError: no variant was compared with control.
    """
    situation = situation or Situation()
    names = compared(analysis)
    if not names:
        raise DataError(
            f"no variant was compared with control {analysis.control!r}: give data of at least two variants"
        )
    cases = [case_of(plan, analysis, situation, name) for name in names]
    if plan.purpose == "aa":
        return aa_verdict(cases)
    return combine(plan, cases, [_variant_verdict(case) for case in cases])


def compared(analysis: Analysis) -> tuple[str, ...]:
    """The variants that were compared with control, in the order of the analysis."""
    return tuple(
        dict.fromkeys(comparison.variant for metric in analysis.metrics for comparison in metric.comparisons)
    )


def _variant_verdict(case: Case) -> VariantVerdict:
    row, finding = first_row(case)
    open_losses = _losses(case) if finding.verdict in ("SHIP", "DISCUSS", "EXTEND") else []
    accepted = [reason for reason, acknowledged in open_losses if not acknowledged]
    cause: Cause = "acknowledge" if finding.verdict == "SHIP" and accepted else finding.cause
    return VariantVerdict(
        variant=case.variant,
        verdict=finding.verdict,
        cause=cause,
        row=row.number,
        headline=finding.headline + (", once its losses are acknowledged" if cause == "acknowledge" else ""),
        reasons=tuple(
            map(ended, (*finding.reasons, *(reason for reason, _ in open_losses), *_accepted_checks(case)))
        ),
        would_change=finding.would_change,
    )


def _losses(case: Case) -> list[tuple[str, bool]]:
    """A sentence for each significantly worse secondary or segment, and whether it was accepted."""
    sentences = []
    for name, reading in losses(case):
        where = f" in {name}" if name != reading.name else ""
        loss = f"Significantly worse{where}: {describe(reading)}."
        reason = case.situation.reason_for(name)
        mend = f" Acknowledged: {reason}" if reason else f" Acknowledge {name} with a reason before shipping."
        sentences.append((loss + mend, bool(reason)))
    return sentences


def _accepted_checks(case: Case) -> list[str]:
    return [
        f"{check.name} failed and was acknowledged: {case.situation.reason_for(check.name)}"
        for check in failed_checks(case.analysis)
        if case.situation.reason_for(check.name)
    ]
