"""Experiments, checklists and recommendations as the command line prints them: plain values, and words."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upshot.services.checklist import Item
    from upshot.services.decisions import Recommendation
    from upshot.store.experiments import Experiment

MARKS = {"pass": "ok  ", "warn": "note", "fail": "NO  "}


def plain(experiment: "Experiment") -> dict[str, Any]:
    """An experiment as JSON has it."""
    from upshot.formats.experiments import design_to_mapping
    from upshot.formats.values import write_value

    return {
        "id": experiment.id,
        "state": experiment.state,
        "phase": experiment.phase,
        "version": experiment.version,
        "created_at": experiment.created_at.isoformat(),
        "started_at": experiment.started_at.isoformat() if experiment.started_at else None,
        "plan_hash": experiment.plan_hash,
        "design": design_to_mapping(experiment.design),
        "course": json.loads(write_value(experiment.course)),
    }


def advice_plain(advice: "Recommendation") -> dict[str, Any]:
    """A recommendation as JSON has it."""
    return asdict(advice)


def listed_words(found: Sequence["Experiment"]) -> str:
    """A line for each experiment."""
    if not found:
        return "There are no experiments yet: propose one by `upshot experiment new FILE`."
    width = max(len(one.id) for one in found)
    return "\n".join(
        f"{one.id:<{width}}  {one.state:<11}  {_when(one):<24}  {one.design.name}" for one in found
    )


def _when(experiment: "Experiment") -> str:
    plan = experiment.plan
    if experiment.course.decision:
        return f"{experiment.course.decision.verdict} {experiment.course.decision.at:%Y-%m-%d}"
    if experiment.state in ("running", "analyzing") and plan.end:
        return f"to be decided {plan.end}"
    return f"since {experiment.created_at:%Y-%m-%d}"


def experiment_words(experiment: "Experiment", advice: "Recommendation | None") -> str:
    """All that is known of an experiment, for people."""
    return "\n".join([*_head(experiment), *_happened(experiment), *_advice(advice)])


def _head(experiment: "Experiment") -> Iterator[str]:
    from upshot.formats.experiments import design_to_yaml

    yield f"{experiment.id}: {experiment.state}, phase {experiment.phase}, version {experiment.version}"
    if experiment.started_at:
        end = experiment.plan.end or "when it is ready"
        yield f"started {experiment.started_at:%Y-%m-%d %H:%M} UTC, to be decided {end}"
    yield ""
    yield design_to_yaml(experiment.design).rstrip()


def _happened(experiment: "Experiment") -> Iterator[str]:
    course = experiment.course
    lines = [
        *(f"exploratory: {one}" for one in course.exploratory),
        *(f"accepted at the start: {name}: {reason}" for name, reason in course.accepted.items()),
        *(f"acknowledged: {name}: {reason}" for name, reason in course.situation.acknowledged.items()),
        *(f"note of {one.dated}, {one.sign}: {one.text}" for one in course.situation.notes),
    ]
    if course.unsealed:
        seen = course.unsealed
        lines.append(f"the seal was broken {seen.at:%Y-%m-%d %H:%M} by {seen.actor}: {seen.reason}")
    if course.decision:
        told = course.decision
        lines.append(
            f"decided {told.at:%Y-%m-%d %H:%M} by {told.actor}: {told.verdict}"
            + (f", {told.variant} stays" if told.variant else "")
            + (f": {told.reason}" if told.reason else "")
        )
        if told.edit:
            lines.append(f"to do: {told.edit}")
    lines += [
        f"looked at again from {one.due} on: {one.metric}: {one.sentence or one.held}"
        for one in course.lagging
    ]
    if lines:
        yield ""
        yield from lines


def _advice(advice: "Recommendation | None") -> Iterator[str]:
    if advice is None:
        return
    yield ""
    yield advice_words(advice)


def advice_words(advice: "Recommendation") -> str:
    """What is recommended, and what would have to be accepted."""
    if advice.verdict is None:
        return "Nobody looked yet: `upshot look` says what is recommended."
    lines = [f"recommended by look {advice.look}: {advice.verdict} ({advice.cause}): {advice.headline}"]
    lines += [f"  - {reason}" for reason in advice.reasons]
    for name, sentence in {**advice.failed, **advice.losses}.items():
        lines.append(f"  to be acknowledged: {name}: {sentence}")
    if advice.is_sealed:
        lines.append("  effects are sealed until the decision point")
    return "\n".join(lines)


def checklist_words(items: Sequence["Item"]) -> str:
    """A line for each item, with its mend where it fails."""
    width = max(len(item.name) for item in items)
    lines = []
    for item in items:
        lines.append(f"{MARKS[item.status]}  {item.name:<{width}}  {item.detail}")
        if item.mend:
            lines.append(f"{'':<{width + 8}}{item.mend}")
    failing = [item.name for item in items if item.status == "fail"]
    lines.append(f"It cannot start yet: {', '.join(failing)}." if failing else "It can start.")
    return "\n".join(lines)
