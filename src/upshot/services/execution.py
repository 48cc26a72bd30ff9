"""A decision carried out on the flag of its experiment: the winner for everybody in steps, or control.

Flags in the control store change in the decision's own transaction. Of flags in files only the kill switch is ours; all
else is said, for the team to write.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from upshot.assignment.ledger import Ledger, experiment_place
from upshot.assignment.ramp import Stage, ramp
from upshot.errors import InputError
from upshot.model.flag import Flag, FlagSet, Rollout, Rule, Trial
from upshot.services.enrolment import carrier_of, rule_of, rule_text
from upshot.services.flag_switch import Switchable, switch
from upshot.services.flags import published_from
from upshot.services.workspace import Workspace
from upshot.store.audit import Change
from upshot.store.experiments import Experiment
from upshot.store.flags import StoredFlags, put
from upshot.store.kill_file import Switching


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What became of the flag.

    Attributes:
        rules: those that carry the decision out now. ends: when the last step is taken; None: it is.
        edit: what people have to write, where flags are files; empty else.
    """

    rules: tuple[str, ...] = ()
    ends: datetime | None = None
    edit: str = ""


def give_winner(workspace: Workspace, change: Change, experiment: Experiment, winner: str) -> Executed:
    """Give the winner to everybody whom the experiment's rule was met by, as the design's rollout says.

    Raises:
        InputError: the flag has no rule for the experiment. PlanError: it would spoil another experiment.
    """
    if not isinstance(workspace.flags, StoredFlags):
        return _said(workspace, experiment, winner)
    with workspace.flags.within(change):
        stored = workspace.flags.read()
        flag, rule, trial = _running(stored.flags, experiment)
        stages = _stages(experiment, trial, stored.ledger, winner)
        rules = _rules(rule, trial, stages, winner, change.at, experiment.design.execution.every)
        ledger = _seeded(stored.ledger, flag.key, rules, stages, trial)
        put(change, FlagSet(flags={flag.key: _replaced(flag, (rule.id,), rules)}))
        if stored.applied is not None:
            workspace.flags.write(ledger, stored.applied)
        published_from(workspace.flags, workspace.new_salt, change.at)
    return Executed(rules=tuple(one.id for one in rules), ends=rules[-1].starts)


def give_control(workspace: Workspace, change: Change, experiment: Experiment) -> Executed:
    """Give control to everybody whom the experiment's rule was met by."""
    control = experiment.plan.control
    if not isinstance(workspace.flags, StoredFlags):
        return _said(workspace, experiment, control)
    with workspace.flags.within(change):
        flag = carrier_of(workspace.flags.read().flags, experiment)
        old = () if flag is None else _carrying(flag, experiment)
        if flag is None or not old:
            return Executed()
        rule = replace(_plain(old[0], control), id=_first_id(old[0].id))
        put(change, FlagSet(flags={flag.key: _replaced(flag, tuple(one.id for one in old), (rule,))}))
        published_from(workspace.flags, workspace.new_salt, change.at)
    return Executed(rules=(rule.id,))


def kill(workspace: Workspace, experiment: Experiment, actor: str, reason: str) -> bool:
    """Turn the flag of files off, durably, before the decision is kept; False where it was off already."""
    store = workspace.flags
    flag = None if isinstance(store, StoredFlags) else carrier_of(store.read().flags, experiment)
    if flag is None:
        return False
    if not isinstance(store, Switchable):
        raise InputError(
            f"the flags of {store.name} cannot be turned off from here: set enabled: false there"
        )
    entry = Switching(flag=flag.key, action="kill", at=workspace.clock(), actor=actor, reason=reason)
    return switch(store, entry)


def clean_up(workspace: Workspace, change: Change, experiment: Experiment) -> None:
    """Leave one rule of a rollout whose last step is taken: the steps before it take nobody any more."""
    decision = experiment.course.decision
    if decision is None or len(decision.rules) < 2 or not isinstance(workspace.flags, StoredFlags):
        return
    with workspace.flags.within(change):
        flag = carrier_of(workspace.flags.read().flags, experiment)
        if flag is None:
            return
        rules = tuple(
            replace(rule, starts=None) if rule.id == decision.rules[-1] else rule
            for rule in flag.rules
            if rule.id not in decision.rules[:-1]
        )
        put(change, FlagSet(flags={flag.key: replace(flag, rules=rules)}))
        published_from(workspace.flags, workspace.new_salt, change.at)


def _running(flags: FlagSet, experiment: Experiment) -> tuple[Flag, Rule, Trial]:
    flag = carrier_of(flags, experiment)
    rule = None if flag is None else rule_of(flag, experiment.id)
    if flag is None or rule is None or rule.experiment is None:
        raise InputError(f"no flag has a rule for {experiment.id}: there is nothing to give to everybody")
    return flag, rule, rule.experiment


def _carrying(flag: Flag, experiment: Experiment) -> tuple[Rule, ...]:
    """The rules that give an experiment's variants now: its own, or those that its decision left."""
    own = rule_of(flag, experiment.id)
    if own is not None:
        return (own,)
    decision = experiment.course.decision
    return tuple(rule for rule in flag.rules if decision and rule.id in decision.rules)


def _stages(experiment: Experiment, trial: Trial, ledger: Ledger, winner: str) -> tuple[Stage, ...]:
    place, execution = experiment_place(trial.id, trial.phase), experiment.design.execution
    return ramp(
        ledger.splits[place],
        ledger.traffic[place],
        winner=winner,
        control=experiment.plan.control,
        steps=execution.rollout,
        holdback=execution.holdback,
    )


def _rules(
    rule: Rule, trial: Trial, stages: Sequence[Stage], winner: str, now: datetime, every: timedelta
) -> tuple[Rule, ...]:
    """A rule for each stage, in force from its own time until that of the next."""
    if len(stages) == 1 and stages[0].share == 1:
        return (_plain(rule, winner),)
    times = [now + every * number for number in range(len(stages))]
    return tuple(
        replace(
            rule,
            id=f"{rule.id}-{number}",
            experiment=None,
            rollout=Rollout(split=stage.weights, percentage=100 * stage.traffic, unit=trial.unit),
            starts=None if number == 1 else times[number - 1],
            until=None if number == len(stages) else times[number],
        )
        for number, stage in enumerate(stages, start=1)
    )


def _plain(rule: Rule, variant: str) -> Rule:
    return replace(rule, variant=variant, experiment=None, rollout=None, starts=None, until=None)


def _first_id(rule_id: str) -> str:
    """The id that the experiment's rule had, before its rollout's steps were numbered."""
    return rule_id.removesuffix("-1")


def _replaced(flag: Flag, old: tuple[str, ...], new: tuple[Rule, ...]) -> Flag:
    """The flag with rules in the place of others."""
    place = next(number for number, rule in enumerate(flag.rules) if rule.id in old)
    before = tuple(rule for rule in flag.rules[:place] if rule.id not in old)
    after = tuple(rule for rule in flag.rules[place:] if rule.id not in old)
    return replace(flag, rules=(*before, *new, *after))


def _seeded(ledger: Ledger, key: str, rules: Sequence[Rule], stages: Sequence[Stage], trial: Trial) -> Ledger:
    """The ledger in which each stage has the experiment's salt and its own ranges, so that nobody is drawn anew."""
    paths = {
        f"rollout/{key}/{rule.id}": stage for rule, stage in zip(rules, stages, strict=True) if rule.rollout
    }
    salt = ledger.salts[experiment_place(trial.id, trial.phase)]
    return replace(
        ledger,
        salts={**ledger.salts, **dict.fromkeys(paths, salt)},
        traffic={**ledger.traffic, **{path: stage.ranges for path, stage in paths.items()}},
        splits={**ledger.splits, **{path: stage.split for path, stage in paths.items()}},
    )


def _said(workspace: Workspace, experiment: Experiment, variant: str) -> Executed:
    """What people write in their files."""
    flags = workspace.flags.read().flags
    flag = carrier_of(flags, experiment)
    rule = None if flag is None else rule_of(flag, experiment.id)
    if flag is None or rule is None:
        return Executed(
            edit=f"give everybody {variant} of the flag {experiment.design.flag or '(none named)'}"
        )
    text = rule_text(flag, _plain(rule, variant))
    return Executed(edit=f"in {workspace.flags.name}, write for rule {rule.id} of flag {flag.key}:\n{text}")
