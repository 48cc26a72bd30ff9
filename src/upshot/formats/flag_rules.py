"""What contradicts itself in a set of flags, and would be passed over or break when draws are given out.

What an evaluator refuses (unknown variants, operators, circles) is not looked at again here: the evaluator that must
read the ruleset says it. This finds what would never reach it.
"""

import math
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import pairwise

from upshot.formats.flag_findings import Finding
from upshot.model.flag import Flag, FlagSet, Rollout, Rule, Trial

_NAME = re.compile(r"\w[\w.:-]*")
_KEY = re.compile(r"\w[\w.:/-]*")
NAMED = "a name is letters, digits and _ . : - without spaces"


def flag_findings(flags: FlagSet) -> Iterator[Finding]:
    """Every contradiction of a set, each with its place and mend."""
    yield from _names(flags)
    for flag in flags.flags.values():
        for below, message in _flag(flag, flags):
            yield Finding(section="flags", name=flag.key, below=below, message=message)
    yield from _experiment_ids(flags)
    yield from _layer_shares(flags)


def checkable(flags: FlagSet, findings: list[Finding]) -> FlagSet:
    """The set without the rules that have findings: the rest can be given draws and looked at further."""
    bad = {
        (finding.name, finding.below.partition("]")[0]) for finding in findings if finding.section == "flags"
    }
    full = {finding.name for finding in findings if finding.section == "layers"}
    kept = {
        key: replace(
            flag,
            rules=tuple(
                _with_known(rule, flags.segments.keys())
                for rule in flag.rules
                if (key, f".rules[{rule.id}") not in bad
                and not (rule.experiment and rule.experiment.layer in full)
            ),
        )
        for key, flag in flags.flags.items()
    }
    return replace(flags, flags=kept)


def _with_known(rule: Rule, segments: AbstractSet[str]) -> Rule:
    return replace(rule, segments=tuple(name for name in rule.segments if name in segments))


def _names(flags: FlagSet) -> Iterator[Finding]:
    named = [
        (section, name)
        for section in ("flags", "segments", "layers", "holdouts")
        for name in getattr(flags, section)
    ]
    for section, name in named:
        if not (_KEY if section == "flags" else _NAME).fullmatch(name):
            yield Finding(section=section, name=name, message=NAMED)


Found = Iterator[tuple[str, str]]


def _flag(flag: Flag, flags: FlagSet) -> Found:
    ids = [rule.id for rule in flag.rules]
    for rule in flag.rules:
        place = f".rules[{rule.id}]"
        if ids.count(rule.id) > 1:
            yield place, f"{ids.count(rule.id)} rules have this id: give each its own"
        for below, message in _rule(rule, flags):
            yield place + below, message
    monitoring = flag.monitoring
    if (
        monitoring
        and monitoring.auto_kill
        and monitoring.error_threshold is monitoring.latency_threshold is None
    ):
        yield ".monitoring", "autoKill has no limit to watch: give errorThreshold or latencyThreshold"


def _rule(rule: Rule, flags: FlagSet) -> Found:
    forms = [name for name in ("variant", "rollout", "experiment") if getattr(rule, name) is not None]
    if len(forms) != 1:
        given = " and ".join(forms) or "none"
        yield "", f"a rule has exactly one of variant, rollout and experiment: here is {given}"
    if not _NAME.fullmatch(rule.id):
        yield ".id", NAMED
    for name in rule.segments:
        if name not in flags.segments:
            yield ".segments", f"there is no segment {name}: {_known(flags.segments.keys())}"
    if rule.rollout:
        yield from ((".rollout" + below, message) for below, message in _rollout(rule.rollout))
    if rule.experiment:
        yield from ((".experiment" + below, message) for below, message in _trial(rule.experiment, flags))


def _known(names: AbstractSet[str]) -> str:
    return f"there are {', '.join(sorted(names))}" if names else "none is written"


def _rollout(rollout: Rollout) -> Found:
    if (rollout.variant is None) == (not rollout.split):
        yield "", "a rollout has either a variant or a split: give one of them"
    if rollout.split:
        yield from _weights(rollout.split)
    for first, second in pairwise(rollout.schedule):
        if second.at <= first.at:
            yield (
                ".schedule",
                f"the step at {second.at.isoformat()} is not after the one before it: sort the steps",
            )


def _weights(split: Mapping[str, float]) -> Found:
    given = split.values()
    if not all(map(math.isfinite, given)) or not sum(given):
        yield ".split", "give finite weights, at least one of them above 0"


def _trial(trial: Trial, flags: FlagSet) -> Found:
    if not _NAME.fullmatch(trial.id):
        yield ".id", NAMED
    yield from _weights(trial.split)
    if len(trial.split) < 2:
        yield ".split", "an experiment compares: give at least two variants"
    if trial.layer is None:
        if trial.layer_share != 100:
            yield ".layer_share", "this is the share of a layer: give layer too"
        return
    layer = flags.layers.get(trial.layer)
    if layer is None:
        yield ".layer", f"there is no layer {trial.layer}: {_known(flags.layers.keys())}"
    elif layer.unit != trial.unit:
        yield (
            ".unit",
            f"the layer {layer.name} draws on {layer.unit}, this on {trial.unit}: draw both on the same",
        )


def _trials(flags: FlagSet) -> list[tuple[Flag, Rule, Trial]]:
    return [
        (flag, rule, rule.experiment)
        for flag in flags.flags.values()
        for rule in flag.rules
        if rule.experiment is not None
    ]


def _experiment_ids(flags: FlagSet) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for flag, rule, trial in _trials(flags):
        if trial.id in first:
            message = f"{trial.id} is the experiment of {first[trial.id]} already: give this one its own id"
            below = f".rules[{rule.id}].experiment.id"
            yield Finding(section="flags", name=flag.key, below=below, message=message)
        first.setdefault(trial.id, f"flags.{flag.key}.rules[{rule.id}]")


def _layer_shares(flags: FlagSet) -> Iterator[Finding]:
    for name in flags.layers:
        shares = {trial.id: trial.layer_share for _, _, trial in _trials(flags) if trial.layer == name}
        if math.fsum(shares.values()) > 100 + 1e-9:
            listed = ", ".join(f"{experiment} {share:g}%" for experiment, share in shares.items())
            message = (
                f"its experiments ask for {math.fsum(shares.values()):g}% of it ({listed}): 100% are there"
            )
            yield Finding(section="layers", name=name, message=message)
