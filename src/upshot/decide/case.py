"""A case: all that the table of verdicts looks at for one variant."""

from collections.abc import Iterator
from dataclasses import dataclass

from upshot.analysis.result import Analysis, Check, Comparison, Fade, MetricResult, Progress
from upshot.decide.outlook import is_futile
from upshot.decide.reading import Reading, read
from upshot.model.decision import Situation
from upshot.model.plan import Plan

TREND = 0.1
"""One-sided level at which a falling gain makes a win wait for the rest of its data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One variant before the table.

    Attributes:
        plan, analysis, situation, variant: whose case it is.
        primaries, secondaries, guardrails: readings by role; a guardrail or primary of which nothing could
            be measured has no reading and is in ``unmeasured``.
    """

    plan: Plan
    analysis: Analysis
    situation: Situation
    variant: str
    primaries: tuple[Reading, ...]
    secondaries: tuple[Reading, ...]
    guardrails: tuple[Reading, ...]
    unmeasured: tuple[str, ...]

    @property
    def progress(self) -> Progress:
        """How far the experiment is."""
        return self.analysis.progress

    @property
    def harmed(self) -> tuple[Reading, ...]:
        """Guardrails that are harmed and primaries shown worse at any time."""
        return self.harmed_guardrails + tuple(
            reading for reading in self.primaries if reading.comparison.harm
        )

    @property
    def harmed_guardrails(self) -> tuple[Reading, ...]:
        """Guardrails that are harmed."""
        return tuple(reading for reading in self.guardrails if _state(reading) == "harmed")

    @property
    def unproven(self) -> tuple[str, ...]:
        """Guardrails of which harm within the margin is not ruled out, measured or not."""
        return (
            tuple(reading.name for reading in self.guardrails if _state(reading) != "held") + self.unmeasured
        )

    @property
    def better(self) -> tuple[Reading, ...]:
        """Primaries that are better."""
        return tuple(reading for reading in self.primaries if reading.better)

    @property
    def worse(self) -> tuple[Reading, ...]:
        """Primaries that are worse."""
        return tuple(reading for reading in self.primaries if reading.worse)

    @property
    def worth(self) -> tuple[Reading, ...]:
        """Primaries that are better by as much as is worth shipping."""
        return tuple(reading for reading in self.better if reading.reaches(self.plan.worth_shipping))

    @property
    def fading(self) -> tuple[Fade, ...]:
        """Trends of primaries whose gain fades: below the bar by now, or, with days left, on its way there."""
        own = (fade for fade in self.analysis.fades if fade.variant == self.variant)
        return tuple(fade for fade in own if fade.fading or self._will_fade(fade))

    def _will_fade(self, fade: Fade) -> bool:
        days = self.progress.days_left or 0
        at_the_end = fade.last_third_lift + fade.slope_per_day * days
        falls = fade.slope_p_value < TREND and fade.slope_per_day < 0
        return falls and not self.progress.maximum_reached and at_the_end < self.plan.worth_shipping

    @property
    def failed(self) -> tuple[Check, ...]:
        """Failed checks that nobody acknowledged."""
        return tuple(
            check for check in failed_checks(self.analysis) if not self.situation.reason_for(check.name)
        )

    @property
    def futile(self) -> bool:
        """Whether the plan's futility bounds say of every primary that going on is not worth it."""
        information = self.progress.information
        return bool(self.primaries) and all(is_futile(one, self.plan, information) for one in self.primaries)

    def no_gain(self, gain: float) -> bool:
        """Whether this gain is ruled out for every primary."""
        return bool(self.primaries) and all(reading.rules_out(gain) for reading in self.primaries)


def case_of(plan: Plan, analysis: Analysis, situation: Situation, variant: str) -> Case:
    """Gather the case of one variant."""
    found: dict[str, list[Reading]] = {"primary": [], "secondary": [], "guardrail": []}
    unmeasured = []
    for metric in analysis.metrics:
        comparison = _comparison(metric, variant)
        if comparison is not None:
            found[metric.role].append(read(metric, comparison))
        elif metric.role == "guardrail":
            unmeasured.append(metric.name)
    analysed = {metric.name for metric in analysis.metrics}
    unmeasured += [metric.name for metric in plan.of_role("guardrail") if metric.name not in analysed]
    return Case(
        plan=plan,
        analysis=analysis,
        situation=situation,
        variant=variant,
        primaries=tuple(found["primary"]),
        secondaries=tuple(found["secondary"]),
        guardrails=tuple(found["guardrail"]),
        unmeasured=tuple(unmeasured),
    )


def failed_checks(analysis: Analysis) -> tuple[Check, ...]:
    """The checks that failed, acknowledged or not."""
    return tuple(check for check in analysis.checks if check.status == "fail")


def losses(case: Case) -> Iterator[tuple[str, Reading]]:
    """Secondaries and segments that are significantly worse, by the name that acknowledges them."""
    for reading in case.secondaries:
        if _significantly_worse(reading):
            yield reading.name, reading
    for column, values in case.analysis.segments.items():
        for value, segment in values.items():
            for metric in segment.metrics:
                comparison = _comparison(metric, case.variant)
                if comparison is not None and _significantly_worse(reading := read(metric, comparison)):
                    yield f"{column}={value}", reading


def _significantly_worse(reading: Reading) -> bool:
    effect = reading.comparison.effect
    return reading.comparison.significant and effect is not None and effect != 0 and not reading.leans_well


def _comparison(metric: MetricResult, variant: str) -> Comparison | None:
    return next((one for one in metric.comparisons if one.variant == variant), None)


def _state(reading: Reading) -> str:
    return reading.comparison.guardrail.state if reading.comparison.guardrail else "unproven"
