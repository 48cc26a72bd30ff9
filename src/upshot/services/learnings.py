"""Learnings: what an experiment taught is written down with its decision, and found by who asks next.

What goes into the archive is what the last look may show: of a plan that is judged once and was ended before its
decision point, no effect but the harm that ended it.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from upshot.analysis.result import Comparison, MetricResult
from upshot.model.learning import LearnedEffect, Learning, Link, Moved, links
from upshot.report.findings import Findings
from upshot.report.learnings import learnings as told_by
from upshot.report.words import sentence
from upshot.services.live import again
from upshot.services.workspace import Workspace
from upshot.store import experiments, looks
from upshot.store import learnings as archive
from upshot.store.audit import Change
from upshot.store.experiments import Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A learning with those that say something of the same metric in experiments of the same type."""

    learning: Learning
    links: tuple[Link, ...]


def archived(change: Change, experiment_id: str) -> Learning:
    """Write down what an experiment that was decided taught, in the transaction of its decision.

    Raises:
        NotFoundError: there is no such experiment.
    """
    experiment = experiments.find(change.connection, experiment_id)
    return archive.add(change, learnt(change.connection, experiment, change.at))


def learnt(connection: Connection, experiment: Experiment, at: datetime) -> Learning:
    """What an experiment taught, as its decision and its last look say."""
    last = looks.last(connection, experiment.id)
    is_seen = (
        last is not None and last.phase == experiment.phase
    )  # what an older phase said is not of this one
    findings = again(connection, last).findings if last is not None and is_seen else None
    decision = experiment.course.decision
    return Learning(
        experiment=experiment.id,
        name=experiment.design.name,
        hypothesis=experiment.design.hypothesis,
        type=experiment.design.type,
        tags=experiment.design.tags,
        at=at,
        actor=decision.actor if decision else "",
        verdict=decision.verdict if decision else None,
        text="\n".join(_sentences(experiment, findings)),
        effects=() if findings is None or findings.in_doubt else effects(findings),
    )


def effects(findings: Findings) -> tuple[LearnedEffect, ...]:
    """What metrics did, each variant on its own; what nobody may know is not among it."""
    return tuple(
        _effect(result, one)
        for result in findings.analysis.metrics
        for one in result.comparisons
        if one.lift is not None or one.effect is not None
    )


def add(
    workspace: Workspace, text: str, actor: str, *, experiment_id: str = "", tags: tuple[str, ...] = ()
) -> Learning:
    """Write down what somebody learnt: of an experiment, or from elsewhere.

    Raises:
        NotFoundError: there is no such experiment.
        InputError: it says nothing, or nobody is named.
    """
    with workspace.store.changing(actor, "written down") as change:
        of = experiments.find(change.connection, experiment_id).design if experiment_id else None
        learning = Learning(
            experiment=experiment_id,
            name=of.name if of else "",
            hypothesis=of.hypothesis if of else "",
            type=of.type if of else None,
            tags=tuple(dict.fromkeys((*(of.tags if of else ()), *tags))),
            at=change.at,
            actor=actor,
            text=text.strip(),
        )
        return archive.add(change, learning)


def listed(workspace: Workspace, experiment_id: str | None = None) -> tuple[Found, ...]:
    """All learnings, or those of one experiment, the newest first, with their links."""
    with workspace.store.reading() as connection:
        return linked(archive.listed(connection, experiment_id), archive.listed(connection))


def search(workspace: Workspace, text: str, limit: int = 20) -> tuple[Found, ...]:
    """The learnings that have all words of a text, the best first, with their links.

    Raises:
        InputError: it has no word to look for.
    """
    with workspace.store.reading() as connection:
        return linked(archive.search(connection, text, limit), archive.listed(connection))


def linked(some: tuple[Learning, ...], everything: tuple[Learning, ...]) -> tuple[Found, ...]:
    """Learnings with their links to all others."""
    return tuple(Found(learning=one, links=links(one, everything)) for one in some)


def _sentences(experiment: Experiment, findings: Findings | None) -> list[str]:
    decision = experiment.course.decision
    reason = sentence(decision.reason) if decision else ""
    decided = [f"Decided: {decision.verdict}{f', because {reason}' if reason else '.'}"] if decision else []
    doubt = ["Its results are exploratory, for something was changed after data were seen."]
    return [
        *decided,
        *(told_by(findings) if findings else ("It ended before anybody looked at its data.",)),
        *(doubt if experiment.course.exploratory else []),
        *(
            f"{note.sign} signal: {sentence(note.text)}"
            for note in experiment.course.situation.notes
            if note.text
        ),
    ]


def _effect(result: MetricResult, one: Comparison) -> LearnedEffect:
    low, high = one.lift_interval
    return LearnedEffect(
        metric=result.name,
        role=result.role,
        better=result.better,
        variant=one.variant,
        lift=one.lift,
        low=low,
        high=high,
        expected=one.shrunken_lift,
        moved=_moved(result, one),
    )


def _moved(result: MetricResult, one: Comparison) -> Moved:
    """By the adjusted interval; of guardrails, too, whose state says whether they hold and not which way they went."""
    if result.role == "guardrail" and one.guardrail is not None and one.guardrail.state == "harmed":
        return "worse"
    low, high = one.lift_interval if one.lift is not None else one.interval
    if low is not None and low > 0:
        return "better" if result.better == "higher" else "worse"
    if high is not None and high < 0:
        return "worse" if result.better == "higher" else "better"
    return "unclear"
