"""What people add to the numbers of an experiment: what they heard, and what they accept with a reason."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date
from typing import Literal

from upshot.errors import ConflictError, InputError
from upshot.model.decision import Note
from upshot.services.workspace import Workspace
from upshot.store import experiments
from upshot.store.audit import Change
from upshot.store.experiments import Experiment

OPEN = ("planned", "implemented", "running", "analyzing")


def add_note(
    workspace: Workspace,
    experiment_id: str,
    sign: Literal["positive", "negative"],
    text: str,
    actor: str,
    *,
    dated: date | None = None,
    expected: int | None = None,
) -> Experiment:
    """Keep a qualitative signal: an interview, a ticket, a survey. It counts if it is dated before effects were seen.

    Args:
        dated: when it was heard; None: today. It is never in the future, and a past day is taken at its word.

    Raises:
        NotFoundError: there is no such experiment. ConflictError: it is over, or was changed meanwhile.
        InputError: it says nothing, or is dated in the future.
    """
    if not text.strip():
        raise InputError("the note says nothing: write what was heard, and from whom")
    with workspace.store.changing(actor, text) as change:
        before = _open(change, experiment_id)
        today = change.at.astimezone(UTC).date()
        if dated is not None and dated > today:
            raise InputError(
                f"the note is dated {dated}, which has not come: give the day on which it was heard"
            )
        note = Note(sign=sign, text=text, dated=dated or today)
        situation = replace(before.course.situation, notes=(*before.course.situation.notes, note))
        course = replace(before.course, situation=situation)
        return experiments.save_course(change, experiment_id, "experiment.noted", course, expected)


def acknowledge(
    workspace: Workspace,
    experiment_id: str,
    accepted: Mapping[str, str],
    actor: str,
    *,
    expected: int | None = None,
) -> Experiment:
    """Accept a failed check, a secondary or a segment that got worse, each with its reason; reports print it.

    Raises:
        NotFoundError: there is no such experiment. ConflictError: it is over, or was changed meanwhile.
        InputError: nothing is named, or a reason is missing.
    """
    if not accepted:
        raise InputError("nothing is named that is accepted: write NAME=REASON, such as sample_ratio=REASON")
    for name, reason in accepted.items():
        if not reason.strip():
            raise InputError(f"{name} is accepted without a reason: write {name}=REASON")
    told = "; ".join(f"{name}: {reason}" for name, reason in accepted.items())
    with workspace.store.changing(actor, told) as change:
        before = _open(change, experiment_id)
        known = {**before.course.situation.acknowledged, **accepted}
        course = replace(before.course, situation=replace(before.course.situation, acknowledged=known))
        return experiments.save_course(change, experiment_id, "experiment.acknowledged", course, expected)


def _open(change: Change, experiment_id: str) -> Experiment:
    found = experiments.find(change.connection, experiment_id)
    if found.state not in OPEN:
        raise ConflictError(f"{experiment_id} is {found.state}: what is decided is not added to")
    return found
