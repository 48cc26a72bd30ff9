"""Looks at experiments: taken, listed, given again; effects of a sealed one are not among them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from upshot.doors.web.api.answers import Change, IfMatch, Json, Limit, Offset, Page, expected, page, told
from upshot.doors.web.api.caller import Looker, Reader, Unsealer
from upshot.doors.web.api.parts import Given

if TYPE_CHECKING:
    from upshot.services.live import Taken

router = APIRouter(prefix="/experiments/{experiment_id}", tags=["looks"])
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Phase = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The present one where it is left out.")]


class KnownLook(BaseModel):
    """That a look was taken."""

    phase: int
    number: int
    at: datetime


class TakenLook(BaseModel):
    """What a look says; where it is sealed without effects."""

    experiment: str
    phase: int
    number: int
    is_new: bool = Field(description="False: nothing was new since this look, and no other was taken.")
    is_sealed: bool
    differs: list[str] = Field(
        description="What it says otherwise than when it was kept; empty where it is the same."
    )
    findings: Json = Field(description="The contract of `upshot analyze --json`, verdict included.")


@router.get("/looks", responses=told(404))
def list_looks(
    experiment_id: str, _: Reader, parts: Given, limit: Limit = 100, offset: Offset = 0
) -> Page[KnownLook]:
    """All looks, the oldest first."""
    from upshot.store import experiments, looks

    with parts.store.reading() as connection:
        experiments.find(connection, experiment_id)
        found = page(looks.listed(connection, experiment_id), limit, offset)
    items = [KnownLook(phase=one.phase, number=one.number, at=one.at) for one in found.items]
    return Page(items=items, total=found.total, next=found.next)


@router.post("/looks", responses=told(404, 409))
def take_look(experiment_id: str, caller: Looker, parts: Given) -> TakenLook:
    """Look at what came in until now, and keep the look; it costs its share of alpha. Nothing new: the last one."""
    from upshot.services import experiments
    from upshot.services.live import Asked, live_look

    workspace, defined = parts.workspace(), parts.defined()
    experiments.found(workspace, experiment_id)
    asked = Asked(
        data=workspace.data,
        experiment=experiment_id,
        as_of=workspace.clock(),
        definitions=defined.metrics,
        exposures=defined.exposures,
    )
    return _plain(live_look(parts.store, asked, caller.name))


@router.get("/looks/{number}", responses=told(404))
def replay(experiment_id: str, number: Number, _: Reader, parts: Given, phase: Phase = None) -> TakenLook:
    """A look made again of what was kept of it; ``differs`` says whether it is what it was."""
    from upshot.services.live import given_again

    return _plain(given_again(parts.store, experiment_id, number, phase))


@router.post("/unseal", responses=told(404, 409, 412))
def unseal(
    experiment_id: str, asked: Change, caller: Unsealer, parts: Given, if_match: IfMatch = None
) -> Json:
    """The last look at a sealed experiment with its effects. It is in the audit chain and the report from then on."""
    from upshot.services import experiments
    from upshot.services.analysis import findings_to_dict
    from upshot.services.seal import break_seal

    workspace = parts.workspace()
    version = expected(if_match, lambda: experiments.found(workspace, experiment_id).version)
    return findings_to_dict(break_seal(workspace, experiment_id, caller.name, asked.reason, version))


def _plain(taken: "Taken") -> TakenLook:
    from upshot.services.analysis import findings_to_dict

    return TakenLook(
        experiment=taken.experiment,
        phase=taken.phase,
        number=taken.number,
        is_new=taken.is_new,
        is_sealed=taken.is_sealed,
        differs=list(taken.differs),
        findings=findings_to_dict(taken.findings),
    )
