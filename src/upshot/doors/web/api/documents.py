"""What is written about experiments: the document of each, the reports of the week and of the programme, ideas."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from upshot.doors.web.api.answers import Json, Limit, Offset, Page, page, told
from upshot.doors.web.api.caller import Reader
from upshot.doors.web.api.parts import Given
from upshot.errors import InputError

if TYPE_CHECKING:
    from upshot.report.paper import Paper
    from upshot.services.follow_ups import FollowUp

router = APIRouter(tags=["documents"])
Form = Literal["md", "html"]

_EARLIEST, _LATEST = date(2000, 1, 1), date(9000, 1, 1)
_TYPES = {"md": "text/markdown", "html": "text/html"}
_SAFE = {
    # whatever somebody wrote into a name or a note, a page of it does nothing
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The paper",
        "content": {kind: {"schema": {"type": "string"}} for kind in _TYPES.values()},
    }
}


class Suggestion(BaseModel):
    """What could be asked next, and the numbers behind it."""

    kind: str
    experiment: str
    evidence: str
    idea: str
    draft: Json


@router.get("/experiments/{experiment_id}/document", responses=_CONTENT | told(404), response_class=Response)
def document(experiment_id: str, _: Reader, parts: Given, form: Form = "md") -> Response:
    """The document of an experiment: hypothesis, design, course, results, decision, learnings, proof."""
    from upshot.services import documents

    return _answer(documents.document(parts.store, experiment_id), form)


@router.get("/reports/weekly", responses=_CONTENT | told(), response_class=Response)
def weekly(
    _: Reader,
    parts: Given,
    until: Annotated[
        date | None, Query(description="The day after its last one; today where left out.")
    ] = None,
    form: Form = "md",
) -> Response:
    """The report of seven whole days: what runs, what was decided, alerts, learnings; no number of a sealed one."""
    from upshot.services import weekly as report

    if until is not None and not _EARLIEST <= until <= _LATEST:
        raise InputError(f"until is {until}: give a day from {_EARLIEST} to {_LATEST}")
    end = datetime(until.year, until.month, until.day, tzinfo=UTC) if until else None
    return _answer(report.weekly(parts.store, end or report.last_midnight(parts.store.now())), form)


@router.get("/reports/programme", responses=_CONTENT | told(), response_class=Response)
def programme(_: Reader, parts: Given, form: Form = "md") -> Response:
    """The report of the whole programme: how many are completed, how many win, how fast."""
    from upshot.services import programme as report

    return _answer(report.programme(parts.store), form)


@router.get("/follow-ups", responses=told())
def follow_ups(_: Reader, parts: Given, limit: Limit = 100, offset: Offset = 0) -> Page[Suggestion]:
    """What could be asked next, of the newest experiments first, each with its evidence and a draft."""
    from upshot.services.follow_ups import follow_ups as found

    return page([_suggestion(one) for one in found(parts.store)], limit, offset)


def _answer(paper: "Paper", form: Form) -> Response:
    from upshot.report.paper import markdown
    from upshot.report.paper_page import html

    text = html(paper) if form == "html" else markdown(paper)
    return Response(text, media_type=_TYPES[form], headers=_SAFE)


def _suggestion(one: "FollowUp") -> Suggestion:
    from upshot.formats.experiments import design_to_mapping

    return Suggestion(
        kind=one.kind,
        experiment=one.experiment,
        evidence=one.evidence,
        idea=one.idea,
        draft=design_to_mapping(one.draft),
    )
