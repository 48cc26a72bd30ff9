"""Experiments from the first idea on: proposing, changing, starting, ending, extending and finding them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, timedelta

from upshot.assignment.plan_edits import PlanEdit, classify_plan
from upshot.decide.standards import WEEK, decision_date
from upshot.errors import ConflictError, InputError, PlanError
from upshot.model.experiment import Design
from upshot.model.lifecycle import FOLLOWERS, State
from upshot.services.checklist import looked_through, refused
from upshot.services.enrolment import enrol, flag_of, next_phase, rule_of, split_of
from upshot.services.workspace import Workspace
from upshot.store import experiments
from upshot.store.audit import Change
from upshot.store.experiments import Experiment

OVER: tuple[State, ...] = ("decided", "completed", "iterated", "killed")


def found(workspace: Workspace, experiment_id: str) -> Experiment:
    """One experiment.

    Raises:
        NotFoundError: there is no such experiment.
    """
    with workspace.store.reading() as connection:
        return experiments.find(connection, experiment_id)


def listed(workspace: Workspace, state: State | None = None) -> tuple[Experiment, ...]:
    """All experiments, or those in one state, the oldest first."""
    with workspace.store.reading() as connection:
        return experiments.listed(connection, state)


def propose(workspace: Workspace, design: Design, actor: str, reason: str = "") -> Experiment:
    """A planned experiment; one without an id gets the next of the year.

    Raises:
        ConflictError: there is one with this id.
        InputError: nobody is named, or a text cannot be kept.
    """
    with workspace.store.changing(actor, reason) as change:
        return experiments.create(change, design)


def edit(
    workspace: Workspace,
    experiment_id: str,
    design: Design,
    actor: str,
    reason: str = "",
    expected: int | None = None,
    *,
    knowingly: bool = False,
) -> Experiment:
    """Give an experiment another design. Once it has started its plan binds, and what is over is not rewritten.

    Args:
        expected: the version that was read before the edit; None: whatever is there.
        knowingly: change of a running experiment even what binds, with a reason: all of its results are exploratory
            from then on, and say so.

    Raises:
        NotFoundError: there is no such experiment.
        ConflictError: somebody else changed it meanwhile, or what binds would change.
        InputError: what binds would change, and no reason is given.
    """
    with workspace.store.changing(actor, reason) as change:
        return edited(change, experiment_id, design, expected, knowingly=knowingly)


def edited(
    change: Change,
    experiment_id: str,
    design: Design,
    expected: int | None = None,
    *,
    knowingly: bool = False,
) -> Experiment:
    """`edit`, within a change that is under way; raises as it does."""
    before = experiments.find(change.connection, experiment_id)
    if before.state in OVER:
        raise ConflictError(
            f"{experiment_id} is {before.state}: what is decided is not rewritten, propose another"
        )
    if before.started_at is None:
        return experiments.save_design(change, experiment_id, design, expected)
    kept = as_started(before, design)
    edits = binding(before.design, kept)
    if edits and not knowingly:
        raise ConflictError(f"{experiment_id} has started, and its plan binds: {edits[0].sentence}")
    if edits:
        _needs(
            change.reason,
            "what binds was fixed before the data, and changing it makes every result exploratory",
        )
    after = experiments.save_design(change, experiment_id, kept, expected)
    return _exploratory(change, after, [*edits, *_late(before.design, kept)])


def as_started(before: Experiment, design: Design) -> Design:
    """The design with what the start filled in, where it is left out again."""
    plan, fixed = design.plan, before.plan
    return replace(
        design,
        plan=replace(
            plan,
            id=plan.id or before.id,
            start=plan.start or fixed.start,
            end=plan.end or fixed.end,
            split=plan.split or fixed.split,
        ),
    )


def binding(before: Design, after: Design) -> tuple[PlanEdit, ...]:
    """The edits between two designs that an experiment which has started does not allow."""
    edits = [one for one in classify_plan(before.plan, after.plan) if one.kind != "safe"]
    if before.flag != after.flag:
        sentence = (
            f"flag goes from {before.flag or 'none'} to {after.flag or 'none'}, which asks another question: take it "
            "back, or propose another experiment"
        )
        edits.append(PlanEdit(field="flag", kind="blocked", sentence=sentence))
    return tuple(edits)


def _late(before: Design, after: Design) -> Iterator[PlanEdit]:
    """What may be added after data were seen, and makes what is found by it exploratory."""
    old = {metric.name for metric in before.plan.metrics}
    for metric in after.plan.metrics:
        if metric.name not in old and metric.role != "guardrail":
            sentence = f"{metric.role} metric {metric.name} was added after the start"
            yield PlanEdit(field="metrics", kind="safe", sentence=sentence)
    for segment in after.segments:
        if segment not in before.segments:
            sentence = f"segment {segment} was added after the start"
            yield PlanEdit(field="segments", kind="safe", sentence=sentence)


def _exploratory(change: Change, experiment: Experiment, edits: list[PlanEdit]) -> Experiment:
    if not edits:
        return experiment
    told = [one.sentence.partition(": ")[0] for one in edits]
    sentences = tuple(dict.fromkeys((*experiment.course.exploratory, *told)))
    course = replace(experiment.course, exploratory=sentences)
    return experiments.save_course(change, experiment.id, "experiment.exploratory", course)


def implement(
    workspace: Workspace, experiment_id: str, actor: str, reason: str = "", expected: int | None = None
) -> Experiment:
    """Say that the variants are in the code: the flag must be there with all of them.

    Raises:
        NotFoundError: there is no such experiment, or no such flag.
        InputError: the flag lacks a variant.
        ConflictError: it is not planned, or somebody else changed it meanwhile.
    """
    flags = workspace.flags.read().flags
    with workspace.store.changing(actor, reason) as change:
        before = experiments.find(change.connection, experiment_id)
        flag = flag_of(flags, before.design.flag)
        missing = [name for name in split_of(before.design, flag) if name not in flag.variants]
        if missing:
            raise InputError(
                f"flag {flag.key} has no variant {', '.join(missing)}: add it to the flag, or name another in the plan"
            )
        return experiments.move(change, experiment_id, "implemented", expected)


def start(
    workspace: Workspace,
    experiment_id: str,
    actor: str,
    reason: str = "",
    *,
    accepted: Mapping[str, str] | None = None,
    expected: int | None = None,
) -> Experiment:
    """Start an experiment: from now on its plan is fixed, and its flag gives units its variants.

    The plan, its hash and the salts that units are drawn with go into one row of the audit chain. Where units met it
    before, a new phase begins with it, so that no data are older than the plan.

    Args:
        accepted: what fails on the checklist and is accepted -> the reason.

    Raises:
        NotFoundError: there is no such experiment.
        PlanError: the checklist says no; everything that is missing is named.
        ConflictError: it cannot start from where it is, or somebody else changed it meanwhile.
    """
    accepted = dict(accepted or {})
    seen = found(workspace, experiment_id)
    if "running" not in FOLLOWERS[seen.state] or seen.started_at is not None:
        raise ConflictError(f"{experiment_id} is {seen.state} and cannot start: only what is planned can")
    problems = refused(looked_through(workspace, seen), accepted)
    if problems:
        raise PlanError(problems, f"{experiment_id} cannot start")
    stored = workspace.flags.read()
    phase = next_phase(workspace, experiment_id, stored)
    with workspace.store.changing(actor, reason) as change:
        today = change.at.astimezone(UTC).date()
        flag = flag_of(stored.flags, seen.design.flag)
        rule = rule_of(flag, experiment_id)
        split = rule.experiment.split if rule and rule.experiment else split_of(seen.design, flag)
        design = _fixed(workspace, seen.design, split, today)
        salts = enrol(workspace, change, replace(seen, design=design), phase)
        return experiments.move(
            change,
            experiment_id,
            "running",
            seen.version if expected is None else expected,
            design=design,
            phase=phase,
            course=replace(seen.course, accepted=accepted, fixed_phase=phase, salts=salts),
            beside={"salts": salts},
        )


def _fixed(workspace: Workspace, design: Design, split: Mapping[str, float], today: date) -> Design:
    """The design as it binds: with its split, the day of its start and the day of its decision."""
    plan = design.plan
    end = decision_date(plan, workspace.standards, today)
    return replace(design, plan=replace(plan, split=plan.split or dict(split), start=today, end=end))


def stop(
    workspace: Workspace, experiment_id: str, actor: str, reason: str, expected: int | None = None
) -> Experiment:
    """End the running of an experiment: it is analysed and waits for a decision, which then changes the flag.

    Raises:
        NotFoundError: there is no such experiment.
        InputError: its decision date has not come, and no reason is given.
        ConflictError: it does not run, or somebody else changed it meanwhile.
    """
    with workspace.store.changing(actor, reason) as change:
        before = experiments.find(change.connection, experiment_id)
        end = before.plan.end
        if end is not None and change.at.astimezone(UTC).date() < end:
            _needs(reason, f"it is to be decided on {end}")
        return experiments.move(change, experiment_id, "analyzing", expected)


def extend(
    workspace: Workspace,
    experiment_id: str,
    end: date,
    actor: str,
    reason: str,
    expected: int | None = None,
) -> Experiment:
    """Move the decision date of an experiment that runs or is analysed, up to the plan's maximum.

    Raises:
        NotFoundError: there is no such experiment.
        InputError: no reason is given, or the day is none on which it can be decided.
        ConflictError: it is over, its plan is judged once, or somebody else changed it meanwhile.
    """
    _needs(reason, "the decision date was fixed before the data")
    with workspace.store.changing(actor, reason) as change:
        before = experiments.find(change.connection, experiment_id)
        if before.state not in ("running", "analyzing"):
            raise ConflictError(
                f"{experiment_id} is {before.state}: only what runs or is analysed is extended"
            )
        _check_end(workspace, before, end, change.at.astimezone(UTC).date())
        design = replace(before.design, plan=replace(before.plan, end=end))
        edits = binding(before.design, design)
        if edits:
            raise ConflictError(f"{experiment_id} cannot be extended: {edits[0].sentence}")
        if before.state == "running":
            return experiments.save_design(change, experiment_id, design, expected)
        return experiments.move(change, experiment_id, "running", expected, design=design)


def _check_end(workspace: Workspace, experiment: Experiment, end: date, today: date) -> None:
    plan, standards = experiment.plan, workspace.standards
    begun = plan.start or today
    last = standards.working_day(begun + timedelta(days=plan.maximum_days))
    if not today < end:
        raise InputError(f"end is {end}, which is not after {today}: give a day in the future")
    if end > last:
        raise InputError(
            f"end is {end}, after {last}: for no more than {plan.maximum_days} days its error rates were promised"
        )
    excepted = {name for name, why in experiment.design.exceptions.items() if why.strip()}
    if not standards.is_working(end) and "working_day" not in excepted:
        raise InputError(f"end is {end}, on which nobody works: take {standards.working_day(end)}")
    weeks = max(round((end - begun).days / WEEK), 1)
    whole = standards.working_day(begun + timedelta(days=WEEK * weeks))
    if end != whole and "whole_weeks" not in excepted:
        raise InputError(f"end is {end}, no whole weeks after {begun}: take {whole}")


def _needs(reason: str, why: str) -> None:
    if not reason.strip():
        raise InputError(f"no reason is given: {why}, say why")
