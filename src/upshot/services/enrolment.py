"""Whom an experiment gets: its rule in its flag, put into force at the start and taken out by a decision.

Flags in the control store change in the transaction of the start or decision itself. Flags in files stay the team's:
what is to be written there is said.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from upshot.analysis.unit_table import ACCOUNT
from upshot.assignment.ledger import Ledger, experiment_place
from upshot.errors import InputError, NotFoundError
from upshot.events.reader import connect
from upshot.formats.flags import flags_to_mapping
from upshot.formats.yaml_text import write_yaml
from upshot.model.experiment import Design
from upshot.model.flag import Flag, FlagSet, Rule, Trial
from upshot.services.flags import published_from
from upshot.services.live_evidence import met
from upshot.services.workspace import Workspace
from upshot.store.audit import Change
from upshot.store.experiments import Experiment
from upshot.store.flag_store import Stored
from upshot.store.flags import StoredFlags, put

UNNAMED = "unit"
"""What plans randomise that do not say."""


def is_ours(workspace: Workspace) -> bool:
    """Whether flags are in the control store, so that decisions change them."""
    return isinstance(workspace.flags, StoredFlags)


def rule_of(flag: Flag, experiment_id: str) -> Rule | None:
    """The rule of a flag that runs an experiment."""
    return next(
        (rule for rule in flag.rules if rule.experiment and rule.experiment.id == experiment_id), None
    )


def trial_of(flags: FlagSet, design: Design, experiment_id: str) -> Trial | None:
    """The experiment as its flag has it; None where the flag has no rule for it."""
    flag = flags.flags.get(design.flag)
    rule = None if flag is None else rule_of(flag, experiment_id)
    return None if rule is None else rule.experiment


def split_of(design: Design, flag: Flag) -> Mapping[str, float]:
    """What units are split into where no rule says it: the plan's split, else its variants evenly."""
    return design.plan.split or dict.fromkeys(design.variants or flag.variants, 1.0)


def next_phase(workspace: Workspace, experiment_id: str, stored: Stored) -> int:
    """The phase that an experiment starts with: a fresh one where units met it before its plan was fixed."""
    written = [
        rule.experiment.phase
        for flag in stored.flags.flags.values()
        for rule in flag.rules
        if rule.experiment and rule.experiment.id == experiment_id
    ]
    return max([*(phase + 1 for phase in phases_met(workspace, experiment_id)), *written, 1])


def phases_met(workspace: Workspace, experiment_id: str) -> tuple[int, ...]:
    """The phases of an experiment that units met so far."""
    if not workspace.data.is_dir():
        return ()
    with met(workspace.data, experiment_id, workspace.clock(), workspace.exposures) as found:
        return tuple(found.phases)


def first_received(workspace: Workspace, experiment_id: str, phase: int) -> datetime | None:
    """When the server got the first exposure of a phase; None: it got none."""
    if not workspace.data.is_dir():
        return None
    with connect(workspace.data) as database:
        query = "SELECT min(received_at) FROM exposures WHERE experiment_id = ? AND COALESCE(phase, 1) = ?"
        ((first,),) = database.execute(query, [experiment_id, phase]).fetchall()
    return None if first is None else first.replace(tzinfo=UTC)


def enrol(workspace: Workspace, change: Change, experiment: Experiment, phase: int) -> Mapping[str, str]:
    """Put the rule of an experiment into force, in the transaction of its start.

    Returns: the salts that its units are drawn with, by their places.

    Raises:
        PlanError: the set of flags would hold mistakes, or spoil another experiment.
    """
    place = experiment_place(experiment.id, phase)
    if not isinstance(workspace.flags, StoredFlags):
        stored = workspace.flags.read()
        return {place: stored.ledger.salts.get(place) or workspace.new_salt()}
    with workspace.flags.within(change):
        flag = flag_of(workspace.flags.read().flags, experiment.design.flag)
        put(change, FlagSet(flags={flag.key: _enrolling(flag, experiment, phase, change.at)}))
        ledger = published_from(workspace.flags, workspace.new_salt, change.at)[2]
    trial = trial_of(workspace_flags(workspace, change), experiment.design, experiment.id)
    return {place: ledger.salts[place], **_layer_salt(ledger, trial)}


def workspace_flags(workspace: Workspace, change: Change) -> FlagSet:
    """The flags as a change that is under way sees them."""
    if not isinstance(workspace.flags, StoredFlags):
        return workspace.flags.read().flags
    with workspace.flags.within(change):
        return workspace.flags.read().flags


def put_into_force(workspace: Workspace, change: Change, flag: Flag) -> None:
    """Write a flag of the control store and put it into force, in a change that is under way."""
    if not isinstance(workspace.flags, StoredFlags):
        raise InputError(f"the flags of {workspace.flags.name} are files: edit them there")
    with workspace.flags.within(change):
        put(change, FlagSet(flags={flag.key: flag}))
        published_from(workspace.flags, workspace.new_salt, change.at)


def flag_of(flags: FlagSet, key: str) -> Flag:
    """A flag of a set.

    Raises:
        NotFoundError: there is none of this key.
    """
    if key not in flags.flags:
        raise NotFoundError(f"there is no flag {key or '(none named)'}: the experiment's design names it")
    return flags.flags[key]


def carrier_of(flags: FlagSet, experiment: Experiment) -> Flag | None:
    """The flag that carries an experiment: the one that its design names, else the one that has a rule for it."""
    if experiment.design.flag:
        return flags.flags.get(experiment.design.flag)
    return next((flag for flag in flags.flags.values() if rule_of(flag, experiment.id)), None)


def rule_text(flag: Flag, rule: Rule) -> str:
    """A rule as it is written in a file of flags."""
    plain: dict[str, Any] = flags_to_mapping(FlagSet(flags={flag.key: replace(flag, rules=(rule,))}))
    return write_yaml({"rules": plain["flags"][flag.key]["rules"]})


def to_write(workspace: Workspace, experiment: Experiment) -> str:
    """The rule that files of flags must have for an experiment that was started, with the salt that is in the audit
    chain; empty where the store's flag has it already.
    """
    if is_ours(workspace):
        return ""
    flag = flag_of(workspace.flags.read().flags, experiment.design.flag)
    known = rule_of(flag, experiment.id)
    salt = experiment.course.salts[experiment_place(experiment.id, experiment.phase)]
    for rule in _enrolling(flag, experiment, experiment.phase, workspace.clock()).rules:
        if rule.experiment is not None and rule.experiment.id == experiment.id:
            given = rule.experiment.salt or salt
            whole = replace(rule, experiment=replace(rule.experiment, salt=given))
            is_there = known is not None and replace(whole, experiment=rule.experiment) == known
            return "" if is_there else rule_text(flag, whole)
    return ""


def _enrolling(flag: Flag, experiment: Experiment, phase: int, now: datetime) -> Flag:
    """The flag with a rule for the experiment: the one that it has, brought to the phase, or one for everybody."""
    design, known = experiment.design, rule_of(flag, experiment.id)
    trial = known.experiment if known and known.experiment else _trial(experiment, flag)
    attributes = tuple(dict.fromkeys((*trial.attributes, *design.segments)))
    rule = replace(
        known or Rule(id=experiment.id), experiment=replace(trial, phase=phase, attributes=attributes)
    )
    if rule.starts is not None and rule.starts > now:
        rule = replace(rule, starts=None)
    if known is None:
        return replace(flag, rules=(*flag.rules, rule))
    return replace(flag, rules=tuple(rule if one is known else one for one in flag.rules))


def _trial(experiment: Experiment, flag: Flag) -> Trial:
    """Drawn on what a context is of, or on the accounts that the plan randomises, as people in one influence others."""
    trial = Trial(id=experiment.id, split=split_of(experiment.design, flag))
    plan = experiment.plan
    if plan.unit_kind != "account":
        return trial
    return replace(trial, unit=ACCOUNT if plan.unit == UNNAMED else plan.unit)


def _layer_salt(ledger: Ledger, trial: Trial | None) -> dict[str, str]:
    if trial is None or trial.layer is None:
        return {}
    return {f"layer/{trial.layer}": ledger.salts[f"layer/{trial.layer}"]}
