"""The programme report: all experiments of a workspace together, from what is kept of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod

from sqlalchemy import Connection

from upshot.model.learning import LearnedEffect, Learning
from upshot.report.paper import Paper
from upshot.report.programme import Gain, Programme, programme_paper
from upshot.store import audit, experiments, learnings
from upshot.store.control import ControlStore
from upshot.store.experiments import Experiment

MONTHS = 12
"""So many of the last months are told."""
ALL = 1_000_000


def programme(store: ControlStore) -> Paper:
    """The programme report of all that is kept."""
    with store.reading() as connection:
        return programme_paper(gathered(connection))


def gathered(connection: Connection) -> Programme:
    """The figures of the programme."""
    known = experiments.listed(connection)
    ended = [one for one in known if one.course.decision is not None]
    verdicts = Counter(one.course.decision.verdict for one in ended if one.course.decision)
    rows = audit.entries(connection, subject="experiment/", limit=ALL)
    killed = {row.subject.partition("/")[2] for row in rows if row.action == "experiment.killed"}
    types = {one.design.type or "other" for one in ended}
    return Programme(
        proposed=len(known),
        started=sum(one.started_at is not None for one in known),
        running=sum(one.state in ("running", "analyzing") for one in known),
        decided=dict(verdicts.most_common()),
        killed=len(killed),
        by_type={name: _of_type(name, ended) for name in types},
        months=tuple(_months(known)),
        days=tuple(_days(ended)),
        against=sum(_is_against(one) for one in ended),
        unsealed=sum(one.course.unsealed is not None for one in known),
        exploratory=sum(bool(one.course.exploratory) for one in known),
        gains=tuple(_gains(learnings.listed(connection))),
        held=dict(Counter(check.held for one in known for check in one.course.lagging)),
    )


def _of_type(name: str, ended: Sequence[Experiment]) -> tuple[int, int]:
    of = [one.course.decision for one in ended if (one.design.type or "other") == name]
    return len(of), sum(decision is not None and decision.verdict == "SHIP" for decision in of)


def _days(ended: Sequence[Experiment]) -> Iterator[int]:
    for one in ended:
        if one.course.decision is not None and one.started_at is not None:
            yield (one.course.decision.at - one.started_at).days


def _is_against(experiment: Experiment) -> bool:
    decision = experiment.course.decision
    return (
        decision is not None and decision.recommended is not None and decision.recommended != decision.verdict
    )


def _months(known: Sequence[Experiment]) -> Iterator[tuple[str, int, int]]:
    """Started and decided in each month from the first on, the last ones; months without any are among them."""
    started = Counter((one.started_at.year, one.started_at.month) for one in known if one.started_at)
    decided = Counter(
        (one.course.decision.at.year, one.course.decision.at.month) for one in known if one.course.decision
    )
    seen = [12 * year + month - 1 for year, month in (*started, *decided)]
    for place in range(
        max(min(seen, default=1), max(seen, default=0) - MONTHS + 1), max(seen, default=0) + 1
    ):
        month = (place // 12, place % 12 + 1)
        yield f"{month[0]}-{month[1]:02d}", started[month], decided[month]


def _gains(taught: Sequence[Learning]) -> Iterator[Gain]:
    """By metric, what the shipped winners of it bring one upon the other; of an experiment its last learning counts."""
    last = {one.experiment: one for one in sorted(taught, key=lambda one: one.id) if one.verdict}
    won: dict[str, list[LearnedEffect]] = {}
    for one in last.values():
        for effect in one.effects if one.verdict == "SHIP" else ():
            if effect.role == "primary" and effect.moved == "better":
                won.setdefault(effect.metric, []).append(effect)
    for metric, effects in sorted(won.items()):
        measured = [effect.lift for effect in effects if effect.lift is not None]
        expected = [effect.expected for effect in effects if effect.expected is not None]
        if measured and len(expected) == len(measured):
            yield Gain(
                metric=metric,
                winners=len(effects),
                measured=prod(1 + lift for lift in measured) - 1,
                expected=prod(1 + lift for lift in expected) - 1,
            )
