"""Key learnings: what the numbers taught, one sentence each, the most certain first."""

from collections.abc import Iterator

from upshot.analysis.belief import prior_of
from upshot.analysis.result import Comparison, MetricResult
from upshot.report import rows, segments, words
from upshot.report.findings import Findings
from upshot.report.rows import Row


def learnings(findings: Findings) -> tuple[str, ...]:
    """Sentences about goals, side effects, guardrails, segments, trend and data, in this order."""
    if findings.in_doubt:
        told: tuple[str, ...] = (*_nothing(findings), *_guardrails(findings), *_data(findings))
    else:
        told = _effects(findings)
    return tuple(dict.fromkeys(words.sentence(line) for line in told))


def _nothing(findings: Findings) -> Iterator[str]:
    failed = [check.name.replace("_", " ") for check in findings.analysis.checks if check.status == "fail"]
    yield f"Nothing can be learned of the effect from these numbers: {words.listing(failed)} failed"


def _effects(findings: Findings) -> tuple[str, ...]:
    return (
        *_goals(findings),
        *_side_effects(findings),
        *_guardrails(findings),
        *_segments(findings),
        *_fades(findings),
        *_variance(findings),
        *_data(findings),
    )


def _pairs(findings: Findings) -> Iterator[tuple[MetricResult, Comparison, Row]]:
    for result in findings.analysis.metrics:
        for comparison, row in zip(result.comparisons, rows.of_metrics(findings, [result]), strict=True):
            yield result, comparison, row


def _goals(findings: Findings) -> Iterator[str]:
    for result, comparison, row in _pairs(findings):
        if result.role == "primary":
            yield _goal(findings, comparison, row)
            yield from _belief(findings, comparison, row)
            if row.standing == "better" and comparison.shrunken_lift is not None and _goes_on(findings):
                expected = words.percent(comparison.shrunken_lift, 1, signed=True)
                yield (
                    f"Winners are overestimated: for {row.metric} expect about {expected} rather than "
                    f"{row.lift} once {row.variant} is everywhere"
                )


def _belief(findings: Findings, comparison: Comparison, row: Row) -> Iterator[str]:
    """The chance that it is worth shipping, with the prior that it rests on."""
    if comparison.p_win is not None and rows.bars(findings):
        bar = words.percent((1 if row.better == "higher" else -1) * findings.plan.worth_shipping, signed=True)
        chance, prior = words.chance(comparison.p_win), prior_of(findings.plan).name
        yield f"The chance that the lift of {row.metric} is beyond {bar} is {chance} (prior: {prior})"


def _goes_on(findings: Findings) -> bool:
    """Whether anybody is to meet the better variant after this."""
    return findings.verdict.verdict in {"SHIP", "DISCUSS", "EXTEND"}


def _goal(findings: Findings, comparison: Comparison, row: Row) -> str:
    level = words.percent(findings.confidence)
    if row.standing == "unknown":
        return f"Nothing can be said about {row.metric} yet. {' '.join(row.missing)}"
    if row.standing == "unclear":
        return (
            f"No difference in {row.metric} could be shown for {row.variant} ({row.control} → {row.value}, "
            f"{row.lift}); {_ruled_out(findings, comparison, row)}"
        )
    way = "improved" if row.standing == "better" else "worsened"
    change = f"from {row.control} to {row.value}: {row.lift}, {level} interval {row.interval}"
    return f"{row.variant} {way} {row.metric} {change}"


def _ruled_out(findings: Findings, comparison: Comparison, row: Row) -> str:
    """Whether the effect that was looked for can still be there."""
    low, high = comparison.lift_interval
    higher = row.better == "higher"
    best = high if higher else None if low is None else -low
    wanted = words.percent((1 if higher else -1) * findings.plan.minimum_effect, signed=True)
    if best is not None and best < findings.plan.minimum_effect:
        return f"an effect of {wanted} is ruled out (interval {row.interval})"
    return f"an effect of {wanted} is still possible (interval {row.interval})"


def _side_effects(findings: Findings) -> Iterator[str]:
    for result, _, row in _pairs(findings):
        if result.role == "secondary" and row.standing in {"better", "worse"}:
            over = f" over {row.tests} tests" if row.tests > 1 else ""
            yield (
                f"Beside the goals, {row.metric} became {row.standing} with {row.variant}: "
                f"{row.lift} {row.interval}, {_adjusted(row)}{over}"
            )


def _adjusted(row: Row) -> str:
    return f"p {row.p}" if row.p.startswith("<") else f"p = {row.p}"


def _guardrails(findings: Findings) -> Iterator[str]:
    found = [(row, row.guardrail) for _, _, row in _pairs(findings) if row.guardrail]
    for state in ("harmed", "unproven"):
        for row, guardrail in found:
            if guardrail.state == state:
                yield f"With {row.variant}, {words.plain(guardrail.sentence)}"
    safe = sorted({row.metric for row, guardrail in found if guardrail.state == "held"})
    if safe:
        yield f"Held, with proof: {words.listing(safe)}"


def _segments(findings: Findings) -> Iterator[str]:
    for split in segments.splits(findings):
        for value, row in split.parts:
            if row.standing in {"better", "worse"}:
                yield (
                    f"Among {split.column} = {value}, {row.variant} is {row.standing} on {row.metric}: "
                    f"{row.lift} {row.interval} (exploratory, over {words.plural(split.tests, 'test')})"
                )


def _fades(findings: Findings) -> Iterator[str]:
    for fade in findings.analysis.fades:
        if fade.fading:
            late = words.percent(fade.last_third_lift, 1, signed=True)
            trend = words.p_phrase(fade.slope_p_value)
            yield (
                f"The effect of {words.plain(fade.variant)} on {words.plain(fade.metric)} fades: {late} in "
                f"the last third of the days since exposure ({trend} for the trend)"
            )


def _variance(findings: Findings) -> Iterator[str]:
    for result, comparison, row in _pairs(findings):
        share = comparison.variance_reduction
        if share is not None and 0.01 <= share < 1:
            more = words.percent(share / (1 - share), 0)
            columns = words.listing([words.plain(c) for c in findings.metric(result.name).covariates])
            yield (
                f"{columns or 'Covariates'} took {words.percent(share, 0)} off the variance of "
                f"{row.metric}: as good as {more} more units"
            )


def _data(findings: Findings) -> Iterator[str]:
    for check in findings.failing_checks():
        yield f"{check.name.replace('_', ' ')}: {words.plain(check.detail)}"
