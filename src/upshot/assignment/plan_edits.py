"""Edits of the plan of a running experiment, classed: what binds the analysis cannot change once data are seen.

The classes are those of `edits`; the reasons are in ``docs/decisions/edits.md``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields

from upshot.assignment.changes import Kind, changed_fields, differ, same_shares
from upshot.model.metric import Metric
from upshot.model.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEdit:
    """One edit of a plan and its class.

    Attributes:
        field: the changed field of the plan.
        kind: safe, new_phase or blocked.
        sentence: what changed, why it is of that class, and how to mend it.
    """

    field: str
    kind: Kind
    sentence: str


Judge = Callable[[str, Plan, Plan], Iterator[PlanEdit]]


def classify_plan(before: Plan, after: Plan) -> tuple[PlanEdit, ...]:
    """Every edit between the plan that an experiment was started with and one that somebody wrote."""
    names = changed_fields(PLAN, before, after)
    return tuple(edit for name in names for edit in PLAN[name](name, before, after))


def _words(field: str, before: Plan, after: Plan) -> Iterator[PlanEdit]:
    what = f"{field} goes from {_shown(before, field)} to {_shown(after, field)}"
    yield PlanEdit(field=field, kind="safe", sentence=f"{what}, which no number depends on")


def _bound(why: str) -> Judge:
    """A field that must be what it was before the data were seen."""

    def judge(field: str, before: Plan, after: Plan) -> Iterator[PlanEdit]:
        yield _blocked(field, f"{field} goes from {_shown(before, field)} to {_shown(after, field)}, {why}")

    return judge


def _blocked(field: str, sentence: str) -> PlanEdit:
    mend = "take it back, or end the experiment and start another with the new plan"
    return PlanEdit(field=field, kind="blocked", sentence=f"{sentence}: {mend}")


def _shown(plan: Plan, field: str) -> str:
    value = getattr(plan, field)
    return "none" if value is None or value == "" else str(value)


def _metrics(field: str, before: Plan, after: Plan) -> Iterator[PlanEdit]:
    """Metrics can be added to look at or to protect; those that were promised stay, as they were defined."""
    old, new = ({metric.name: metric for metric in plan.metrics} for plan in (before, after))
    for name, metric in old.items():
        what = f"{metric.role} metric {name}"
        if name not in new:
            yield _blocked(field, f"{what} is gone, which hides a result that was promised")
        elif differ(metric, new[name]):
            changed = ", ".join(changed_fields((part.name for part in fields(Metric)), metric, new[name]))
            yield _blocked(field, f"{what} is defined otherwise ({changed}), which chooses by the data")
    for name, metric in new.items():
        if name not in old:
            yield _added(field, metric)
    if old == new:
        yield PlanEdit(
            field=field, kind="safe", sentence="metrics are in another order, which decides nothing"
        )


def _added(field: str, metric: Metric) -> PlanEdit:
    what = f"{metric.role} metric {metric.name} is new"
    if metric.role == "primary":
        return _blocked(field, f"{what}, which gives the experiment another way to win")
    why = "which can stop the experiment and not ship it"
    if metric.role == "secondary":
        why = "which informs and cannot ship"
    return PlanEdit(field=field, kind="safe", sentence=f"{what}, {why}")


def _split(field: str, before: Plan, after: Plan) -> Iterator[PlanEdit]:
    if same_shares(before.split, after.split):
        yield PlanEdit(
            field=field, kind="safe", sentence="split is written in other numbers, which are the same shares"
        )
        return
    what = f"split goes from {_shown(before, field)} to {_shown(after, field)}"
    why = "which would mix two allocations in one phase: raise the phase of the experiment"
    yield PlanEdit(field=field, kind="new_phase", sentence=f"{what}, {why}")


def _start(field: str, before: Plan, after: Plan) -> Iterator[PlanEdit]:
    if before.start is None:
        yield PlanEdit(
            field=field, kind="safe", sentence=f"start is {after.start}, which was not known before"
        )
    else:
        yield from _bound("which counts the runtime from another day")(field, before, after)


def _end(field: str, before: Plan, after: Plan) -> Iterator[PlanEdit]:
    """A later end within the maximum is what EXTEND gives; a plan that is read once is read when it said."""
    if before.monitoring == "fixed":
        yield from _bound("which moves the one time at which a fixed plan is read")(field, before, after)
    else:
        what = f"end goes from {_shown(before, field)} to {_shown(after, field)}"
        why = "for which the looks up to the maximum have their share of alpha"
        yield PlanEdit(field=field, kind="safe", sentence=f"{what}, {why}")


_STOPPING = "which changes when the experiment may stop, after data were seen"
_ERRORS = "which changes the chance of a false answer, after data were seen"
_BAR = "which moves the bar, after data were seen"
_QUESTION = "which asks another question"

PLAN: Mapping[str, Judge] = {
    "metrics": _metrics,
    "control": _bound(_QUESTION),
    "split": _split,
    "id": _bound("which is another experiment"),
    "name": _words,
    "hypothesis": _words,
    "owner": _words,
    "unit": _bound(_QUESTION),
    "unit_kind": _bound("which changes whether the floor binds"),
    "purpose": _bound(_QUESTION),
    "minimum_effect": _bound(_BAR),
    "ship_threshold": _bound(_BAR),
    "alpha": _bound(_ERRORS),
    "power": _bound(_ERRORS),
    "monitoring": _bound(_ERRORS),
    "spending": _bound(_ERRORS),
    "futility": _bound(_STOPPING),
    "looks": _bound(_ERRORS),
    "minimum_days": _bound(_STOPPING),
    "maximum_days": _bound(_STOPPING),
    "planned_units": _bound(_STOPPING),
    "maximum_units": _bound(_STOPPING),
    "floor": _bound(_STOPPING),
    "family": _bound(_ERRORS),
    "harm_alpha": _bound(_ERRORS),
    "policy": _bound("which reads the same data by another table"),
    "tie_break": _bound("which chooses the winner, after data were seen"),
    "start": _start,
    "end": _end,
    "final": _bound(_STOPPING),
}
