"""Looks: every analysis of running data with all that went into it, so that its verdict can be given again.

A look keeps the evidence (moments, never rows of people), what people knew beside it, and the plan of its time by
hash. Its own hash is in the audit chain: a look that was edited later is found.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Text, func, insert, select, type_coerce
from sqlalchemy.exc import DBAPIError

from upshot.analysis.contract import analysis_to_dict
from upshot.analysis.evidence import Evidence
from upshot.analysis.result import Analysis, Look
from upshot.decide.replay import differences, replay
from upshot.errors import ConflictError, InputError, NotFoundError
from upshot.formats.canonical import canonical_json, content_hash
from upshot.formats.values import read_value, write_value
from upshot.model.decision import ExperimentVerdict, Situation
from upshot.store.audit import Change, record
from upshot.store.experiments import find as find_experiment
from upshot.store.experiments import plan_of
from upshot.store.tables import AUDIT, LOOKS, PLANS, time_text

TAKEN = "look.taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLook:
    """A look as it is kept.

    Attributes:
        experiment, phase, number: which it is; numbers count from 1 within a phase.
        at: when it was taken. plan_hash: of the plan then.
        evidence: all that the data said. situation: what people knew beside the numbers.
        look: what later looks need of it. analysis: plain values (`upshot.analysis.contract`).
        verdict: what followed.
    """

    experiment: str
    phase: int
    number: int
    at: datetime
    plan_hash: str
    evidence: Evidence
    situation: Situation
    look: Look
    analysis: Mapping[str, Any]
    verdict: ExperimentVerdict


def keep(
    change: Change,
    experiment: str,
    *,
    evidence: Evidence,
    analysis: Analysis,
    verdict: ExperimentVerdict,
    situation: Situation | None = None,
) -> StoredLook:
    """Keep a look at the present phase of an experiment; looks of other times stay as they are.

    Args:
        analysis, verdict: made of the evidence, the plan that the experiment has now, and the looks before.

    Raises:
        NotFoundError: there is no such experiment.
        ConflictError: somebody else looked meanwhile, or the experiment is not running.
    """
    current = find_experiment(change.connection, experiment)
    if current.state not in ("running", "analyzing"):
        raise ConflictError(f"{experiment} is {current.state}: only what runs or is analysed is looked at")
    before = _count(change.connection, experiment, current.phase)
    if analysis.look.number != before + 1:
        raise ConflictError(
            f"{experiment} has {before} looks in phase {current.phase}, and this one is number "
            f"{analysis.look.number}: somebody else looked meanwhile, analyse again"
        )
    row = {
        "experiment": experiment,
        "phase": current.phase,
        "number": analysis.look.number,
        "at": change.at,
        "plan": current.plan_hash,
        "evidence": write_value(evidence),
        "situation": write_value(situation or Situation()),
        "look": write_value(analysis.look),
        "analysis": canonical_json(analysis_to_dict(analysis)),
        "verdict": write_value(verdict),
    }
    digest = _digest(row | {"at": time_text(change.at)})
    change.connection.execute(insert(LOOKS).values(**row, hash=digest))
    told = {
        "phase": current.phase,
        "number": analysis.look.number,
        "plan_hash": current.plan_hash,
        "hash": digest,
    }
    record(change, TAKEN, f"experiment/{experiment}", after=told)
    return _stored(row)


def history(connection: Connection, experiment: str, phase: int) -> tuple[Look, ...]:
    """What the next look needs of the looks in a phase, the oldest first."""
    query = select(LOOKS.c.look).where(*_in(experiment, phase)).order_by(LOOKS.c.number)
    return tuple(read_value(Look, text) for text in connection.execute(query).scalars())


def listed(connection: Connection, experiment: str) -> tuple[StoredLook, ...]:
    """All looks at an experiment, the oldest first."""
    query = select(LOOKS).where(LOOKS.c.experiment == experiment).order_by(LOOKS.c.phase, LOOKS.c.number)
    return tuple(_stored(row) for row in connection.execute(query).mappings())


def last(connection: Connection, experiment: str, before: datetime | None = None) -> StoredLook | None:
    """The latest look at an experiment, or the latest before a moment; None before the first."""
    query = select(LOOKS).where(LOOKS.c.experiment == experiment)
    if before is not None:
        query = query.where(LOOKS.c.at < before)
    newest = query.order_by(LOOKS.c.phase.desc(), LOOKS.c.number.desc()).limit(1)
    row = connection.execute(newest).mappings().one_or_none()
    return None if row is None else _stored(row)


def newest(connection: Connection, experiment: str) -> tuple[int, int] | None:
    """The phase and number of the latest look at an experiment, without reading it; None before the first."""
    query = select(LOOKS.c.phase, LOOKS.c.number).where(LOOKS.c.experiment == experiment)
    row = connection.execute(
        query.order_by(LOOKS.c.phase.desc(), LOOKS.c.number.desc()).limit(1)
    ).one_or_none()
    return None if row is None else (row.phase, row.number)


def find(connection: Connection, experiment: str, phase: int, number: int) -> StoredLook:
    """One look.

    Raises:
        NotFoundError: there is no such look.
    """
    query = select(LOOKS).where(*_in(experiment, phase), LOOKS.c.number == number)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"{experiment} has no look {number} in phase {phase}")
    return _stored(row)


def replayed(connection: Connection, look: StoredLook) -> tuple[str, ...]:
    """What the verdict of a look would be otherwise if it were given again now; empty where it is the same."""
    before = history(connection, look.experiment, look.phase)[: look.number - 1]
    plan = plan_of(connection, look.plan_hash)
    verdict = replay(plan, look.evidence, before, look.situation, look.look.day)
    return differences(look.verdict, verdict)


def edited(connection: Connection) -> Iterator[str]:
    """What was changed in looks and plans since they were written, a sentence each; the chain itself is verified apart.

    A look's hash must be in the chain, and a plan must have the hash that it is kept by.
    """
    try:
        yield from _edited_looks(connection)
        yield from _edited_plans(connection)
    except DBAPIError:
        yield "a look or a plan cannot be read"


def _edited_looks(connection: Connection) -> Iterator[str]:
    chained = _chained(connection)
    for experiment, phase, number in connection.execute(_PLACES).all():
        one = _AS_TEXTS.where(*_in(experiment, phase), LOOKS.c.number == number)  # all at once may not fit
        row = connection.execute(one).mappings().one()
        taken = chained.pop((row["experiment"], row["phase"], row["number"]), None)
        if taken != row["hash"] or _digest(row) != taken:
            name = f"look {row['number']} in phase {row['phase']} of {row['experiment']}"
            yield f"{name} is not what was written when it was taken"
    for experiment, phase, number in chained:
        yield f"look {number} in phase {phase} of {experiment} is gone"


def _edited_plans(connection: Connection) -> Iterator[str]:
    for digest, body in connection.execute(select(PLANS.c.hash, PLANS.c.body)).all():
        if digest != "sha256:" + hashlib.sha256(body.encode()).hexdigest():
            yield f"plan {digest} is not what was written"


# Rows


_HASHED = (
    "experiment",
    "phase",
    "number",
    "at",
    "plan",
    "evidence",
    "situation",
    "look",
    "analysis",
    "verdict",
)
_PLACES = select(LOOKS.c.experiment, LOOKS.c.phase, LOOKS.c.number)
_COLUMNS = (column for column in LOOKS.columns if column.name != "at")
_AS_TEXTS = select(*_COLUMNS, type_coerce(LOOKS.c.at, Text).label("at"))


def _in(experiment: str, phase: int) -> tuple[Any, Any]:
    return LOOKS.c.experiment == experiment, LOOKS.c.phase == phase


def _count(connection: Connection, experiment: str, phase: int) -> int:
    query = select(func.count()).select_from(LOOKS).where(*_in(experiment, phase))
    count: int = connection.execute(query).scalar_one()
    return count


def _digest(row: Mapping[str, Any] | RowMapping) -> str:
    """Of a row whose time is a text."""
    return content_hash({name: row[name] for name in _HASHED})


def _chained(connection: Connection) -> dict[tuple[str, int, int], str]:
    """Looks by the chain: their hashes when they were taken."""
    query = select(AUDIT.c.subject, AUDIT.c.after).where(AUDIT.c.action == TAKEN)
    taken = (
        (subject.removeprefix("experiment/"), json.loads(after))
        for subject, after in connection.execute(query)
    )
    return {(experiment, after["phase"], after["number"]): after["hash"] for experiment, after in taken}


def _stored(row: Mapping[str, Any] | RowMapping) -> StoredLook:
    try:
        return StoredLook(
            experiment=row["experiment"],
            phase=row["phase"],
            number=row["number"],
            at=row["at"],
            plan_hash=row["plan"],
            evidence=read_value(Evidence, row["evidence"]),
            situation=read_value(Situation, row["situation"]),
            look=read_value(Look, row["look"]),
            analysis=json.loads(row["analysis"]),
            verdict=read_value(ExperimentVerdict, row["verdict"]),
        )
    except ValueError as error:
        raise InputError(
            f"look {row['number']} of {row['experiment']} is not what was written ({error}): "
            "`upshot audit verify` says more"
        ) from error
