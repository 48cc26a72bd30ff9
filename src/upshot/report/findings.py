"""Findings: all that a report tells, as one value."""

from collections.abc import Sequence
from dataclasses import dataclass

from upshot.analysis.cohorts import Cohorts
from upshot.analysis.evidence import Evidence
from upshot.analysis.result import Analysis, Check, Look
from upshot.model.decision import ExperimentVerdict
from upshot.model.metric import Metric
from upshot.model.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was planned, what was seen, what it says and what to do.

    Attributes:
        plan, evidence, analysis, verdict: each as the layer that makes it defines it.
        looks: the stored looks before this one, oldest first.
        cohorts: views of a live experiment by cohort; None where nobody asked for them.
    """

    plan: Plan
    evidence: Evidence
    analysis: Analysis
    verdict: ExperimentVerdict
    looks: Sequence[Look] = ()
    cohorts: Cohorts | None = None

    @property
    def title(self) -> str:
        """The experiment's name, its id, or what is asked of the data."""
        return self.plan.name or self.plan.id or f"{' and '.join(self.challengers)} against {self.control}"

    @property
    def control(self) -> str:
        """The variant that the others are compared with."""
        return self.analysis.control

    @property
    def challengers(self) -> tuple[str, ...]:
        """The variants that are not control, in the evidence's order."""
        return tuple(name for name in self.evidence.variants if name != self.control)

    @property
    def confidence(self) -> float:
        """The level of the intervals, in (0, 1)."""
        return 1 - self.analysis.alpha

    def metric(self, name: str) -> Metric:
        """The metric of that name with its kind decided, else as planned."""
        known = {m.name: m for m in (*self.plan.metrics, *self.evidence.metrics)}
        return known[name]

    @property
    def in_doubt(self) -> bool:
        """Whether a check failed, so that no effect should be believed."""
        return any(check.status == "fail" for check in self.analysis.checks)

    def is_told(self, check: Check) -> bool:
        """Whether the verdict's own reasons already say what a check found."""
        return any(check.detail[1:] in reason for reason in self.verdict.reasons)

    def failing_checks(self) -> tuple[Check, ...]:
        """Checks that failed, then those that warn."""
        return tuple(c for status in ("fail", "warn") for c in self.analysis.checks if c.status == status)
