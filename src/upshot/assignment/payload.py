"""A set of flags as people write them -> the ruleset that evaluators read, with the draws given out so far.

The one entry is `compile_flags`: it keeps every salt and range that the ledger knows, grows or cuts shares
with the fewest moves, and returns the payload with the next ledger. It does not validate conditions: the
evaluator that must read the payload does, in one place (`upshot_sdk`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

from upshot.assignment.layers import share_out
from upshot.assignment.ledger import Ledger, experiment_place
from upshot.assignment.ranges import Allocation, Ranges, recut, resize
from upshot.model.flag import Flag, FlagSet, Holdout, Rollout, Rule, Trial

NewSalt = Callable[[], str]
Json = dict[str, object]


@dataclass(slots=True)
class _Draws:
    """The ledger that is being written while flags are compiled."""

    before: Ledger
    new_salt: NewSalt
    salts: dict[str, str] = field(default_factory=dict)
    traffic: dict[str, Ranges] = field(default_factory=dict)
    splits: dict[str, Allocation] = field(default_factory=dict)

    def salt(self, path: str, imported: str | None = None) -> str:
        self.salts[path] = imported or self.before.salts.get(path) or self.new_salt()
        return self.salts[path]

    def share(self, path: str, percentage: float) -> Ranges:
        self.traffic[path] = resize(percentage / 100, self.before.traffic.get(path, ()))
        return self.traffic[path]

    def split(self, path: str, weights: Mapping[str, float]) -> Allocation:
        self.splits[path] = recut(weights, self.before.splits.get(path))
        return self.splits[path]

    def ledger(self, layers: Mapping[str, Allocation]) -> Ledger:
        """The next ledger. It forgets nothing but places in layers, so what returns has its draws again."""
        return Ledger(
            salts={**self.before.salts, **self.salts},
            traffic={**self.before.traffic, **self.traffic},
            splits={**self.before.splits, **self.splits},
            layers=layers,
        )


def compile_flags(
    flags: FlagSet, ledger: Ledger, new_salt: NewSalt, rounds: Mapping[str, int] = MappingProxyType({})
) -> tuple[Json, Ledger]:
    """The payload (without its revision) of a set of flags, and the ledger after it.

    Args:
        flags: what people wrote.
        ledger: the draws given out before; units keep their place in them.
        new_salt: gives a random salt for what has none yet.
        rounds: of flags that are watched for another time: the number of it.

    Raises:
        ValueError: shares of a layer do not fit into it, weights cannot be divided, or one experiment is in
            two rules.
    """
    _each_once(flags)
    draws = _Draws(ledger, new_salt)
    owned = {
        name: share_out(_layer_shares(flags, name), ledger.layers.get(name)) for name in sorted(flags.layers)
    }
    payload: Json = {
        "format": 1,
        "hash": "md5/1",
        "segments": {name: {"when": dict(segment.when)} for name, segment in flags.segments.items()},
        "layers": {name: {"salt": draws.salt(f"layer/{name}")} for name in flags.layers},
        "holdouts": {name: _holdout(holdout, draws) for name, holdout in flags.holdouts.items()},
        "flags": {key: _flag(flag, draws, owned, rounds.get(key, 1)) for key, flag in flags.flags.items()},
    }
    return payload, draws.ledger(owned)


def _each_once(flags: FlagSet) -> None:
    """An experiment is a question asked in one place; its draws are remembered by its id."""
    places: dict[str, str] = {}
    for key, flag in flags.flags.items():
        for rule in flag.rules:
            if rule.experiment is None:
                continue
            place, name = f"flag {key}, rule {rule.id}", rule.experiment.id
            if name in places:
                raise ValueError(
                    f"experiment {name} is in {places[name]} and in {place}: give one another id"
                )
            places[name] = place


def _layer_shares(flags: FlagSet, layer: str) -> dict[str, float]:
    trials = [rule.experiment for flag in flags.flags.values() for rule in flag.rules if rule.experiment]
    return {trial.id: trial.layer_share for trial in trials if trial.layer == layer}


def _holdout(holdout: Holdout, draws: _Draws) -> Json:
    path = f"holdout/{holdout.name}"
    ranges = draws.share(path, holdout.percentage)
    return {"salt": draws.salt(path), "unit": holdout.unit, "ranges": _pairs(ranges)}


def _flag(flag: Flag, draws: _Draws, owned: Mapping[str, Allocation], watched: int) -> Json:
    rules = [rule for written in _with_overrides(flag) for rule in _rules(flag.key, written, draws, owned)]
    result: Json = {"type": flag.type, "enabled": flag.enabled, "variants": dict(flag.variants)}
    if flag.default is not None:
        result["default_variant"] = flag.default
    if flag.prerequisites:
        result["prerequisites"] = [
            {"flag": needed.flag, "variants": list(needed.variants)} for needed in flag.prerequisites
        ]
    if flag.metadata:
        result["metadata"] = dict(flag.metadata)
    if flag.monitoring and flag.monitoring.has_limit:
        result["monitored"] = watched
    result["rules"] = rules
    return result


def _with_overrides(flag: Flag) -> tuple[Rule, ...]:
    """Overrides are rules before all others, one for each variant that somebody is given."""
    by_variant: dict[str, list[str]] = {}
    for unit_id, variant in flag.overrides.items():
        by_variant.setdefault(variant, []).append(unit_id)
    first = tuple(
        Rule(
            id=f"override-{variant}",
            variant=variant,
            when={"attr": "targetingKey", "op": "in", "value": sorted(ids)},
        )
        for variant, ids in by_variant.items()
    )
    return first + flag.rules


def _rules(key: str, rule: Rule, draws: _Draws, owned: Mapping[str, Allocation]) -> list[Json]:
    if rule.rollout:
        return _rollout(f"rollout/{key}/{rule.id}", rule, rule.rollout, draws)
    if rule.experiment:
        return [_head(rule) | {"experiment": _experiment(rule.experiment, draws, owned)}]
    return [_head(rule) | {"variant": rule.variant}]


def _head(rule: Rule) -> Json:
    """What every rule of a payload starts with: its id, its condition, and when it is in force."""
    head: Json = {"id": rule.id}
    condition = _condition(rule)
    if condition is not None:
        head["when"] = condition
    if rule.starts:
        head["from"] = _instant(rule.starts)
    if rule.until:
        head["until"] = _instant(rule.until)
    return head


def _condition(rule: Rule) -> Json | None:
    named: list[Json] = [{"segment": name} for name in rule.segments]
    parts: list[Json] = []
    if named:
        parts.append(named[0] if len(named) == 1 else {"any": named})
    if rule.when is not None:
        parts.append(dict(rule.when))
    if len(parts) > 1:
        return {"all": parts}
    return parts[0] if parts else None


def _rollout(path: str, rule: Rule, rollout: Rollout, draws: _Draws) -> list[Json]:
    """One rule a step, each in force from its own time until the next, all on one salt and growing ranges."""
    salt = draws.salt(path)
    split = _split(draws.split(path, rollout.split or {str(rollout.variant): 1}))
    held = draws.share(path, rollout.percentage)
    ends = [step.at for step in rollout.schedule]
    rules = [_step(rule, salt, rollout.unit, held, split, None, ends[0] if ends else None)]
    for number, step in enumerate(rollout.schedule):
        held = resize(step.percentage / 100, held)
        until = ends[number + 1] if number + 1 < len(ends) else None
        named = replace(rule, id=f"{rule.id}.{number + 2}")
        rules.append(_step(named, salt, rollout.unit, held, split, step.at, until))
    return rules


def _step(
    rule: Rule, salt: str, unit: str, held: Ranges, split: Json, start: datetime | None, end: datetime | None
) -> Json:
    starts = max((moment for moment in (rule.starts, start) if moment), default=None)
    until = min((moment for moment in (rule.until, end) if moment), default=None)
    rollout = {"salt": salt, "unit": unit, "traffic": _pairs(held), "split": split}
    return _head(replace(rule, starts=starts, until=until)) | {"rollout": rollout}


def _experiment(trial: Trial, draws: _Draws, owned: Mapping[str, Allocation]) -> Json:
    place = experiment_place(trial.id, trial.phase)
    result: Json = {
        "id": trial.id,
        "phase": trial.phase,
        "salt": draws.salt(place, trial.salt),
        "unit": trial.unit,
        "traffic": _pairs(draws.share(place, trial.traffic)),
        "split": _split(draws.split(place, trial.split)),
    }
    if trial.layer:
        result["layer"] = {"name": trial.layer, "ranges": _pairs(owned[trial.layer][trial.id])}
    if trial.holdout:
        result["holdout"] = trial.holdout
    if trial.attributes:
        result["attributes"] = list(trial.attributes)
    return result


def _pairs(ranges: Ranges) -> list[list[int]]:
    return [[start, end] for start, end in ranges]


def _split(split: Allocation) -> Json:
    return {variant: _pairs(ranges) for variant, ranges in split.items()}


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
