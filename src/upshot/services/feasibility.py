"""Whether traffic brings the units that a design needs, by the past of its own primary metric."""

from dataclasses import dataclass
from datetime import UTC, date

from upshot.errors import InputError
from upshot.model.experiment import Design
from upshot.model.metric import Metric
from upshot.services.history import History, Wanted, history
from upshot.services.planning import Ask, plan_experiment
from upshot.services.workspace import Workspace
from upshot.stats.design import Design as TestDesign

SHARES = ("proportion", "retention", "funnel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """What traffic brings.

    Attributes:
        metric: the primary that needs the most. units: that it needs, of all variants.
        days: whole weeks until they have come; None: never within ten years.
        most: days that the standards allow. sentence: it in words. ways_out: what to do where it is too long.
    """

    metric: str
    units: int
    days: int | None
    most: int
    sentence: str
    ways_out: tuple[str, ...]

    @property
    def is_reachable(self) -> bool:
        """Whether they come in time."""
        return self.days is not None and self.days <= self.most


def feasibility(workspace: Workspace, design: Design) -> Feasibility:
    """Whether the units that the primaries need come within the standards' weeks.

    Raises:
        DataError: the past says nothing of a primary. InputError: there is no data directory, or no primary.
    """
    primaries = design.plan.of_role("primary")
    if not primaries:
        raise InputError("the plan has no primary metric: there is nothing to size for")
    today = workspace.clock().astimezone(UTC).date()
    answers = {metric.name: plan_experiment(ask_of(workspace, design, metric, today)) for metric in primaries}
    name = max(answers, key=lambda one: answers[one].total)
    answer, most = answers[name], 7 * workspace.standards.maximum_weeks
    time = "more than ten years" if answer.days is None else f"{answer.days} days of this traffic"
    return Feasibility(
        metric=name,
        units=answer.total,
        days=answer.days,
        most=most,
        sentence=f"{name} needs {answer.total:,} units, which are {time}; {most} days are allowed",
        ways_out=answer.ways_out or ("a bolder change", "a nearer metric", "policy do_no_harm"),
    )


def ask_of(workspace: Workspace, design: Design, metric: Metric, start: date, by: date | None = None) -> Ask:
    """The planning question of one primary metric, with what its own past says.

    Args:
        start: where counting starts. by: the day by which it must be decided, or None.

    Raises:
        DataError: the past says nothing of it. InputError: there is no data directory.
    """
    now = workspace.clock()
    past = history(
        Wanted(
            data=workspace.data,
            definitions=workspace.definitions,
            metric=metric.column,
            as_of=now.astimezone(UTC),
        )
    )
    plan = design.plan
    others = [name for name in plan.split or design.variants if name != plan.control] or ["treatment"]
    return Ask(
        design=_design(design, past, metric, others),
        ship_threshold=plan.worth_shipping,
        names=(plan.control, *others),
        today=start,
        by=by,
        arrivals=past.arrivals,
        window=past.window,
    )


def _design(design: Design, past: History, metric: Metric, others: list[str]) -> TestDesign:
    plan, kind = design.plan, past.metric.kind or "mean"
    weights = [plan.split.get(name, 1.0) or 1.0 for name in (plan.control, *others)]
    return TestDesign(
        kind=kind,
        baseline=past.baseline,
        std=None if kind in SHARES else past.std,
        effect=plan.minimum_effect,
        better=metric.better,
        weights=tuple(weights),
        alpha=plan.alpha,
        power=plan.power,
        monitoring=plan.monitoring,
        spending=plan.spending,
        looks=1 if plan.monitoring == "fixed" else plan.looks,
        tests=len(plan.of_role("primary")) * len(others),
        family=plan.family,
        r_squared=past.r_squared,
    )
