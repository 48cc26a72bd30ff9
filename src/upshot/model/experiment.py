"""An experiment as people design it: the plan that binds, and everything around it that a team agrees upon before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from upshot.model.plan import Plan

ExperimentType = Literal[
    "viral", "onboarding", "pricing", "content", "algorithm", "growth", "ui", "feature", "performance",
    "infrastructure", "aa", "holdout",
]  # fmt: skip
Executed = Literal["SHIP", "KILL", "ITERATE", "EXTEND"]
"""Verdicts that can be carried out."""

Name = Annotated[str, MinLen(1)]
RolloutStep = Annotated[float, Gt(0), Le(1)]
Span = Annotated[timedelta, Gt(timedelta(0))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How a decision is carried out.

    Attributes:
        automatic: verdicts that are decided without a person; harm is turned off in any case.
        rollout: the shares of units that the winner is given to one after the other, in (0, 1], the last of them 1;
            empty: all at once.
        every: how long each share is kept before the next.
        holdback: share of units that keep control after SHIP, so that the lasting effect stays measurable, in [0, 1).
    """

    automatic: tuple[Executed, ...] = ()
    rollout: tuple[RolloutStep, ...] = ()
    every: Span = timedelta(days=1)
    holdback: Annotated[float, Ge(0), Lt(1)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaggingMetric:
    """An outcome that is known only after the decision, to be looked at again then.

    Attributes:
        metric: a metric over events, such as d30_retention.
        after: how long after the decision it is looked at.
    """

    metric: Name
    after: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is agreed before an experiment starts. Who asks what (id, name, hypothesis, owner) is the plan's.

    Attributes:
        plan: what binds: metrics, thresholds, runtime, monitoring, policy.
        type: what kind of change it tries; None: not said.
        flag: key of the flag whose rule carries the experiment; empty: none yet.
        background: why it is asked, in free text.
        variants: variant -> what it is, in words.
        segments: attributes of exposures that looks are split by.
        rollback: what to do when it goes wrong, in words.
        execution: how a decision is carried out.
        lagging: outcomes that are looked at again after the decision.
        tags: words to find it by.
        exceptions: a standard of the organisation that it does not keep -> the reason.
    """

    plan: Plan
    type: ExperimentType | None = None
    flag: str = ""
    background: str = ""
    variants: Mapping[Name, str] = field(default_factory=dict)
    segments: tuple[Name, ...] = ()
    rollback: str = ""
    execution: Execution = field(default_factory=Execution)
    lagging: tuple[LaggingMetric, ...] = ()
    tags: tuple[Name, ...] = ()
    exceptions: Mapping[Name, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """``EXP-2026-001``; empty before it is given."""
        return self.plan.id

    @property
    def name(self) -> str:
        """What people call it."""
        return self.plan.name

    @property
    def hypothesis(self) -> str:
        """What is expected, and why."""
        return self.plan.hypothesis

    @property
    def owner(self) -> str:
        """Who answers for it."""
        return self.plan.owner
