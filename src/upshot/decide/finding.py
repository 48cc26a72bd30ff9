"""What a row of the table says when it applies: verdict, cause and sentences. One function a kind of row."""

from dataclasses import dataclass

from upshot.analysis.result import Fade
from upshot.decide.case import Case
from upshot.decide.outlook import chance_to_conclude, last_day
from upshot.decide.phrases import percent, sentence, signed_percent
from upshot.decide.reading import Reading, change, describe
from upshot.model.decision import Cause, Verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on one variant before it is put together with those of the others."""

    verdict: Verdict
    cause: Cause
    headline: str
    reasons: tuple[str, ...]
    would_change: str


def harm(case: Case) -> Finding:
    """Something is harmed: stop now, whatever else is true."""
    return _harmful(case.harmed)


def guardrail_harm(case: Case) -> Finding:
    """A guardrail is harmed (policies that let a primary lose within its margin)."""
    return _harmful(case.harmed_guardrails)


def _harmful(harmed: tuple[Reading, ...]) -> Finding:
    reasons = [reading.comparison.guardrail.sentence for reading in harmed if reading.comparison.guardrail]
    reasons += [describe(reading) for reading in harmed]
    return Finding(
        "KILL",
        "harm",
        f"Turn it off: {harmed[0].name} is {_times_control(harmed[0])}",
        (*reasons, "The bound of this harm holds at every look, so more data cannot take it back."),
        "Only a fault in the measurement itself: if the harm is not real, mend it and start anew.",
    )


def _times_control(reading: Reading) -> str:
    lift = reading.comparison.lift
    if lift is None:
        return f"worse than control by {change(reading)}"
    return f"{1 + lift:.1f} times control" if lift >= 0.5 else f"{signed_percent(lift)} against control"


def check(case: Case) -> Finding:
    """The data cannot be believed: no word about any effect."""
    failed = case.failed
    names = ", ".join(one.name for one in failed)
    return Finding(
        "INVESTIGATE",
        "check",
        f"Do not believe these numbers yet: {failed[0].detail.partition(';')[0].rstrip('.')}",
        tuple(f"{one.name} failed: {sentence(one.detail)} {sentence(one.mend)}".rstrip() for one in failed),
        f"Find the cause and mend the data, or acknowledge {names} with a reason.",
    )


def early(case: Case) -> Finding:
    """Too early: progress only, so that nobody sees an effect before its time."""
    reasons = _missing(case)
    return Finding(
        "CONTINUE",
        "early",
        f"Too early to judge: {reasons[0][0].lower()}{reasons[0][1:].rstrip('.')}",
        tuple(reasons),
        "Nothing but harm or a failed check is judged before then.",
    )


def _missing(case: Case) -> list[str]:
    progress, plan = case.progress, case.plan
    reasons = []
    if progress.days_left:
        known = (
            "" if progress.precision is None else f", {percent(progress.precision)} of the precision needed"
        )
        reasons.append(f"{progress.days_left} days to go{known}.")
    if not progress.minimum_reached:
        ran = "" if progress.days is None else f" after {progress.days} days"
        reasons.append(f"The minimum runtime of {plan.minimum_days} days is not reached{ran}.")
    if not progress.floor_reached:
        name, units = min(progress.units.items(), key=lambda entry: entry[1])
        reasons.append(f"{name} has {units:,} units of the {plan.floor:,} that each variant needs.")
    if not progress.decision_point:
        share = percent(progress.information)
        reasons.append(f"A fixed plan is judged once, at its end; {share} of its units are in.")
    return reasons


def mixed(case: Case) -> Finding:
    """Primaries point both ways and both are real."""
    final = case.progress.maximum_reached
    names = f"{case.better[0].name} is better, {case.worse[0].name} is worse"
    return Finding(
        "DISCUSS" if final else "CONTINUE",
        "mixed",
        f"{'Weigh it' if final else 'Go on'}: {names}",
        tuple(describe(reading) for reading in case.primaries),
        "One of the two losing its significance" + ("." if final else f"; the test goes on {_until(case)}."),
    )


def worse(case: Case) -> Finding:
    """A primary lost."""
    loser = case.worse[0]
    return Finding(
        "KILL",
        "worse",
        f"Keep control: {loser.name} is worse, {change(loser)}",
        tuple(describe(reading) for reading in case.worse),
        "Another version of the change, tested anew.",
    )


def ship(case: Case) -> Finding:
    """A win worth shipping, unless it fades."""
    winners = case.worth or case.better
    names = {reading.name for reading in winners}
    fades = [fade for fade in case.fading if fade.metric in names]
    if fades:
        return _fading(case, winners, fades[0])
    best = max(winners, key=lambda reading: reading.gain or 0.0)
    return Finding(
        "SHIP",
        "better",
        f"Ship it: {best.name} {change(best)}",
        (*(describe(reading) for reading in case.primaries), *_bar(case), *_held(case)),
        "A smaller gain, a guardrail in doubt or a failed check.",
    )


def _bar(case: Case) -> list[str]:
    bar = percent(case.plan.worth_shipping)
    return [f"{reading.name} reaches the bar of {bar} for shipping." for reading in case.worth]


def _held(case: Case) -> list[str]:
    if not case.guardrails:
        return ["No guardrail was set."]
    return [
        reading.comparison.guardrail.sentence for reading in case.guardrails if reading.comparison.guardrail
    ]


def _fading(case: Case, winners: tuple[Reading, ...], fade: Fade) -> Finding:
    final = case.progress.maximum_reached
    trend, last = signed_percent(fade.slope_per_day), signed_percent(fade.last_third_lift)
    return Finding(
        "DISCUSS" if final else "EXTEND",
        "fading",
        f"{'Weigh it' if final else 'Wait'}: the gain of {fade.metric} fades",
        (
            *(describe(reading) for reading in winners),
            f"{fade.metric}: {trend} with each day of first exposure; over the last third the gain is {last}.",
        ),
        "A gain that stays above the bar over the last third of the days.",
    )


def unproven(case: Case) -> Finding:
    """A win, but a guardrail is not proven to hold."""
    final, names = case.progress.maximum_reached, ", ".join(case.unproven)
    states = [one.comparison.guardrail.sentence for one in case.guardrails if one.comparison.guardrail]
    missing = [f"{name} could not be measured." for name in case.unmeasured]
    return Finding(
        "DISCUSS" if final else "EXTEND",
        "unproven",
        f"{'Weigh it' if final else f'Go on {_until(case)}'}: not yet proven to be safe for {names}",
        (*(describe(reading) for reading in case.primaries), *states, *missing),
        f"Enough data to show that {names} holds.",
    )


def small(case: Case) -> Finding:
    """A real gain that is not worth what it costs, as far as the plan says."""
    best = max(case.better, key=lambda reading: reading.gain or 0.0)
    bar = percent(case.plan.worth_shipping)
    if best.gain is None:
        headline = f"Real, but it cannot be compared with your bar of {bar}: {best.name} {change(best)}"
    else:
        headline = f"Real but small: {best.name} {change(best)}, under your bar of {bar}"
    return Finding(
        "DISCUSS",
        "small",
        headline,
        tuple(describe(reading) for reading in case.primaries),
        f"A change that costs little enough to be worth less than {bar}.",
    )


def iterate(case: Case) -> Finding:
    """No proof, but the estimate and the people point the same way."""
    best = max(case.primaries, key=lambda reading: reading.gain if reading.gain is not None else -1.0)
    notes = [
        f"In its favour: {note.text}"
        for note in case.situation.notes
        if note.sign == "positive" and note.text
    ]
    return Finding(
        "ITERATE",
        "qualitative",
        f"Improve it and test again: {best.name} leans the right way and people like it",
        (
            *(describe(reading) for reading in case.primaries),
            *(notes or ["The qualitative signal is positive."]),
        ),
        "A stronger version of the change whose gain a new test can show.",
    )


def no_effect(case: Case) -> Finding:
    """What the test was built to find is not there, or cannot be shown any more."""
    effect, reasons = percent(case.plan.minimum_effect), tuple(describe(one) for one in case.primaries)
    if not case.no_gain(case.plan.minimum_effect):
        return Finding(
            "KILL",
            "inconclusive",
            f"Keep control: this test has too little chance left to show a gain of {effect}",
            (
                *reasons,
                "The plan's futility bound was crossed; it binds nobody, so going on costs time only.",
            ),
            "Going on to the maximum all the same: alpha stays whole.",
        )
    return Finding(
        "KILL",
        "no_effect",
        f"Keep control: a gain of {effect} is ruled out",
        reasons,
        f"A smaller minimum effect than {effect}, with the larger sample it needs.",
    )


def inconclusive(case: Case) -> Finding:
    """All the data are in and they do not say."""
    widths = [reading.half_width for reading in case.primaries if reading.half_width is not None]
    seen = (
        f"this test could see only ±{percent(min(widths))}" if widths else "this test gives no bounded answer"
    )
    return Finding(
        "KILL",
        "inconclusive",
        f"Keep control: {seen}",
        tuple(describe(reading) for reading in case.primaries) or ("No primary could be measured.",),
        f"More units, a covariate or a bolder change: {percent(case.plan.minimum_effect)} is not ruled out.",
    )


def promising(case: Case) -> Finding:
    """Past the planned end and nearly there."""
    best = min(promises(case), key=lambda reading: reading.comparison.p_value_adjusted or 1.0)
    chance = chance_to_conclude(best, case.plan, case.progress.information)
    said = "" if chance is None else f", with a chance of {percent(round(chance, 2))} to conclude"
    return Finding(
        "EXTEND",
        "promising",
        f"Go on {_until(case)}{said}",
        tuple(describe(reading) for reading in case.primaries),
        "Significance or the maximum, whichever comes first; alpha is budgeted for both.",
    )


def promises(case: Case) -> tuple[Reading, ...]:
    """Primaries that lean the right way with an adjusted p below 0.10."""
    return tuple(
        reading
        for reading in case.primaries
        if reading.leans_well and (reading.comparison.p_value_adjusted or 1.0) < 0.10
    )


def running(case: Case) -> Finding:
    """Nothing to say yet, and time left."""
    return Finding(
        "CONTINUE",
        "running",
        f"Go on {_until(case)}: nothing is decided yet",
        tuple(describe(reading) for reading in case.primaries)
        or (f"{percent(case.progress.information)} of the data planned at most are in.",),
        f"A gain of {percent(case.plan.worth_shipping)} or more that is significant, or a proven loss.",
    )


def _until(case: Case) -> str:
    day = last_day(case.plan, case.analysis)
    if day is not None:
        return f"until {day}"
    most = case.plan.maximum_units or case.plan.planned_units
    return f"until {most:,} units per variant" if most else "to the planned maximum"
