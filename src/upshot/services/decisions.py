"""Decisions: what the last look recommends, what people make of it, and the flag that follows, in one transaction."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from upshot.decide.case import case_of, losses
from upshot.decide.policy import decide as verdict_of
from upshot.decide.reading import describe
from upshot.decide.standards import WEEK
from upshot.errors import ConflictError, InputError
from upshot.model.course import Decision, LaggingCheck
from upshot.model.decision import Cause, Situation, Verdict
from upshot.model.experiment import Executed
from upshot.model.lifecycle import State
from upshot.services.enrolment import first_received
from upshot.services.execution import Executed as Done
from upshot.services.execution import give_control, give_winner, kill
from upshot.services.experiments import extend, found
from upshot.services.learnings import archived
from upshot.services.live import Taken, given_again
from upshot.services.workspace import Workspace
from upshot.store import alerts, experiments, looks
from upshot.store.alerts import Finding
from upshot.store.audit import Change
from upshot.store.experiments import Experiment

OPEN: tuple[State, ...] = ("running", "analyzing", "killed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What the last look recommends.

    Attributes:
        verdict, cause, headline, reasons, would_change, winner: of the last look, sealed where it is; None or empty
            before the first.
        losses: what got worse with the winner and is not acknowledged yet: its name -> a sentence.
        failed: checks that failed and are not acknowledged -> what they found.
        phase, look: which look it was. is_sealed: effects are not to be seen yet.
    """

    verdict: Verdict | None = None
    cause: Cause | None = None
    headline: str = "nobody looked yet"
    reasons: tuple[str, ...] = ()
    would_change: str = ""
    winner: str | None = None
    losses: Mapping[str, str]
    failed: Mapping[str, str]
    phase: int
    look: int | None = None
    is_sealed: bool = False


def recommendation(workspace: Workspace, experiment_id: str) -> Recommendation:
    """What the last look at an experiment recommends, and what would have to be accepted to follow it.

    Raises:
        NotFoundError: there is no such experiment.
    """
    return _recommended(workspace, found(workspace, experiment_id))


def _recommended(workspace: Workspace, experiment: Experiment, variant: str | None = None) -> Recommendation:
    taken = last_look(workspace, experiment)
    if taken is None:
        return Recommendation(losses={}, failed={}, phase=experiment.phase)
    findings, situation = taken.findings, known_by(workspace, experiment, taken)
    verdict = verdict_of(findings.plan, findings.analysis, situation)
    winner = variant or verdict.winner
    told = dict(_losses(taken, situation, winner)) if winner else {}
    failed: dict[str, str] = {
        check.name: check.detail
        for check in findings.analysis.checks
        if check.status == "fail" and not situation.reason_for(check.name)
    }
    return Recommendation(
        verdict=verdict.verdict,
        cause=verdict.cause,
        headline=verdict.headline,
        reasons=verdict.reasons,
        would_change=verdict.would_change,
        winner=verdict.winner,
        losses=told,
        failed=failed,
        phase=taken.phase,
        look=taken.number,
        is_sealed=taken.is_sealed,
    )


def last_look(workspace: Workspace, experiment: Experiment) -> Taken | None:
    """The last look at the present phase, as it may be shown; None before the first."""
    with workspace.store.reading() as connection:
        newest = looks.newest(connection, experiment.id)
    if newest is None or newest[0] != experiment.phase:
        return None
    return given_again(workspace.store, experiment.id, newest[1], newest[0])


def known_by(workspace: Workspace, experiment: Experiment, taken: Taken) -> Situation:
    """What people know beside the numbers of a look: what they knew then, and what they said since."""
    with workspace.store.reading() as connection:
        kept = looks.find(connection, experiment.id, taken.phase, taken.number)
    then, now, unsealed = kept.situation, experiment.course.situation, experiment.course.unsealed
    seen = (
        then.effects_seen,
        None if taken.is_sealed else kept.look.day,
        unsealed.at.date() if unsealed else None,
    )
    return Situation(
        notes=tuple(dict.fromkeys((*then.notes, *now.notes))),
        acknowledged={**then.acknowledged, **now.acknowledged},
        effects_seen=min((day for day in seen if day is not None), default=None),
    )


def _losses(taken: Taken, situation: Situation, winner: str) -> Iterator[tuple[str, str]]:
    case = case_of(taken.findings.plan, taken.findings.analysis, situation, winner)
    for name, reading in losses(case):
        if not situation.reason_for(name):
            yield name, describe(reading)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What somebody decides.

    Attributes:
        verdict: what is to be done. variant: of SHIP, where it is not the recommended one.
        reason: why; needed where it is not what is recommended.
        acknowledged: what got worse, or a check that failed, and is accepted -> the reason.
        end: of EXTEND, the new decision date; None: a week later.
        automatic: no person decides it.
    """

    verdict: Executed
    variant: str | None = None
    reason: str = ""
    acknowledged: Mapping[str, str] | None = None
    end: date | None = None
    automatic: bool = False


def decide(
    workspace: Workspace, experiment_id: str, choice: Choice, actor: str, expected: int | None = None
) -> Experiment:
    """Decide an experiment: its state, its flag and the audit chain change together, and people are told.

    Raises:
        NotFoundError: there is no such experiment.
        InputError: a reason or an acknowledgement is missing, or there is no such variant.
        ConflictError: it cannot be decided now (or so), or somebody else changed it meanwhile.
    """
    seen = found(workspace, experiment_id)
    if choice.verdict == "EXTEND":
        end = choice.end or _a_week_on(workspace, seen)
        return extend(workspace, experiment_id, end, actor, choice.reason, expected)
    if seen.state not in OPEN:
        raise ConflictError(
            f"{experiment_id} is {seen.state}: only what runs, is analysed or was killed is decided"
        )
    _check_fixed_first(workspace, seen)
    seen = _knowing(seen, choice.acknowledged or {})
    advice = _recommended(workspace, seen, choice.variant if choice.verdict == "SHIP" else None)
    variant = _variant(seen, choice, advice)
    _check_reasons(seen, choice, advice, variant)
    if choice.verdict == "KILL":
        kill(workspace, seen, actor, choice.reason or advice.headline)
    with workspace.store.changing(actor, choice.reason) as change:
        if looks.newest(change.connection, experiment_id) != _newest(advice):
            raise ConflictError(
                f"somebody looked at {experiment_id} meanwhile: see what it says now, and decide again"
            )
        return _carried_out(workspace, change, seen, choice, advice, variant, expected)


def _carried_out(
    workspace: Workspace,
    change: Change,
    seen: Experiment,
    choice: Choice,
    advice: Recommendation,
    variant: str | None,
    expected: int | None,
) -> Experiment:
    if choice.verdict == "SHIP" and variant is not None:
        done = give_winner(workspace, change, seen, variant)
    else:
        done = give_control(workspace, change, seen)
    decision = Decision(
        verdict=choice.verdict,
        variant=variant,
        at=change.at,
        actor=change.actor,
        reason=choice.reason,
        recommended=advice.verdict,
        cause=advice.cause,
        headline=advice.headline,
        look=advice.look,
        automatic=choice.automatic,
        acknowledged=dict(choice.acknowledged or {}),
        rules=done.rules,
        done_at=done.ends,
        edit=done.edit,
    )
    course = replace(seen.course, decision=decision, lagging=_lagging(seen, decision))
    after = _moved(change, seen, expected)
    after = experiments.move(change, seen.id, "decided", after.version, course=course)
    if choice.verdict == "ITERATE":
        after = experiments.move(change, seen.id, "iterated", after.version)
    elif done.ends is None and not done.edit:
        after = experiments.move(change, seen.id, "completed", after.version)
    alerts.sight(change, _news(after, decision, done))
    archived(change, seen.id)
    return after


def _moved(change: Change, seen: Experiment, expected: int | None) -> Experiment:
    """The experiment in a state that is followed by decided."""
    version = seen.version if expected is None else expected
    if seen.state == "running":
        return experiments.move(change, seen.id, "analyzing", version)
    now = experiments.find(change.connection, seen.id)
    if now.version != version:
        raise ConflictError(
            f"{seen.id} was changed meanwhile (version {now.version}, you saw {version}): look at it again and decide"
        )
    return now


def _lagging(seen: Experiment, decision: Decision) -> tuple[LaggingCheck, ...]:
    """What is looked at again, because it won."""
    if decision.verdict != "SHIP":
        return ()
    kept = {one.metric: one for one in seen.course.lagging if one.held != "waiting"}
    return tuple(
        kept.get(one.metric)
        or LaggingCheck(metric=one.metric, due=(decision.at + one.after).astimezone(UTC).date())
        for one in seen.design.lagging
    )


def _news(experiment: Experiment, decision: Decision, done: Done) -> Finding:
    who = "by itself, as its plan says" if decision.automatic else f"by {decision.actor}"
    what = {
        "SHIP": f"{decision.variant} goes to everybody",
        "KILL": f"everybody gets {decision.variant}",
        "ITERATE": f"everybody gets {experiment.plan.control}, and it is tried again otherwise",
    }[decision.verdict]
    name = f"{experiment.id} ({experiment.design.name})" if experiment.design.name else experiment.id
    return Finding(
        key=f"decision/{experiment.id}",
        subject=f"experiment/{experiment.id}",
        severity="info",
        what=f"{name} was decided {who}: {decision.verdict}, {what}",
        advice=done.edit or "read its document for the reasons; nothing is to be done",
        evidence={
            "verdict": decision.verdict,
            "recommended": decision.recommended,
            "reason": decision.reason,
        },
    )


# What must be there


def _check_fixed_first(workspace: Workspace, experiment: Experiment) -> None:
    """Refuse to decide on data that are older than the plan: nobody could know that it was not fitted to them."""
    fixed = experiment.course.fixed_phase
    if fixed is not None and experiment.phase >= fixed:
        return
    first = first_received(workspace, experiment.id, experiment.phase)
    if experiment.started_at is None or (first is not None and first < experiment.started_at):
        raise ConflictError(
            f"units met phase {experiment.phase} of {experiment.id} before its plan was fixed, so nobody can know that "
            f"the plan is older than the data: begin phase {experiment.phase + 1} in its flag, and decide on that"
        )


def _knowing(seen: Experiment, acknowledged: Mapping[str, str]) -> Experiment:
    """The experiment with what is accepted together with the decision."""
    empty = [name for name, reason in acknowledged.items() if not reason.strip()]
    if empty:
        raise InputError(f"{', '.join(empty)} is acknowledged without a reason: say why it is accepted")
    situation = seen.course.situation
    known = replace(situation, acknowledged={**situation.acknowledged, **acknowledged})
    return replace(seen, course=replace(seen.course, situation=known))


def _variant(seen: Experiment, choice: Choice, advice: Recommendation) -> str | None:
    """The variant that stays."""
    control = seen.plan.control
    if choice.verdict != "SHIP":
        return control if choice.verdict == "KILL" else None
    others = [name for name in seen.plan.split if name != control]
    variant = choice.variant or advice.winner or (others[0] if len(others) == 1 else None)
    if variant is None:
        raise InputError(f"it is not said which variant is shipped: name one of {', '.join(others)}")
    if variant not in others:
        raise InputError(f"{variant} is no variant that can be shipped: name one of {', '.join(others)}")
    return variant


def _check_reasons(seen: Experiment, choice: Choice, advice: Recommendation, variant: str | None) -> None:
    if choice.verdict == "SHIP":
        _check_ship(seen, advice)
    followed = choice.verdict == advice.verdict and (choice.verdict != "SHIP" or variant == advice.winner)
    if not followed and not choice.reason.strip():
        told = f"{advice.verdict} is recommended ({advice.headline})" if advice.verdict else advice.headline
        raise InputError(f"{choice.verdict} is decided without a reason, and {told}: say why")


def _check_ship(seen: Experiment, advice: Recommendation) -> None:
    if advice.verdict is None:
        raise ConflictError(
            f"nobody looked at phase {advice.phase} of {seen.id} yet: look before anything is shipped"
        )
    if advice.is_sealed:
        raise ConflictError(f"{seen.id} is sealed until its decision point: nothing is shipped before")
    if seen.state == "killed" or advice.cause == "harm":
        raise ConflictError(f"{seen.id} does harm and is not shipped: {advice.headline}")
    for what, open_ones in (("a check failed", advice.failed), ("something got worse", advice.losses)):
        if open_ones:
            told = "; ".join(f"{name}: {sentence}" for name, sentence in open_ones.items())
            raise InputError(
                f"{what} that nobody accepted ({told}): acknowledge {', '.join(open_ones)} with a reason"
            )


def _newest(advice: Recommendation) -> tuple[int, int] | None:
    return None if advice.look is None else (advice.phase, advice.look)


def _a_week_on(workspace: Workspace, seen: Experiment) -> date:
    today = workspace.clock().astimezone(UTC).date()
    begun = seen.plan.start or today
    weeks = max((today - begun).days // WEEK, ((seen.plan.end or today) - begun).days // WEEK) + 1
    return workspace.standards.working_day(begun + timedelta(days=WEEK * weeks))


def is_done(experiment: Experiment, now: datetime) -> bool:
    """Whether the last step of a decided rollout is taken."""
    decision = experiment.course.decision
    return decision is not None and decision.done_at is not None and decision.done_at <= now
