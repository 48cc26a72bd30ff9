"""Looking through flags: what they were understood to mean, and what is allowed but hardly meant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from upshot.analysis.rollout import subject_of
from upshot.assignment.payload import NewSalt
from upshot.model.flag import Flag, FlagSet, Rule
from upshot.report.flag_words import flag_words, moment, percentage
from upshot.services.flag_switch import killed_words
from upshot.services.flags import checked
from upshot.store.flag_store import FlagStore, Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something to look at; it hinders nothing.

    Attributes:
        about: ``flags.checkout``, ``segments.early-adopters``.
        kind: killed, expired, ended, unreachable, shrinking, monitoring or unused.
        sentence: what it is, and the mend.
    """

    about: str
    kind: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """What was understood: the set, each flag in words, and remarks."""

    flags: FlagSet
    words: Mapping[str, tuple[str, ...]]
    remarks: tuple[Remark, ...]


def lint(store: FlagStore, new_salt: NewSalt, now: datetime) -> Lint:
    """Look through the flags of a store; nothing is written.

    Raises:
        PlanError: mistakes, all of them.
        InputError: the store cannot be read.
    """
    stored = store.read()
    checked(stored, new_salt, store.name)
    flags = stored.flags
    return Lint(
        flags=flags,
        words={key: flag_words(flag) for key, flag in flags.flags.items()},
        remarks=(*_killed(stored), *_remarks(flags, now)),
    )


def _killed(stored: Stored) -> Iterator[Remark]:
    for key, entry in stored.kills.off.items():
        mend = f"give it back by `upshot flag revive {key}`"
        yield Remark(about=f"flags.{key}", kind="killed", sentence=f"{killed_words(entry)}; {mend}")


def _remarks(flags: FlagSet, now: datetime) -> Iterator[Remark]:
    for key, flag in flags.flags.items():
        for kind, sentence in _of_flag(flag, now):
            yield Remark(about=f"flags.{key}", kind=kind, sentence=sentence)
    used: dict[str, set[str | None]] = {
        "segments": set(_used_segments(flags)),
        "layers": {rule.experiment.layer for rule in _rules(flags) if rule.experiment},
        "holdouts": {rule.experiment.holdout for rule in _rules(flags) if rule.experiment},
    }
    for section, names in used.items():
        for name in getattr(flags, section):
            if name not in names:
                sentence = "nothing uses it: remove it, or use it"
                yield Remark(about=f"{section}.{name}", kind="unused", sentence=sentence)


def _rules(flags: FlagSet) -> list[Rule]:
    return [rule for flag in flags.flags.values() for rule in flag.rules]


def _used_segments(flags: FlagSet) -> Iterator[str]:
    """The segments that rules reach, also by way of other segments."""
    todo = [name for rule in _rules(flags) for name in (*rule.segments, *_named(rule.when))]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += _named(flags.segments[name].when)
    yield from seen


def _named(condition: object) -> Iterator[str]:
    if isinstance(condition, Mapping):
        if isinstance(condition.get("segment"), str):
            yield condition["segment"]
        for part in condition.values():
            yield from _named(part)
    elif isinstance(condition, list | tuple):
        for part in condition:
            yield from _named(part)


def _of_flag(flag: Flag, now: datetime) -> Iterator[tuple[str, str]]:
    if flag.expires and flag.expires < now.date():
        asked = f"ask {flag.owner} and " if flag.owner else ""
        yield "expired", f"it expired on {flag.expires}: {asked}take it out of the code and the files"
    for place, rule in enumerate(flag.rules):
        if rule.until and rule.until <= now:
            yield "ended", f"rule {rule.id} ended at {moment(rule.until)}: remove it"
        hiding = next((one for one in flag.rules[:place] if _hides(one, rule, now)), None)
        if hiding:
            yield (
                "unreachable",
                f"rule {rule.id} is never reached: {hiding.id} before it takes all whom it is met by",
            )
        yield from _shrinking(rule)
    if flag.monitoring and subject_of(flag) is None:
        mend = (
            "roll a variant out, or leave monitoring out"
            if flag.monitoring.has_limit
            else "give errorThreshold"
        )
        yield "monitoring", f"its monitoring watches nothing: {mend}"


def _hides(first: Rule, later: Rule, now: datetime) -> bool:
    """Whether no unit that a rule is met by ever gets past an earlier one."""
    if first.when is not None and first.when != later.when:
        return False
    if first.segments and not (later.segments and set(later.segments) <= set(first.segments)):
        return False
    if first.starts and first.starts > max(now, later.starts or now):
        return False
    if first.until and not (later.until and later.until <= first.until):
        return False
    return first.variant is not None or (
        _unit(later) is not None and _unit_taken_whole(first) == _unit(later)
    )


def _unit_taken_whole(rule: Rule) -> str | None:
    """The unit that a rule draws on, where it takes every one that there is."""
    if rule.rollout and rule.rollout.percentage == 100 and not rule.rollout.schedule:
        return rule.rollout.unit
    trial = rule.experiment
    whole = trial and trial.traffic == 100 and trial.holdout is None
    return trial.unit if trial and whole and (trial.layer is None or trial.layer_share == 100) else None


def _unit(rule: Rule) -> str | None:
    drawn = rule.rollout or rule.experiment
    return drawn.unit if drawn else None


def _shrinking(rule: Rule) -> Iterator[tuple[str, str]]:
    if rule.rollout is None:
        return
    shares = [rule.rollout.percentage, *(step.percentage for step in rule.rollout.schedule)]
    for (before, after), step in zip(pairwise(shares), rule.rollout.schedule, strict=True):
        if after < before:
            yield (
                "shrinking",
                (
                    f"rule {rule.id} goes from {percentage(before)} down to {percentage(after)} at {moment(step.at)}: "
                    "who is let out loses what they had"
                ),
            )
