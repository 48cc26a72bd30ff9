"""What experiments are made of and what they taught: metrics, templates, learnings."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, StringConstraints

from upshot.doors.web.api.answers import Json, Limit, Offset, Page, page, told
from upshot.doors.web.api.caller import Noter, Reader
from upshot.doors.web.api.parts import Given

if TYPE_CHECKING:
    from upshot.formats.templates import Template
    from upshot.model.event_metric import EventMetric
    from upshot.model.learning import Learning
    from upshot.services.learnings import Found

router = APIRouter()
Text = Annotated[str, StringConstraints(min_length=1)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class KnownMetric(BaseModel):
    """A metric over events."""

    name: str
    words: str = Field(description="What it measures.")
    fields: Json = Field(description="As below its name in a file (docs/metrics.md).")


class KnownTemplate(BaseModel):
    """A worked experiment to begin with."""

    name: str
    about: str
    watch: list[str] = Field(description="What goes wrong with experiments of this type.")
    sized: Mapping[str, float]
    design: Json


class Linked(BaseModel):
    """Another learning that says something of the same metric."""

    learning: int
    metric: str
    supports: bool


class KnownLearning(BaseModel):
    """What was learnt, and what supports or contradicts it."""

    id: int
    experiment: str
    name: str
    hypothesis: str
    type: str | None
    tags: list[str]
    at: datetime
    actor: str
    verdict: str | None
    text: str
    links: list[Linked]


class NewLearning(BaseModel):
    """What somebody learnt."""

    text: Text
    experiment: str = Field("", description="Of which experiment; empty: from elsewhere.")
    tags: list[Word] = Field([], max_length=50)


@router.get("/metrics", responses=told(), tags=["metrics"])
def list_metrics(_: Reader, parts: Given, limit: Limit = 100, offset: Offset = 0) -> Page[KnownMetric]:
    """The metrics that are defined over events, the catalogue's too, by name."""
    found = page(sorted(parts.defined().metrics.items()), limit, offset)
    items = [_metric(name, metric) for name, metric in found.items]
    return Page(items=items, total=found.total, next=found.next)


@router.get("/metrics/{name}", responses=told(404), tags=["metrics"])
def find_metric(name: str, _: Reader, parts: Given) -> KnownMetric:
    """One metric."""
    from upshot.services.event_metrics import named

    return _metric(name, named(parts.defined().metrics, name, "what is defined"))


@router.get("/templates", responses=told(), tags=["templates"])
def list_templates(_: Reader, limit: Limit = 100, offset: Offset = 0) -> Page[KnownTemplate]:
    """Worked experiments, one for each type."""
    from upshot.formats.templates import templates

    return page([_template(one) for one in templates().values()], limit, offset)


@router.get("/templates/{name}", responses=told(404), tags=["templates"])
def find_template(name: str, _: Reader) -> KnownTemplate:
    """One worked experiment, whose design can be proposed after a change."""
    from upshot.formats.templates import template

    return _template(template(name))


@router.get("/learnings", responses=told(), tags=["learnings"])
def list_learnings(
    _: Reader,
    parts: Given,
    text: Annotated[str, Query(max_length=1000, description="Words that all of them have.")] = "",
    limit: Limit = 100,
    offset: Offset = 0,
) -> Page[KnownLearning]:
    """What experiments taught: those that have all words of a text, the best first; or all, the newest first."""
    from upshot.services import learnings

    workspace = parts.workspace()
    most = limit + offset + 1
    found = learnings.search(workspace, text, most) if text.strip() else learnings.listed(workspace)
    return page([_learning(one) for one in found], limit, offset)


@router.post("/learnings", status_code=201, responses=told(404), tags=["learnings"])
def add_learning(new: NewLearning, caller: Noter, parts: Given) -> KnownLearning:
    """Write down what was learnt, from an experiment or from elsewhere."""
    from upshot.services import learnings

    kept = learnings.add(
        parts.workspace(), new.text, caller.name, experiment_id=new.experiment, tags=tuple(new.tags)
    )
    return _fields(kept, ())


def _metric(name: str, metric: "EventMetric") -> KnownMetric:
    from upshot.analysis.event_words import metric_words
    from upshot.formats.event_metrics import metric_to_mapping

    return KnownMetric(name=name, words=metric_words(metric), fields=metric_to_mapping(metric))


def _template(one: "Template") -> KnownTemplate:
    from upshot.formats.experiments import design_to_mapping

    return KnownTemplate(
        name=one.name,
        about=one.about,
        watch=list(one.watch),
        sized=dict(one.sized),
        design=design_to_mapping(one.design),
    )


def _learning(found: "Found") -> KnownLearning:
    links = tuple(
        Linked(learning=link.learning.id, metric=link.metric, supports=link.supports) for link in found.links
    )
    return _fields(found.learning, links)


def _fields(one: "Learning", links: tuple[Linked, ...]) -> KnownLearning:
    return KnownLearning(
        id=one.id,
        experiment=one.experiment,
        name=one.name,
        hypothesis=one.hypothesis,
        type=one.type,
        tags=list(one.tags),
        at=one.at,
        actor=one.actor,
        verdict=one.verdict,
        text=one.text,
        links=list(links),
    )
