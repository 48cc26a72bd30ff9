"""What an experiment can conclude by a given day, from traffic and spread alone: nobody looks at an effect for it."""

from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta

from upshot.errors import InputError
from upshot.report.words import percent
from upshot.services.experiments import found
from upshot.services.feasibility import ask_of
from upshot.services.planning import plan_experiment
from upshot.services.workspace import Workspace
from upshot.stats.chances import chances


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What can be concluded by a day.

    Attributes:
        metric: the first primary. by: the day. units: that will have come, of all variants.
        visible: the smallest relative effect that is seen with the plan's power; None: none.
        chance: to SHIP by then, where the minimum effect is true. sentence: it in words.
    """

    metric: str
    by: date
    units: int
    visible: float | None
    chance: float | None
    sentence: str


def outlook(workspace: Workspace, experiment_id: str, by: date | None = None) -> Outlook:
    """What an experiment can conclude by a day; None: by its decision date.

    Raises:
        NotFoundError: there is no such experiment. InputError: the day is not after its start, or it has no primary.
        DataError: the past says nothing of its metric.
    """
    experiment = found(workspace, experiment_id)
    plan = experiment.plan
    if not plan.of_role("primary"):
        raise InputError(
            f"{experiment_id} has no primary metric: its guardrails are watched, and nothing is concluded"
        )
    metric = plan.of_role("primary")[0]
    start = plan.start or workspace.clock().astimezone(UTC).date()
    day = by or plan.end or start + timedelta(days=plan.maximum_days)
    ask = ask_of(workspace, experiment.design, metric, start, day)
    ((_, units, visible),) = plan_experiment(ask).in_time
    chance = None
    if units > len(ask.names):
        design = replace(ask.design, effect=plan.minimum_effect)
        chance = chances(design, units, plan.minimum_effect, plan.worth_shipping).ship
    seen = "no effect" if visible is None else f"{percent(visible)} and more"
    bar = percent(plan.minimum_effect)
    odds = "" if chance is None else f"; if {bar} is true, the chance to ship it is {chance:.0%}"
    return Outlook(
        metric=metric.name,
        by=day,
        units=units,
        visible=visible,
        chance=chance,
        sentence=f"By {day}, about {units:,} units will have come, which see {seen} in {metric.name}{odds}.",
    )
