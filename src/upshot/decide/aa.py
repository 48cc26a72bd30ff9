"""The verdict of an A/A experiment, where every difference is a fault: healthy or not."""

from collections.abc import Sequence

from upshot.decide.case import Case
from upshot.decide.finding import Finding, check, early
from upshot.decide.phrases import ended, percent
from upshot.decide.reading import Reading, describe
from upshot.decide.table import is_early
from upshot.model.decision import ExperimentVerdict, VariantVerdict


def aa_verdict(cases: Sequence[Case]) -> ExperimentVerdict:
    """INVESTIGATE · unhealthy where a check failed or like differs from like, else CONTINUE · healthy."""
    verdicts = tuple(_variant(case) for case in cases)
    chosen = min(verdicts, key=lambda verdict: verdict.row)
    return ExperimentVerdict(
        verdict=chosen.verdict,
        cause=chosen.cause,
        headline=chosen.headline,
        reasons=chosen.reasons,
        would_change=chosen.would_change,
        winner=None,
        variants=verdicts,
    )


def _variant(case: Case) -> VariantVerdict:
    row, finding = _finding(case)
    return VariantVerdict(
        variant=case.variant,
        verdict=finding.verdict,
        cause=finding.cause,
        row=row,
        headline=finding.headline,
        reasons=tuple(map(ended, finding.reasons)),
        would_change=finding.would_change,
    )


def _finding(case: Case) -> tuple[int, Finding]:
    if case.failed:
        broken = check(case)
        return 1, Finding(broken.verdict, "unhealthy", broken.headline, broken.reasons, broken.would_change)
    differing = _differing(case)
    if case.harmed or (differing and not is_early(case)):
        return 2, _unhealthy(case, differing or case.harmed)
    if is_early(case):
        return 3, early(case)
    return 4, _healthy(case)


def _differing(case: Case) -> tuple[Reading, ...]:
    return tuple(reading for reading in case.primaries if reading.better or reading.worse)


def _unhealthy(case: Case, readings: tuple[Reading, ...]) -> Finding:
    return Finding(
        "INVESTIGATE",
        "unhealthy",
        f"Not healthy: {readings[0].name} differs between like and like",
        (
            *(describe(reading) for reading in readings),
            f"A sound A/A experiment shows this in at most {percent(case.plan.alpha)} of runs.",
        ),
        "A cause in assignment, logging or the metric that is found and mended, and a new A/A run.",
    )


def _healthy(case: Case) -> Finding:
    return Finding(
        "CONTINUE",
        "healthy",
        "Healthy: no check failed and no difference was found between like and like",
        tuple(describe(reading) for reading in case.primaries),
        "A failed check, or a primary that differs.",
    )
