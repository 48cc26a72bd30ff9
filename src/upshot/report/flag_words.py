"""Flags in words: what the files were understood to mean, so that a person can say no."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from upshot.analysis.rollout import subject_of
from upshot.model.flag import TARGETING_KEY, Condition, Flag, Rollout, Rule, Trial

_OPERATORS = {
    "eq": "is",
    "ne": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "in_ci": "is, in any case, one of",
    "not_in_ci": "is, in any case, none of",
    "gt": "is above",
    "gte": "is at least",
    "lt": "is below",
    "lte": "is at most",
    "contains": "contains",
    "contains_ci": "contains, in any case,",
    "starts_with": "starts with",
    "starts_with_ci": "starts, in any case, with",
    "ends_with": "ends with",
    "ends_with_ci": "ends, in any case, with",
    "regex": "matches",
    "regex_ci": "matches, in any case,",
    "exists": "is there",
    "before": "is before",
    "after": "is after",
    "in_cidr": "is an address in",
    "semver_eq": "is version",
    "semver_ne": "is not version",
    "semver_gt": "is a version above",
    "semver_gte": "is a version from",
    "semver_lt": "is a version below",
    "semver_lte": "is a version up to",
}


def condition_words(condition: Condition) -> str:
    """A condition as the end of *those whose ...*.

    >>> condition_words({"all": [{"attr": "country", "op": "in", "value": ["CA", "US"]}, {"segment": "beta"}]})
    'country is one of CA, US and who are in beta'
    """
    if "segment" in condition:
        return f"who are in {condition['segment']}"
    if "not" in condition:
        return f"not ({_inner(condition['not'])})"
    for form, joined in (("all", " and "), ("any", " or ")):
        if form in condition:
            parts = condition[form]
            return joined.join(map(_bracketed, parts if isinstance(parts, list | tuple) else ()))
    words = f"{condition.get('attr')} {_OPERATORS.get(str(condition.get('op')), condition.get('op'))}"
    return words if condition.get("op") == "exists" else f"{words} {_value(condition.get('value'))}"


def _inner(condition: object) -> str:
    return condition_words(condition) if isinstance(condition, Mapping) else str(condition)


def _bracketed(condition: object) -> str:
    words = _inner(condition)
    nested = isinstance(condition, Mapping) and ("all" in condition or "any" in condition)
    return f"({words})" if nested else words


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        shown = ", ".join(map(_value, value[:10]))
        return f"{shown} and {len(value) - 10} more" if len(value) > 10 else shown
    return str(value)


def audience(rule: Rule) -> str:
    """Whom a rule is met by.

    >>> audience(Rule(id="r", segments=("early-adopters", "staff")))
    'early-adopters and staff'
    """
    named = " and ".join(rule.segments)
    if rule.when is None:
        return named or "everybody"
    words = condition_words(rule.when)
    words = words.removeprefix("who ") if words.startswith("who ") and named else words
    relative = words if words.startswith(("who ", "not (")) else f"whose {words}"
    if relative.startswith("not ("):
        relative = f"who are {relative}"
    return f"those in {named} {relative}" if named else f"those {relative}"


def flag_words(flag: Flag) -> tuple[str, ...]:
    """What a flag does, one sentence a line, in the order in which it is decided."""
    return tuple(_lines(flag))


def _lines(flag: Flag) -> Iterator[str]:
    default = flag.default or "the caller's default"
    if not flag.enabled:
        yield "it is off: everybody gets the caller's default" + (
            ", until it is enabled:" if flag.rules else ""
        )
    for needed in flag.prerequisites:
        yield f"only where {needed.flag} gives {' or '.join(needed.variants)}, else {default}"
    if flag.overrides:
        units = "1 unit is" if len(flag.overrides) == 1 else f"{len(flag.overrides)} units are"
        yield f"by hand, {units} given a variant and counted nowhere"
    for rule in flag.rules:
        yield f"{rule.id}: {rule_words(rule)}"
    yield f"{'everybody else gets' if flag.rules else 'everybody gets'} {default}"
    watched = monitoring_words(flag)
    if watched:
        yield watched


def rule_words(rule: Rule) -> str:
    """What a rule gives to whom, and when."""
    who = audience(rule)
    if rule.rollout:
        words = _rollout(rule.rollout, who)
        words += f", and nobody outside {' and '.join(rule.segments)}" if rule.segments else ""
    elif rule.experiment:
        words = _trial(rule.experiment, who)
    else:
        words = f"{who} {'gets' if who == 'everybody' else 'get'} {rule.variant}"
    if rule.starts:
        words += f", from {moment(rule.starts)}"
    return words + (f", until {moment(rule.until)}" if rule.until else "")


def _rollout(rollout: Rollout, who: str) -> str:
    words = f"{percentage(rollout.percentage)} of {who} get {rollout.variant or _split(rollout.split)}"
    for step in rollout.schedule:
        words += f", {percentage(step.percentage)} from {moment(step.at)}"
    return words + _drawn_by(rollout.unit)


def _trial(trial: Trial, who: str) -> str:
    words = (
        f"{trial.id}, phase {trial.phase}, enrols {percentage(trial.traffic)} of {who}: {_split(trial.split)}"
    )
    words += _drawn_by(trial.unit)
    if trial.layer:
        words += f", within {percentage(trial.layer_share)} of layer {trial.layer}"
    return words + (f", without holdout {trial.holdout}" if trial.holdout else "")


def _drawn_by(unit: str) -> str:
    return "" if unit == TARGETING_KEY else f", drawn by {unit}"


def _split(split: Mapping[str, float]) -> str:
    whole = sum(split.values())
    return ", ".join(f"{variant} {percentage(100 * weight / whole)}" for variant, weight in split.items())


def percentage(value: float) -> str:
    """
    >>> percentage(10), percentage(33.3333333), percentage(0.05)
    ('10%', '33.33%', '0.05%')
    """
    return f"{value:.4g}%"


def moment(at: datetime) -> str:
    """
    >>> moment(datetime(2026, 12, 1, 9, tzinfo=UTC))
    '2026-12-01 09:00 UTC'
    """
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def monitoring_words(flag: Flag) -> str | None:
    """What the watch over a flag's rollout looks for, compares it with, and does; None where nothing is watched.

    >>> from upshot.model.flag import Monitoring
    >>> on = Rule(id="some", rollout=Rollout(variant="on", percentage=10))
    >>> limits = Monitoring(error_threshold=0.01, auto_kill=True)
    >>> nav = Flag(key="nav", type="boolean", variants={}, default="off", rules=(on,), monitoring=limits)
    >>> monitoring_words(nav)
    'its rollout is watched: errors above 1% of units turn it off where they are more than with off'
    """
    limits, subject = flag.monitoring, subject_of(flag)
    if limits is None or subject is None:
        return None
    parts = []
    if limits.error_threshold is not None:
        parts.append(f"errors above {percentage(100 * limits.error_threshold)} of units")
    if limits.latency_threshold is not None:
        parts.append(f"p95 latency above {limits.latency_threshold:g} ms")
    done = "turn it off" if limits.auto_kill else "are told as an alert, and leave it on"
    if subject.control is None:
        return f"its rollout is watched: {' or '.join(parts)} {done}"
    return (
        f"its rollout is watched: {' or '.join(parts)} {done} where they are more than with {subject.control}"
    )
