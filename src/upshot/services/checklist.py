"""The checklist before a start: what must be there, so that an experiment's answer will be worth having.

What fails stops the start, unless somebody accepts it with a reason; without its flag or the definition of its metrics
there is nothing to start, and no reason helps.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from difflib import get_close_matches
from typing import Literal

from upshot.assignment.changes import same_shares
from upshot.decide.standards import breaches
from upshot.errors import DataError, InputError, NotFoundError, UpshotError
from upshot.events.reader import connect
from upshot.model.event_metric import EventMetric
from upshot.model.flag import Flag
from upshot.model.metric import Metric
from upshot.services.conflicts import conflicts
from upshot.services.enrolment import is_ours, rule_of, split_of
from upshot.services.feasibility import feasibility
from upshot.services.flags import checked
from upshot.services.live_plan import check_plan
from upshot.services.workspace import Workspace
from upshot.store import experiments
from upshot.store.experiments import Experiment
from upshot.store.flag_store import Stored

Status = Literal["pass", "warn", "fail"]
RECENT = timedelta(days=7)
"""Events that came within so long say that the SDK sends."""
SHORTEST = 20
"""Characters that a hypothesis has at least: an effect and why it is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to be there before the start.

    Attributes:
        name: by which it is accepted. status: ``fail`` stops the start.
        detail: what was found. mend: what to do; empty where it passes.
        binding: a failure that no reason helps.
    """

    name: str
    status: Status
    detail: str
    mend: str = ""
    binding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """All that is looked at."""

    workspace: Workspace
    experiment: Experiment
    stored: Stored

    @property
    def flag(self) -> Flag | None:
        return self.stored.flags.flags.get(self.experiment.design.flag)


def checklist(workspace: Workspace, experiment_id: str) -> tuple[Item, ...]:
    """What is there and what is missing before an experiment starts; nothing is written.

    Raises:
        NotFoundError: there is no such experiment.
        InputError, UnavailableError: flags or events cannot be read.
    """
    with workspace.store.reading() as connection:
        experiment = experiments.find(connection, experiment_id)
    return looked_through(workspace, experiment)


def looked_through(workspace: Workspace, experiment: Experiment) -> tuple[Item, ...]:
    """The checklist of an experiment that was found."""
    world = _World(workspace=workspace, experiment=experiment, stored=workspace.flags.read())
    return tuple(item for rule in _RULES for item in rule(world))


def refused(items: tuple[Item, ...], accepted: Mapping[str, str]) -> tuple[str, ...]:
    """Why an experiment cannot start, a sentence each; empty where it can.

    Args:
        accepted: name of an item -> the reason with which somebody accepts that it fails.
    """
    names = [item.name for item in items]
    problems = [
        f"{name} is not on the checklist: {_hint(name, names)}" for name in accepted if name not in names
    ]
    for item in items:
        if item.status == "fail" and not (accepted.get(item.name, "").strip() and not item.binding):
            how = "" if item.binding else f", or accept it: --acknowledge {item.name}=REASON"
            problems.append(f"{item.name}: {item.detail}: {item.mend}{how}")
    return tuple(problems)


def _hint(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"it has {', '.join(dict.fromkeys(names))}"


# What people said


def _hypothesis(world: _World) -> Iterator[Item]:
    text = world.experiment.design.hypothesis.strip()
    if len(text) >= SHORTEST:
        yield Item(name="hypothesis", status="pass", detail=text)
    else:
        yield Item(
            name="hypothesis",
            status="fail",
            detail=f"it is {text!r}, which says no effect and no reason" if text else "there is none",
            mend="write: if we ..., then ..., because ...",
        )


def _owner(world: _World) -> Iterator[Item]:
    owner = world.experiment.design.owner.strip()
    if owner:
        yield Item(name="owner", status="pass", detail=owner)
    else:
        yield Item(name="owner", status="fail", detail="nobody answers for it", mend="name an owner")


def _rollback(world: _World) -> Iterator[Item]:
    text = world.experiment.design.rollback.strip()
    if text:
        yield Item(name="rollback", status="pass", detail=text)
    else:
        yield Item(
            name="rollback",
            status="fail",
            detail="nobody said what to do when it goes wrong",
            mend="write under rollback: who turns what off, and what else must be undone",
        )


def _guardrails(world: _World) -> Iterator[Item]:
    guardrails = world.experiment.plan.of_role("guardrail")
    if guardrails or world.experiment.plan.purpose == "aa":
        named = ", ".join(metric.name for metric in guardrails) or "like is compared with like"
        yield Item(name="guardrails", status="pass", detail=named)
    else:
        yield Item(
            name="guardrails",
            status="fail",
            detail="the plan protects nothing",
            mend='add one under metrics: guardrail, such as "crash_rate,max=0.1%"',
        )


def _standards(world: _World) -> Iterator[Item]:
    design, standards = world.experiment.design, world.workspace.standards
    today = world.workspace.clock().astimezone(UTC).date()
    found = breaches(replace(design.plan, start=today), standards, today)
    if not found:
        yield Item(name="standards", status="pass", detail="the plan keeps all of them")
    for breach in found:
        reason = design.exceptions.get(breach.standard, "").strip()
        if reason:
            detail = f"{breach.sentence}; excepted: {reason}"
            yield Item(name=breach.standard, status="warn", detail=detail)
        else:
            mend = f"{breach.mend}, or say under exceptions why not"
            yield Item(name=breach.standard, status="fail", detail=breach.sentence, mend=mend)


# What is measured


def _metrics(world: _World) -> Iterator[Item]:
    """Each metric has a definition that can be asked of running data."""
    try:
        check_plan(world.experiment.plan, world.workspace.definitions)
    except UpshotError as error:
        detail = getattr(error, "problems", (str(error),))[0]
        yield Item(
            name="metrics", status="fail", detail=detail, mend="mend the plan or metrics/", binding=True
        )
    else:
        names = ", ".join(metric.name for metric in world.experiment.plan.metrics)
        yield Item(name="metrics", status="pass", detail=f"{names} are defined over events")
    for lagging in world.experiment.design.lagging:
        if lagging.metric not in world.workspace.definitions:
            yield Item(
                name="lagging",
                status="fail",
                detail=f"there is no metric {lagging.metric} to look at later",
                mend="define it in metrics/, or leave it out",
            )


def _data(world: _World) -> Iterator[Item]:
    """Whether events come in, and those that the primary metrics are made of among them."""
    workspace, plan = world.workspace, world.experiment.plan
    seen = _seen(workspace)
    if not seen:
        yield Item(
            name="events",
            status="fail",
            detail=f"no event came within {RECENT.days} days",
            mend="let the SDK (or a Segment client) send to `upshot serve`, and try again",
        )
    else:
        yield Item(
            name="events", status="pass", detail=f"{sum(seen.values()):,} events within {RECENT.days} days"
        )
    needed = {name: one for metric in plan.of_role("primary") for name, one in _needed(workspace, metric)}
    missing = [
        f"{event} (for {metric})" for event, metric in needed.items() if event not in seen and event != "*"
    ]
    if missing:
        yield Item(
            name="metric_data",
            status="fail",
            detail=f"nobody sent {', '.join(missing)} within {RECENT.days} days",
            mend="check the event's name in code and in the metric's definition",
        )
    elif needed:
        yield Item(name="metric_data", status="pass", detail="the events of every primary metric come in")


def _needed(workspace: Workspace, metric: Metric) -> Iterator[tuple[str, str]]:
    definition: EventMetric | None = workspace.definitions.get(metric.column)
    for source in definition.sources if definition else ():
        if source.event is not None:
            yield source.event, metric.name


def _seen(workspace: Workspace) -> Mapping[str, int]:
    """Events that came lately, by name."""
    if not workspace.data.is_dir():
        return {}
    since = (workspace.clock() - RECENT).astimezone(UTC).replace(tzinfo=None)
    with connect(workspace.data) as database:
        rows = database.execute(
            "SELECT event, count(*) FROM events WHERE event IS NOT NULL AND received_at >= ? GROUP BY event",
            [since],
        ).fetchall()
    return dict(rows)


def _sample_size(world: _World) -> Iterator[Item]:
    workspace, plan = world.workspace, world.experiment.plan
    if plan.purpose == "aa":
        return
    try:
        reach = feasibility(workspace, world.experiment.design)
    except (DataError, InputError, NotFoundError) as error:
        detail = f"what traffic brings is not known: {error}"
        mend = "compute it by `upshot plan --baseline ... --weekly ...`"
        yield Item(name="sample_size", status="warn", detail=detail, mend=mend)
        return
    yield Item(
        name="sample_size",
        status="pass" if reach.is_reachable else "fail",
        detail=reach.sentence,
        mend="" if reach.is_reachable else " or ".join(reach.ways_out),
    )


# Who gets it


def _flag(world: _World) -> Iterator[Item]:
    key, flag = world.experiment.design.flag, world.flag
    where = world.workspace.flags.name
    if flag is None:
        known = get_close_matches(key, world.stored.flags.flags, n=1)
        mend = f"did you mean {known[0]}?" if known else "name the flag in the design, and write it"
        detail = f"there is no flag {key} in {where}" if key else "the design names no flag"
        yield Item(name="flag", status="fail", detail=detail, mend=mend, binding=True)
        return
    problem = _mismatch(world, flag)
    if problem:
        yield Item(name="flag", status="fail", detail=problem[0], mend=problem[1], binding=True)
        return
    yield Item(name="flag", status="pass", detail=f"{key} is in {where}")
    yield from _serving(world, flag)


def _mismatch(world: _World, flag: Flag) -> tuple[str, str] | None:
    """What makes a flag unfit for the experiment."""
    design, experiment_id = world.experiment.design, world.experiment.id
    rule = rule_of(flag, experiment_id)
    split = rule.experiment.split if rule and rule.experiment else split_of(design, flag)
    unknown = [name for name in split if name not in flag.variants]
    if unknown:
        return f"flag {flag.key} has no variant {', '.join(unknown)}", f"it has {', '.join(flag.variants)}"
    if design.plan.control not in split:
        return (
            f"control is {design.plan.control}, and units are split into {', '.join(split)}",
            "mend plan: control",
        )
    if rule is not None and design.plan.split and not same_shares(split, design.plan.split):
        return (
            f"rule {rule.id} of {flag.key} splits {_weights(split)}, and the plan {_weights(design.plan.split)}",
            "write the same in both",
        )
    return None


def _weights(split: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in split.items())


def _serving(world: _World, flag: Flag) -> Iterator[Item]:
    """Whether units would get it: the flag is on, and nothing is wrong with the set that it is in."""
    off = world.stored.kills.off.get(flag.key)
    try:
        checked(world.stored, world.workspace.new_salt, world.workspace.flags.name)
    except InputError as error:
        problems = getattr(error, "problems", (str(error),))
        yield Item(
            name="serving", status="fail", detail=problems[0], mend="mend the flags: `upshot flag lint`"
        )
        return
    if off is not None:
        mend = f"give it back by `upshot flag revive {flag.key}`"
        yield Item(name="serving", status="fail", detail=f"it was turned off: {off.reason}", mend=mend)
    elif not flag.enabled:
        yield Item(
            name="serving", status="fail", detail=f"{flag.key} is not enabled", mend="set enabled: true"
        )
    elif rule_of(flag, world.experiment.id) is None and not is_ours(world.workspace):
        detail = f"{flag.key} has no rule for it yet: the start says which to write, and none is met before"
        yield Item(name="serving", status="warn", detail=detail)
    else:
        yield Item(name="serving", status="pass", detail=f"{flag.key} is on")


def _conflicts(world: _World) -> Iterator[Item]:
    told = conflicts(world.workspace, world.experiment, world.stored.flags)
    if not told:
        yield Item(name="conflicts", status="pass", detail="no other experiment is in its way")
    for one in told:
        yield Item(
            name="conflicts", status="fail" if one.is_serious else "warn", detail=one.sentence, mend=one.mend
        )


_RULES: tuple[Callable[[_World], Iterator[Item]], ...] = (
    _hypothesis, _owner, _rollback, _metrics, _data, _sample_size, _guardrails, _flag, _conflicts, _standards,
)  # fmt: skip
