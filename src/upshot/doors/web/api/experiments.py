"""Experiments: proposed, found, changed, started, ended, decided."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from upshot.doors.web.api.answers import Change, IfMatch, Json, Limit, Offset, Page, expected, page, tag, told
from upshot.doors.web.api.caller import (
    Acknowledger,
    Decider,
    Editor,
    Noter,
    Proposer,
    Reader,
    Runner,
)
from upshot.doors.web.api.parts import Given, Parts
from upshot.model.experiment import Executed
from upshot.model.lifecycle import State
from upshot.store.experiments import Experiment

router = APIRouter(prefix="/experiments", tags=["experiments"])
Reason = Annotated[str, StringConstraints(min_length=1)]
_ABOUT_DESIGN = (
    "As in a file of `upshot experiment new` (docs/experiment.schema.json), without its id where it is new."
)


class KnownExperiment(BaseModel):
    """An experiment as it stands."""

    id: str
    state: State
    phase: int
    version: int
    plan_hash: str
    created_at: datetime
    started_at: datetime | None
    design: Json
    course: Json = Field(
        description="What happened to it beside its looks: notes, acceptances, its decision."
    )


class Proposal(Change):
    """An experiment to be planned."""

    design: Json = Field(description=_ABOUT_DESIGN)


class Edited(Proposal):
    """Another design of an experiment."""

    knowingly: bool = Field(
        False, description="Change even what binds, with a reason: all results are exploratory from then on."
    )


class Start(Change):
    """What is accepted at the start."""

    accepted: dict[str, str] = Field(
        {}, description="What fails on the checklist, with the reason to accept it."
    )


class Extension(Change):
    """A later day of decision."""

    end: date
    reason: Reason


class HeardNote(BaseModel):
    """What was heard: an interview, a ticket, a survey."""

    model_config = ConfigDict(extra="forbid")

    sign: Literal["positive", "negative"]
    text: Reason
    dated: date | None = None


class Acknowledged(BaseModel):
    """Failed checks, and what got worse, that are accepted: name -> reason."""

    model_config = ConfigDict(extra="forbid")

    accepted: dict[str, str] = Field(min_length=1)


class Decided(Change):
    """What is decided."""

    verdict: Executed
    variant: str | None = Field(None, description="Of SHIP, where it is not the recommended one.")
    acknowledged: dict[str, str] = Field(
        {}, description="What got worse or failed, with the reason to accept it."
    )
    end: date | None = Field(None, description="Of EXTEND: the new decision date.")


class Checked(BaseModel):
    """One thing to be there before the start; ``binding``: a failure that no reason helps."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    status: Literal["pass", "warn", "fail"]
    detail: str
    mend: str
    binding: bool


class Advice(BaseModel):
    """What the last look recommends; sealed where it is, null before the first."""

    model_config = ConfigDict(from_attributes=True)

    verdict: str | None
    cause: str | None
    headline: str
    reasons: list[str]
    would_change: str
    winner: str | None
    losses: Mapping[str, str]
    failed: Mapping[str, str]
    phase: int
    look: int | None
    is_sealed: bool


@router.get("", responses=told())
def list_experiments(
    _: Reader, parts: Given, state: State | None = None, limit: Limit = 100, offset: Offset = 0
) -> Page[KnownExperiment]:
    """All experiments, or those in one state, the oldest first."""
    from upshot.services import experiments

    found = page(experiments.listed(parts.workspace(), state), limit, offset)
    return Page(items=[_plain(one) for one in found.items], total=found.total, next=found.next)


@router.post("", status_code=201, responses=told(409))
def propose(asked: Proposal, caller: Proposer, response: Response, parts: Given) -> KnownExperiment:
    """Plan an experiment; without an id it gets the next of the year."""
    from upshot.formats.experiments import design_from_mapping
    from upshot.services import experiments

    design = design_from_mapping(asked.design)
    made = experiments.propose(parts.workspace(), design, caller.name, asked.reason)
    response.headers["Location"] = f"/api/experiments/{made.id}"
    return _answer(made, response)


@router.get("/{experiment_id}", responses=told(404))
def find_experiment(experiment_id: str, _: Reader, response: Response, parts: Given) -> KnownExperiment:
    """One experiment. Its ETag is the version that a change may be bound to."""
    return _answer(_found(parts, experiment_id), response)


@router.put("/{experiment_id}", responses=told(404, 409, 412))
def edit(
    experiment_id: str,
    asked: Edited,
    caller: Editor,
    response: Response,
    parts: Given,
    if_match: IfMatch = None,
) -> KnownExperiment:
    """Give an experiment another design. Once it has started its plan binds."""
    from upshot.formats.experiments import design_from_mapping
    from upshot.services import experiments

    version = _expected(parts, experiment_id, if_match)
    design = design_from_mapping(asked.design)
    workspace = parts.workspace()
    changed = experiments.edit(
        workspace, experiment_id, design, caller.name, asked.reason, version, knowingly=asked.knowingly
    )
    return _answer(changed, response)


@router.get("/{experiment_id}/checklist", responses=told(404))
def checklist(experiment_id: str, _: Reader, parts: Given) -> list[Checked]:
    """What is there, and what is missing before the start."""
    from upshot.services.checklist import checklist

    return [Checked.model_validate(item) for item in checklist(parts.workspace(), experiment_id)]


@router.get("/{experiment_id}/recommendation", responses=told(404))
def recommendation(experiment_id: str, _: Reader, parts: Given) -> Advice:
    """What the last look recommends, and what would have to be accepted to follow it."""
    from upshot.services.decisions import recommendation

    return Advice.model_validate(recommendation(parts.workspace(), experiment_id))


@router.post("/{experiment_id}/implement", responses=told(404, 409, 412))
def implement(
    experiment_id: str,
    asked: Change,
    caller: Editor,
    response: Response,
    parts: Given,
    if_match: IfMatch = None,
) -> KnownExperiment:
    """Say that the variants are in the code; the flag must have all of them."""
    from upshot.services import experiments

    version = _expected(parts, experiment_id, if_match)
    done = experiments.implement(parts.workspace(), experiment_id, caller.name, asked.reason, version)
    return _answer(done, response)


@router.post("/{experiment_id}/start", responses=told(404, 409, 412))
def start(
    experiment_id: str,
    asked: Start,
    caller: Runner,
    response: Response,
    parts: Given,
    if_match: IfMatch = None,
) -> KnownExperiment:
    """Start it: from now on its plan binds, and its flag gives units its variants."""
    from upshot.services import experiments

    version = _expected(parts, experiment_id, if_match)
    done = experiments.start(
        parts.workspace(),
        experiment_id,
        caller.name,
        asked.reason,
        accepted=asked.accepted,
        expected=version,
    )
    return _answer(done, response)


@router.post("/{experiment_id}/stop", responses=told(404, 409, 412))
def stop(
    experiment_id: str,
    asked: Change,
    caller: Runner,
    response: Response,
    parts: Given,
    if_match: IfMatch = None,
) -> KnownExperiment:
    """End its running: it waits for a decision, which then changes the flag. Before its day with a reason."""
    from upshot.services import experiments

    version = _expected(parts, experiment_id, if_match)
    done = experiments.stop(parts.workspace(), experiment_id, caller.name, asked.reason, version)
    return _answer(done, response)


@router.post("/{experiment_id}/extend", responses=told(404, 409, 412))
def extend(
    experiment_id: str,
    asked: Extension,
    caller: Runner,
    response: Response,
    parts: Given,
    if_match: IfMatch = None,
) -> KnownExperiment:
    """Move its decision date, up to the plan's maximum."""
    from upshot.services import experiments

    version = _expected(parts, experiment_id, if_match)
    done = experiments.extend(parts.workspace(), experiment_id, asked.end, caller.name, asked.reason, version)
    return _answer(done, response)


@router.post("/{experiment_id}/notes", status_code=201, responses=told(404, 409, 412))
def add_note(
    experiment_id: str,
    asked: HeardNote,
    caller: Noter,
    response: Response,
    parts: Given,
    if_match: IfMatch = None,
) -> KnownExperiment:
    """Keep what was heard. It counts if it is dated before effects were seen."""
    from upshot.services import notes

    version = _expected(parts, experiment_id, if_match)
    done = notes.add_note(
        parts.workspace(),
        experiment_id,
        asked.sign,
        asked.text,
        caller.name,
        dated=asked.dated,
        expected=version,
    )
    return _answer(done, response)


@router.post("/{experiment_id}/acknowledge", responses=told(404, 409, 412))
def acknowledge(
    experiment_id: str,
    asked: Acknowledged,
    caller: Acknowledger,
    response: Response,
    parts: Given,
    if_match: IfMatch = None,
) -> KnownExperiment:
    """Accept failed checks, or what got worse, each with a reason that reports print."""
    from upshot.services import notes

    version = _expected(parts, experiment_id, if_match)
    done = notes.acknowledge(parts.workspace(), experiment_id, asked.accepted, caller.name, expected=version)
    return _answer(done, response)


@router.post("/{experiment_id}/decide", responses=told(404, 409, 412))
def decide(
    experiment_id: str,
    asked: Decided,
    caller: Decider,
    response: Response,
    parts: Given,
    if_match: IfMatch = None,
) -> KnownExperiment:
    """Decide it: its state, its flag and the audit chain change together. Against the recommendation with a reason."""
    from upshot.services import decisions

    version = _expected(parts, experiment_id, if_match)
    choice = decisions.Choice(
        verdict=asked.verdict,
        variant=asked.variant,
        reason=asked.reason,
        acknowledged=asked.acknowledged,
        end=asked.end,
    )
    return _answer(decisions.decide(parts.workspace(), experiment_id, choice, caller.name, version), response)


def _found(parts: Parts, experiment_id: str) -> Experiment:
    from upshot.services import experiments

    return experiments.found(parts.workspace(), experiment_id)


def _expected(parts: Parts, experiment_id: str, if_match: str | None) -> int | None:
    return expected(if_match, lambda: _found(parts, experiment_id).version)


def _answer(experiment: Experiment, response: Response) -> KnownExperiment:
    tag(response, experiment.version)
    return _plain(experiment)


def _plain(experiment: Experiment) -> KnownExperiment:
    from upshot.formats.experiments import design_to_mapping
    from upshot.formats.values import write_value

    return KnownExperiment(
        id=experiment.id,
        state=experiment.state,
        phase=experiment.phase,
        version=experiment.version,
        plan_hash=experiment.plan_hash,
        created_at=experiment.created_at,
        started_at=experiment.started_at,
        design=design_to_mapping(experiment.design),
        course=json.loads(write_value(experiment.course)),
    )
