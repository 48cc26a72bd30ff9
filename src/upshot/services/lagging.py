"""Lagging outcomes: what an experiment was shipped for is looked at again when it can be known, and reopens it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, timedelta

from upshot.analysis.analyze import analyze
from upshot.analysis.result import Comparison
from upshot.model.course import Held, LaggingCheck
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.report.words import percent
from upshot.services.live_evidence import live_evidence, met
from upshot.services.workspace import Workspace
from upshot.store import alerts, experiments
from upshot.store.alerts import Finding
from upshot.store.experiments import Experiment

ACTOR = "upshot lagging checks"


def waiting(experiment: Experiment, today: date) -> tuple[LaggingCheck, ...]:
    """The checks of a completed experiment that are due and were not made yet."""
    if experiment.state != "completed":
        return ()
    return tuple(one for one in experiment.course.lagging if one.held == "waiting" and one.due <= today)


def due(workspace: Workspace, experiment_id: str) -> Experiment | None:
    """Make the lagging checks of an experiment that are due: it reopens, and says whether the early win held.

    Where it held, or nothing can be said, it is completed again; where it faded or turned, it stays open until somebody
    decides anew.

    Returns: the experiment; None where nothing is due.

    Raises:
        NotFoundError: there is no such experiment. DataError: its data cannot be used.
        ConflictError: somebody changed it meanwhile.
    """
    with workspace.store.reading() as connection:
        experiment = experiments.find(connection, experiment_id)
    checks = waiting(experiment, workspace.clock().astimezone(UTC).date())
    if not checks:
        return None
    made = {one.metric: _made(workspace, experiment, one) for one in checks}
    lagging = tuple(made.get(one.metric, one) for one in experiment.course.lagging)
    told = " ".join(one.sentence for one in made.values())
    held = all(one.held in ("held", "unclear") for one in made.values())
    with workspace.store.changing(ACTOR, told) as change:
        course = replace(experiment.course, lagging=lagging)
        after = experiments.move(change, experiment_id, "analyzing", experiment.version, course=course)
        alerts.sight(change, _news(after, told, held=held))
        if held:
            after = experiments.move(change, experiment_id, "decided", after.version)
            after = experiments.move(change, experiment_id, "completed", after.version)
    return after


def _made(workspace: Workspace, experiment: Experiment, check: LaggingCheck) -> LaggingCheck:
    definition, now = workspace.definitions[check.metric], workspace.clock()
    metric = Metric(name=check.metric, column=check.metric, better=definition.better, horizon="lagging")
    plan = _plan(experiment.plan, metric)
    with met(workspace.data, experiment.id, now, workspace.exposures) as found:
        evidence = live_evidence(found, plan, workspace.definitions, experiment.phase)
    analysis = analyze(plan, evidence, (), (now.astimezone(UTC) - timedelta(microseconds=1)).date())
    decision = experiment.course.decision
    comparisons = [one for result in analysis.metrics for one in result.comparisons]
    of_winner = [one for one in comparisons if decision and one.variant == decision.variant]
    held, sentence = _said(metric, of_winner[0] if of_winner else None)
    return replace(check, held=held, at=now, sentence=sentence)


def _plan(plan: Plan, metric: Metric) -> Plan:
    """The question that is asked once, of data that are complete."""
    return replace(plan, metrics=(metric,), monitoring="fixed", final=True, policy="standard", futility=False,
                   tie_break=None, family="holm")  # fmt: skip


def _said(metric: Metric, one: Comparison | None) -> tuple[Held, str]:
    if one is None or one.effect is None or one.lift is None:
        return "unclear", f"{metric.name}: nothing can be said of it."
    numbers = f"{percent(one.lift)} {_interval(one)}".strip()
    well = one.effect * metric.sign > 0
    if one.significant:
        return ("held", f"{metric.name}: the win held, {numbers}.") if well else (
            "reversed", f"{metric.name}: it turned, {numbers}.",
        )  # fmt: skip
    if well:
        return "unclear", f"{metric.name}: neither better nor worse is shown, {numbers}."
    return "faded", f"{metric.name}: nothing of the win is left, {numbers}."


def _interval(one: Comparison) -> str:
    low, high = one.lift_interval
    bounds: Iterator[str] = ("unbounded" if bound is None else percent(bound) for bound in (low, high))
    return f"[{', '.join(bounds)}]"


def _news(experiment: Experiment, told: str, *, held: bool) -> Finding:
    name = f"{experiment.id} ({experiment.design.name})" if experiment.design.name else experiment.id
    return Finding(
        key=f"lagging/{experiment.id}",
        subject=f"experiment/{experiment.id}",
        severity="info" if held else "warning",
        what=f"{name} was looked at again: {told}",
        advice="nothing is to be done"
        if held
        else f"decide anew: `upshot experiment decide {experiment.id}`",
    )
