"""Learnings: what an experiment taught, kept so that the next team finds it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from upshot.model.experiment import Executed, ExperimentType
from upshot.model.metric import Better, Role

Moved = Literal["better", "worse", "unclear"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedEffect:
    """What one variant did to one metric, as far as anybody may know.

    Attributes:
        metric, role, better: as in the plan. variant: against control.
        lift, low, high: relative to control, as the last look found it; None where there is none.
        expected: the lift once winners are not chosen for being large (the posterior mean); None where it was not
            computed.
        moved: better or worse where the adjusted interval leaves 0 out.
    """

    metric: str
    role: Role
    better: Better
    variant: str
    lift: float | None
    low: float | None
    high: float | None
    expected: float | None
    moved: Moved

    @property
    def asked(self) -> bool:
        """Whether a change of it was what the experiment looked for."""
        return self.role == "primary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What was learnt, and from what.

    Attributes:
        id: its number; 0: not kept yet.
        experiment: from which; empty: from elsewhere. name, hypothesis, type, tags: of that experiment then.
        at, actor: when it was written down, and by whom.
        verdict: what was decided; None where nothing was.
        text: what was learnt, a sentence a line.
        effects: what metrics did.
    """

    id: int = 0
    experiment: str = ""
    name: str = ""
    hypothesis: str = ""
    type: ExperimentType | None = None
    tags: tuple[str, ...] = ()
    at: datetime
    actor: str
    verdict: Executed | None = None
    text: str
    effects: tuple[LearnedEffect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """That two learnings of experiments of one type say something of one metric.

    Attributes:
        learning: the other one. metric: of which both say something.
        supports: both moved it the same way; False: one the one way, one the other.
    """

    learning: Learning
    metric: str
    supports: bool


def links(learning: Learning, others: tuple[Learning, ...]) -> tuple[Link, ...]:
    """The learnings that support or contradict one: of the same type, with a metric that moved in both, the newest
    first."""
    found = [
        Link(learning=other, metric=metric, supports=_ways(learning)[metric] == way)
        for other in others
        if _is_comparable(learning, other)
        for metric, way in _ways(other).items()
        if metric in _ways(learning)
    ]
    return tuple(sorted(found, key=lambda link: link.learning.at, reverse=True))


def _is_comparable(learning: Learning, other: Learning) -> bool:
    return (
        other.id != learning.id
        and other.type == learning.type
        and (not learning.experiment or other.experiment != learning.experiment)
    )


def _ways(learning: Learning) -> dict[str, Moved]:
    """Which way each metric moved; one that two variants moved both ways says nothing."""
    ways: dict[str, set[Moved]] = {}
    for effect in learning.effects:
        if effect.moved != "unclear":
            ways.setdefault(effect.metric, set()).add(effect.moved)
    return {metric: next(iter(moved)) for metric, moved in ways.items() if len(moved) == 1}
