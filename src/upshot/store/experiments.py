"""Experiments: the design with its plan, where in its life each one is, and what happened to it.

Plans are kept by their hash and never change, so that every look can be replayed with the plan of its time.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, insert, select, update

from upshot.errors import ConflictError, InputError, NotFoundError
from upshot.formats.canonical import canonical_json, content_hash
from upshot.formats.experiments import design_of, design_to_mapping, details_to_mapping
from upshot.formats.plans import ADAPTER
from upshot.formats.values import read_value, write_value
from upshot.model.course import Course
from upshot.model.experiment import Design
from upshot.model.lifecycle import FOLLOWERS, State
from upshot.model.plan import Plan
from upshot.store.audit import Change, record
from upshot.store.control import storable
from upshot.store.tables import EXPERIMENTS, PLANS, time_text

_NUMBERED = re.compile(r"EXP-(\d{4})-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment as it is kept.

    Attributes:
        id: ``EXP-2026-001``.
        design: what was agreed, its plan included; of one that only ever had a plan, that alone.
        plan: what is fixed; its ``id`` is the same.
        plan_hash: of the plan's canonical JSON (`upshot.formats.canonical.content_hash`).
        state: where in its life it is. phase: the number of the stretch with one allocation, from 1.
        created_at, started_at: when it was planned, and when it started to run; None: not yet.
        course: what happened to it beside its looks.
        version: grows with every change.
    """

    id: str
    design: Design
    plan_hash: str
    state: State
    phase: int
    created_at: datetime
    started_at: datetime | None
    course: Course
    version: int

    @property
    def plan(self) -> Plan:
        """What is fixed."""
        return self.design.plan


def create(change: Change, asked: Design | Plan) -> Experiment:
    """A planned experiment; where its plan has no id, it gets the next of the year.

    Args:
        asked: what was agreed, or the plan alone.

    Raises:
        ConflictError: there is one with this id.
    """
    design = asked if isinstance(asked, Design) else Design(plan=asked)
    experiment_id = storable(design.id, "the experiment's id") or _next_id(change)
    if _row(change.connection, experiment_id) is not None:
        raise ConflictError(
            f"there is an experiment {experiment_id}: give another id, or none to get the next one"
        )
    row: dict[str, Any] = {
        "id": experiment_id,
        "plan": _keep_plan(change.connection, replace(design.plan, id=experiment_id)),
        "design": _details(design),
        "state": "planned",
        "phase": 1,
        "created_at": change.at,
        "version": 1,
    }
    change.connection.execute(insert(EXPERIMENTS).values(**row))
    return _recorded(change, "experiment.planned", experiment_id, None)


def save_plan(change: Change, experiment_id: str, plan: Plan, expected: int | None = None) -> Experiment:
    """Give an experiment another plan, all else of its design as it is; raises as `save_design`."""
    before = _unchanged(change.connection, experiment_id, expected)
    return _saved(change, before, replace(before.design, plan=plan))


def save_design(
    change: Change, experiment_id: str, design: Design, expected: int | None = None
) -> Experiment:
    """Give an experiment another design; services say which edits are allowed when.

    Args:
        expected: the version that was read before the edit; None: whatever is there.

    Raises:
        NotFoundError: there is no such experiment.
        ConflictError: somebody else changed it meanwhile.
        InputError: the plan has another id.
    """
    return _saved(change, _unchanged(change.connection, experiment_id, expected), design)


def save_course(
    change: Change, experiment_id: str, action: str, course: Course, expected: int | None = None
) -> Experiment:
    """Keep what happened to an experiment; ``action`` is what it was, as ``experiment.unsealed``.

    Raises:
        NotFoundError: there is no such experiment.
        ConflictError: somebody else changed it meanwhile.
    """
    before = _unchanged(change.connection, experiment_id, expected)
    if course == before.course:
        return before
    return _changed(change, action, before, {"course": _course_text(course)})


def move(
    change: Change,
    experiment_id: str,
    to: State,
    expected: int | None = None,
    *,
    design: Design | None = None,
    phase: int | None = None,
    course: Course | None = None,
    beside: Mapping[str, Any] | None = None,
) -> Experiment:
    """Move an experiment on in its life; its start is remembered, with the hash of the plan in the same row.

    Args:
        design, phase: that it has from then on; None: as before.
        course: what happened to it with this; None: nothing more.
        beside: what the row of the chain tells further, such as the salt that it starts with.

    Raises:
        NotFoundError: there is no such experiment.
        ConflictError: somebody else changed it meanwhile, or it cannot get there from where it is.
    """
    before = _unchanged(change.connection, experiment_id, expected)
    if to not in FOLLOWERS[before.state]:
        ways = " or ".join(FOLLOWERS[before.state]) or "nothing else"
        raise ConflictError(f"{experiment_id} is {before.state} and cannot be {to}: it can become {ways}")
    values: dict[str, Any] = {"state": to}
    if to == "running" and before.started_at is None:
        values["started_at"] = change.at
    if design is not None:
        values |= _kept(change, before, design)
    if phase is not None:
        values["phase"] = phase
    if course is not None:
        values["course"] = _course_text(course)
    return _changed(change, f"experiment.{to}", before, values, beside)


def begin_phase(change: Change, experiment_id: str, expected: int | None = None) -> Experiment:
    """Begin a new phase, which is drawn afresh and analysed alone.

    Raises:
        NotFoundError, ConflictError: as of `move`; only what runs has phases.
    """
    before = _unchanged(change.connection, experiment_id, expected)
    if before.state != "running":
        raise ConflictError(f"{experiment_id} is {before.state}: only a running experiment gets a new phase")
    return _changed(change, "experiment.phase", before, {"phase": before.phase + 1})


def find(connection: Connection, experiment_id: str) -> Experiment:
    """One experiment.

    Raises:
        NotFoundError: there is no such experiment.
    """
    row = _row(connection, experiment_id)
    if row is None:
        raise NotFoundError(f"there is no experiment {experiment_id}: look at the list for its id")
    return _experiment(row)


def listed(connection: Connection, state: State | None = None) -> tuple[Experiment, ...]:
    """All experiments, or those in one state, the oldest first."""
    query = _JOINED.order_by(EXPERIMENTS.c.created_at, EXPERIMENTS.c.id)
    if state is not None:
        query = query.where(EXPERIMENTS.c.state == state)
    return tuple(_experiment(row) for row in connection.execute(query).mappings())


def plan_of(connection: Connection, digest: str) -> Plan:
    """The plan that has a hash.

    Raises:
        NotFoundError: none has.
    """
    body = connection.execute(select(PLANS.c.body).where(PLANS.c.hash == digest)).scalar_one_or_none()
    if body is None:
        raise NotFoundError(f"there is no plan {digest}")
    return _plan(body)


# Rows

_JOINED: Select[Any] = select(EXPERIMENTS, PLANS.c.body).join(PLANS, EXPERIMENTS.c.plan == PLANS.c.hash)
_OWN = ("state", "phase", "created_at", "started_at", "version")


def _row(connection: Connection, experiment_id: str) -> RowMapping | None:
    return connection.execute(_JOINED.where(EXPERIMENTS.c.id == experiment_id)).mappings().one_or_none()


def _experiment(row: RowMapping) -> Experiment:
    return Experiment(
        id=row["id"],
        design=design_of(_plan(row["body"]), json.loads(row["design"] or "{}")),
        plan_hash=row["plan"],
        course=read_value(Course, row["course"]) if row["course"] else Course(),
        **{name: row[name] for name in _OWN},
    )


def _plan(body: str) -> Plan:
    """As it was fixed: rules that plans must meet today are not asked of those of yesterday."""
    plan: Plan = ADAPTER.validate_json(body)
    return plan


def _next_id(change: Change) -> str:
    found = change.connection.execute(select(EXPERIMENTS.c.id)).scalars()
    matched = (_NUMBERED.fullmatch(one) for one in found)
    used = [int(one[2]) for one in matched if one and int(one[1]) == change.at.year]
    return f"EXP-{change.at.year}-{max(used, default=0) + 1:03d}"


def _keep_plan(connection: Connection, plan: Plan) -> str:
    digest = content_hash(plan)
    if connection.execute(select(PLANS.c.hash).where(PLANS.c.hash == digest)).one_or_none() is None:
        connection.execute(insert(PLANS).values(hash=digest, body=canonical_json(plan)))
    return digest


def _details(design: Design) -> str:
    return storable(write_value(details_to_mapping(design)), "the design")


def _course_text(course: Course) -> str:
    return storable(write_value(course), "what happened")


def _saved(change: Change, before: Experiment, design: Design) -> Experiment:
    values = _kept(change, before, design)
    if values == {"plan": before.plan_hash, "design": _details(before.design)}:
        return before
    return _changed(change, "experiment.edited", before, values)


def _kept(change: Change, before: Experiment, design: Design) -> dict[str, Any]:
    """What the row of an experiment holds of a design, whose plan is kept."""
    if design.id not in ("", before.id):
        raise InputError(
            f"the plan's id is {design.id}, and it is saved for {before.id}: leave it out, or name the same"
        )
    digest = _keep_plan(change.connection, replace(design.plan, id=before.id))
    return {"plan": digest, "design": _details(design)}


def _unchanged(connection: Connection, experiment_id: str, expected: int | None) -> Experiment:
    found = find(connection, experiment_id)
    if expected is not None and found.version != expected:
        raise ConflictError(
            f"{experiment_id} was changed meanwhile (version {found.version}, you saw {expected}): "
            "look at it again and repeat what you did"
        )
    return found


def _changed(
    change: Change,
    action: str,
    before: Experiment,
    values: dict[str, Any],
    beside: Mapping[str, Any] | None = None,
) -> Experiment:
    values = {**values, "version": before.version + 1}
    change.connection.execute(update(EXPERIMENTS).where(EXPERIMENTS.c.id == before.id).values(**values))
    return _recorded(change, action, before.id, before, beside)


def _recorded(
    change: Change,
    action: str,
    experiment_id: str,
    before: Experiment | None,
    beside: Mapping[str, Any] | None = None,
) -> Experiment:
    """The experiment as it is now, told to the chain: what it was and is, and of design and course what changed."""
    after = find(change.connection, experiment_id)
    both = {name: _side(before, after, name) for name in ("design", "course")}
    told = {} if before is None else _told(before) | {name: old for name, (old, new) in both.items() if new}
    record(
        change,
        action,
        f"experiment/{experiment_id}",
        before=told or None,
        after=_told(after) | {name: new for name, (_, new) in both.items() if new} | dict(beside or {}),
    )
    return after


_SIDES: Mapping[str, Callable[[Experiment], Any]] = {
    "design": lambda experiment: design_to_mapping(experiment.design),
    "course": lambda experiment: json.loads(_course_text(experiment.course)),
}


def _side(before: Experiment | None, after: Experiment, name: str) -> tuple[Any, Any]:
    """What a part of the experiment was and is; nothing where it is the same."""
    if before is None:
        return None, _SIDES[name](after) if name == "design" else None
    old, new = _SIDES[name](before), _SIDES[name](after)
    return (None, None) if old == new else (old, new)


def _told(experiment: Experiment) -> dict[str, Any]:
    return {
        "plan_hash": experiment.plan_hash,
        "state": experiment.state,
        "phase": experiment.phase,
        "started_at": time_text(experiment.started_at) if experiment.started_at else None,
    }
