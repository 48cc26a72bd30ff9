"""Experiments from the first idea on: proposing, changing, finding them."""

from upshot.assignment.plan_edits import PlanEdit, classify_plan
from upshot.errors import ConflictError
from upshot.model.experiment import Design
from upshot.model.lifecycle import State
from upshot.services.workspace import Workspace
from upshot.store import experiments
from upshot.store.experiments import Experiment

OVER = ("decided", "completed", "iterated", "killed")


def found(workspace: Workspace, experiment_id: str) -> Experiment:
    """One experiment.

    Raises:
        NotFoundError: there is no such experiment.
    """
    with workspace.store.reading() as connection:
        return experiments.find(connection, experiment_id)


def listed(workspace: Workspace, state: State | None = None) -> tuple[Experiment, ...]:
    """All experiments, or those in one state, the oldest first."""
    with workspace.store.reading() as connection:
        return experiments.listed(connection, state)


def propose(workspace: Workspace, design: Design, actor: str, reason: str = "") -> Experiment:
    """A planned experiment; one without an id gets the next of the year.

    Raises:
        ConflictError: there is one with this id.
        InputError: nobody is named, or a text cannot be kept.
    """
    with workspace.store.changing(actor, reason) as change:
        return experiments.create(change, design)


def edit(
    workspace: Workspace,
    experiment_id: str,
    design: Design,
    actor: str,
    reason: str = "",
    expected: int | None = None,
) -> Experiment:
    """Give an experiment another design. Once it has started its plan binds, and what is over is not rewritten.

    Args:
        expected: the version that was read before the edit; None: whatever is there.

    Raises:
        NotFoundError: there is no such experiment.
        ConflictError: somebody else changed it meanwhile, or what binds would change.
    """
    with workspace.store.changing(actor, reason) as change:
        before = experiments.find(change.connection, experiment_id)
        if before.state in OVER:
            raise ConflictError(
                f"{experiment_id} is {before.state}: what is decided is not rewritten, propose another"
            )
        if before.started_at is not None:
            _refuse(experiment_id, binding(before.design, design))
        return experiments.save_design(change, experiment_id, design, expected)


def binding(before: Design, after: Design) -> tuple[PlanEdit, ...]:
    """The edits between two designs that an experiment which has started does not allow."""
    edits = [
        one for one in classify_plan(before.plan, after.plan) if one.kind != "safe" and one.field != "id"
    ]
    if before.flag != after.flag:
        sentence = (
            f"flag goes from {before.flag or 'none'} to {after.flag or 'none'}, which asks another question: take it "
            "back, or propose another experiment"
        )
        edits.append(PlanEdit(field="flag", kind="blocked", sentence=sentence))
    return tuple(edits)


def _refuse(experiment_id: str, edits: tuple[PlanEdit, ...]) -> None:
    if edits:
        raise ConflictError(f"{experiment_id} has started, and its plan binds: {edits[0].sentence}")
