"""The findings of `do_no_harm`: a change may ship when nothing is worse than its margin."""

from upshot.decide.case import Case
from upshot.decide.finding import Finding
from upshot.decide.phrases import percent
from upshot.decide.reading import Reading, change, describe


def margins(case: Case) -> dict[str, float]:
    """The loss that each metric may have; a primary without a margin may have none."""
    return {metric.name: metric.margin or 0.0 for metric in case.plan.metrics}


def beyond_margin(case: Case) -> tuple[Reading, ...]:
    """Primaries that are proven to lose more than their margin."""
    allowed = margins(case)
    return tuple(reading for reading in case.primaries if reading.rules_out(-allowed.get(reading.name, 0.0)))


def doubtful(case: Case) -> tuple[str, ...]:
    """Primaries and guardrails that are not proven to lose less than their margin."""
    allowed = margins(case)
    open_primaries = tuple(
        reading.name
        for reading in case.primaries
        if not reading.proves_no_worse_than(allowed.get(reading.name, 0.0))
    )
    return open_primaries + case.unproven


def worse_than_margin(case: Case) -> Finding:
    """A primary lost more than it may."""
    loser = beyond_margin(case)[0]
    margin = percent(margins(case).get(loser.name, 0.0))
    return Finding(
        "KILL",
        "worse",
        f"Keep control: {loser.name} loses more than its margin of {margin}, {change(loser)}",
        tuple(describe(reading) for reading in beyond_margin(case)),
        "Another version of the change, tested anew.",
    )


def no_harm(case: Case) -> Finding:
    """Everything is proven to hold."""
    allowed = margins(case)
    proven = [
        f"{describe(reading)}; a loss of {percent(allowed.get(reading.name, 0.0))} is ruled out."
        for reading in case.primaries
    ]
    states = [one.comparison.guardrail.sentence for one in case.guardrails if one.comparison.guardrail]
    return Finding(
        "SHIP",
        "no_harm",
        "Ship it: nothing is worse than its margin",
        (*proven, *states),
        "A metric in doubt or a failed check.",
    )


def not_proven(case: Case) -> Finding:
    """Something is still in doubt."""
    names, progress = ", ".join(doubtful(case)), case.progress
    states = [one.comparison.guardrail.sentence for one in case.guardrails if one.comparison.guardrail]
    reasons = (*(describe(reading) for reading in case.primaries), *states)
    change_words = f"Enough data to show that {names} loses less than its margin."
    if progress.maximum_reached:
        return Finding("DISCUSS", "unproven", f"Weigh it: no proof that {names} holds", reasons, change_words)
    if progress.planned_reached:
        return Finding("EXTEND", "unproven", f"Go on: no proof yet that {names} holds", reasons, change_words)
    return Finding("CONTINUE", "running", f"Go on: no proof yet that {names} holds", reasons, change_words)
