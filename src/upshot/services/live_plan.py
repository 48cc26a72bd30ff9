"""The plan of a live look: what it must be to be asked of running data, and to be the one of the looks before."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from upshot.analysis.event_question import contradictions
from upshot.analysis.event_words import metric_words
from upshot.assignment.plan_edits import classify_plan
from upshot.errors import ConflictError, InputError, PlanError
from upshot.model.event_metric import EventMetric
from upshot.model.plan import Plan
from upshot.services.event_metrics import named
from upshot.store.experiments import Experiment
from upshot.store.looks import StoredLook

Definitions = Mapping[str, EventMetric]


def plan_in_force(experiment_id: str, known: Experiment | None, given: Plan | None, *, seen: bool) -> Plan:
    """The plan of an experiment: the one given, where it may still be given, else the one that is kept.

    Args:
        known: the experiment as it is kept; None: not yet.
        given: a plan that somebody wrote. seen: whether the phase was looked at.

    Raises:
        InputError: there is no plan, or it is another experiment's.
        ConflictError: data were seen, and the plan binds otherwise than the one they were seen under.
    """
    if given is None:
        if known is None:
            raise InputError(f"{experiment_id} was not looked at yet: name its plan with --plan")
        return known.plan
    if given.id not in ("", experiment_id):
        raise InputError(
            f"the plan is of {given.id}, and {experiment_id} is asked: name one of them in both places"
        )
    plan = replace(given, id=experiment_id)
    if known is None:
        return plan
    binding = [
        edit
        for edit in classify_plan(known.plan, plan)
        if edit.kind == "blocked" or (seen and edit.kind != "safe")
    ]
    if binding and known.started_at is not None:
        raise ConflictError(f"{experiment_id} was looked at under another plan: {binding[0].sentence}")
    return plan


def check_plan(plan: Plan, definitions: Definitions) -> None:
    """Refuse a plan that cannot be asked of events that still come in.

    Raises:
        NotFoundError: a metric has no definition.
        PlanError: everything else that is wrong.
    """
    problems = list(_problems(plan, definitions))
    if problems:
        raise PlanError(problems)


def _problems(plan: Plan, definitions: Definitions) -> Iterator[str]:
    if plan.final:
        yield "final says that the data are complete, and those of a live experiment are not: leave it out"
    for metric in plan.metrics:
        definition = named(definitions, metric.column, "metrics/ and the catalogue")
        yield from (f"metric {metric.name}: {problem}" for problem in contradictions(metric, definition))
        if definition.ends is None and plan.monitoring != "fixed":
            yield (
                f"metric {metric.name}: it has no window, so early units count longer than late ones and repeated "
                f"looks err more often than they say: give its definition one, such as window: 7d"
            )


def check_as_before(last: StoredLook, plan: Plan, definitions: Definitions) -> None:
    """Refuse metrics that are defined otherwise than when the data were seen.

    Raises:
        ConflictError: the first that is.
    """
    for metric in plan.metrics:
        now = f"{metric.name}: {metric_words(definitions[metric.column])}"
        said = [line for line in last.evidence.understood if line.startswith(f"{metric.name}: ")]
        if said and said[0] != now:
            raise ConflictError(
                f"look {last.number} took {said[0]!r}, and it is now {now!r}: a metric stays as it was when data were "
                "seen; take it back, or give the other one another name"
            )
