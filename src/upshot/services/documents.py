"""The document of an experiment, made from what is kept of it alone: no data are read, and no clock.

So it is the same on every day until something happens, and of a sealed experiment it holds no effect, whoever asks.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from upshot.model.learning import links
from upshot.report.dossier import Acceptance, Dossier, Happening, Taught, dossier_paper
from upshot.report.paper import Paper
from upshot.services.live import Taken, again
from upshot.store import audit, experiments, learnings, looks
from upshot.store.audit import Entry
from upshot.store.control import ControlStore
from upshot.store.experiments import Experiment

ALL = 1_000_000
"""Rows of the chain about one experiment that are read at most."""


def document(store: ControlStore, experiment_id: str) -> Paper:
    """The document of an experiment: hypothesis, design, course, results, decision, learnings, proof.

    Raises:
        NotFoundError: there is no such experiment.
    """
    with store.reading() as connection:
        return dossier_paper(dossier(connection, experiment_id))


def dossier(connection: Connection, experiment_id: str) -> Dossier:
    """All that is kept of an experiment.

    Raises:
        NotFoundError: there is no such experiment.
    """
    experiment = experiments.find(connection, experiment_id)
    rows = audit.entries(connection, subject=f"experiment/{experiment_id}", limit=ALL)
    last = looks.last(connection, experiment_id)
    taken = again(connection, last) if last is not None and last.phase == experiment.phase else None
    everything = learnings.listed(connection)
    own = [one for one in reversed(everything) if one.experiment == experiment_id]
    return Dossier(
        id=experiment.id,
        design=experiment.design,
        state=experiment.state,
        phase=experiment.phase,
        course=experiment.course,
        created_at=experiment.created_at,
        started_at=experiment.started_at,
        ended_at=ended_at(experiment, rows),
        findings=taken.findings if taken else None,
        is_sealed=taken is not None and taken.is_sealed,
        happenings=tuple(_happenings(rows)),
        acceptances=tuple(_acceptances(rows)),
        taught=tuple(Taught(learning=one, links=links(one, everything)) for one in own),
        proof=tuple(_proof(experiment, rows, taken)),
    )


def ended_at(experiment: Experiment, rows: Sequence[Entry]) -> datetime | None:
    """When it was killed, else decided; None where it goes on."""
    killed = [_at(row) for row in rows if row.action == "experiment.killed"]
    decision = experiment.course.decision
    return killed[-1] if killed else decision.at if decision else None


# What the chain tells

_DONE: Mapping[str, str] = {
    "experiment.planned": "proposed it",
    "experiment.edited": "edited it",
    "experiment.implemented": "said that the variants are in the code",
    "experiment.running": "started it",
    "experiment.analyzing": "ended its running",
    "experiment.killed": "killed it",
    "experiment.decided": "decided it",
    "experiment.completed": "completed it",
    "experiment.iterated": "will try it again otherwise",
    "experiment.phase": "began a new phase",
    "experiment.exploratory": "changed it after data were seen",
    "experiment.unsealed": "broke the seal and saw effects",
    "experiment.noted": "added a note",
    "experiment.acknowledged": "accepted what failed or got worse",
}


def _happenings(rows: Sequence[Entry]) -> Iterator[Happening]:
    """Each row in words; looks that one actor took in a row are told as one."""
    for (is_look, actor), group in groupby(rows, key=lambda row: (row.action == looks.TAKEN, row.actor)):
        told = list(group)
        if is_look:
            yield Happening(at=_at(told[0]), actor=actor, what=_looks(told), reason="")
        else:
            yield from (
                Happening(at=_at(row), actor=actor, what=_done(row), reason=row.reason) for row in told
            )


def _looks(rows: Sequence[Entry]) -> str:
    first, last = (_after(row).get("number") for row in (rows[0], rows[-1]))
    if len(rows) == 1:
        return f"took look {first}"
    return f"took looks {first} to {last}, the last on {_at(rows[-1]):%Y-%m-%d}"


def _done(row: Entry) -> str:
    verdict = (_after(row).get("course") or {}).get("decision") or {}
    if row.action == "experiment.decided" and verdict:
        return f"decided {verdict['verdict']}"
    return _DONE.get(row.action, row.action.partition(".")[2])


def _acceptances(rows: Sequence[Entry]) -> Iterator[Acceptance]:
    """Whatever was accepted, by the row in which its reason came."""
    known: dict[str, str] = {}
    for row in rows:
        course = _after(row).get("course") or {}
        said = {**course.get("accepted", {}), **course.get("situation", {}).get("acknowledged", {})}
        for what, reason in said.items():
            if known.get(what) != reason:
                known[what] = reason
                yield Acceptance(what=what, reason=reason, actor=row.actor, at=_at(row))


def _proof(experiment: Experiment, rows: Sequence[Entry], taken: Taken | None) -> Iterator[tuple[str, str]]:
    yield "Plan", experiment.plan_hash
    seen = [_after(row) for row in rows if row.action == looks.TAKEN]
    if taken is not None and seen:
        same = "; ".join(taken.differs) or "the same verdict, from what was kept"
        yield f"Look {taken.number}", seen[-1]["hash"]
        yield "Given again", same
    if rows:
        yield f"Row {rows[-1].number} of the audit chain", rows[-1].hash


def _after(row: Entry) -> dict[str, Any]:
    read: Callable[[str], dict[str, Any]] = json.loads
    return read(row.after) if row.after else {}


def _at(row: Entry) -> datetime:
    return datetime.fromisoformat(row.at)
