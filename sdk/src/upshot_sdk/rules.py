"""Reading the rules of a flag: each becomes a test, a choice and the time it is in force."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from upshot_sdk.allocation import read_allocation, read_ranges, read_unit
from upshot_sdk.bucketing import Range
from upshot_sdk.evaluation import (
    SPLIT,
    TARGETING_MATCH,
    Choose,
    Evaluation,
    Gate,
    allocate,
    holdout_gate,
    layer_gate,
)
from upshot_sdk.node import Node
from upshot_sdk.operators import as_instant
from upshot_sdk.targeting import EVERYBODY, Condition, Test, read_condition

ALWAYS = (float("-inf"), float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """Units that are kept out of the experiments that name it: those whose draw is in its ranges."""

    salt: str
    unit: str
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What flags refer to by name: compiled segments, the salts of layers, holdouts."""

    segments: Mapping[str, Condition] = field(default_factory=dict)
    layers: Mapping[str, str] = field(default_factory=dict)
    holdouts: Mapping[str, Holdout] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The part of a layer that an experiment owns, and where it says so."""

    layer: str
    experiment: str
    unit: str
    ranges: tuple[Range, ...]
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A compiled rule: ``test`` None is met by everybody; ``interval`` is in seconds since 1970, half open."""

    test: Test | None
    choose: Choose
    interval: tuple[float, float]
    cost: int
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a rule is read with."""

    values: Mapping[str, Any]
    metadata: Mapping[str, Any]
    shared: Shared

    def answer(self, variant: str, reason: str, **known: object) -> Evaluation:
        metadata = MappingProxyType({**self.metadata, **known})
        return Evaluation(self.values[variant], variant, reason, None, None, metadata)


def read_variant(node: Node, values: Mapping[str, Any]) -> str | None:
    if isinstance(node.value, str) and node.value in values:
        return node.value
    node.problem(f"there is no variant {node.shown}: they are {', '.join(values) or 'none'}")
    return None


def read_rules(node: Node, reading: Reading) -> tuple[Rule, ...]:
    rules: list[Rule | None] = []
    seen: set[object] = set()
    for item in node.items("a list of rules"):
        fields = item.fields(("id",), ("when", "from", "until", "variant", "rollout", "experiment"))
        if fields is None:
            continue
        rule_id = fields["id"].text("the name of the rule")
        if rule_id in seen:
            fields["id"].problem(f"the rule {fields['id'].shown} is there twice")
        seen.add(rule_id)
        rules.append(_rule(item, fields, str(rule_id), reading))
    return tuple(rule for rule in rules if rule is not None)


def _rule(node: Node, fields: dict[str, Node], rule_id: str, reading: Reading) -> Rule | None:
    condition = read_condition(fields["when"], reading.shared.segments) if "when" in fields else EVERYBODY
    interval = _interval(node, fields)
    forms = [form for form in ("variant", "rollout", "experiment") if form in fields]
    if len(forms) != 1:
        given = " and ".join(forms) or "none"
        node.problem(f"a rule has exactly one of variant, rollout and experiment: here is {given}")
        return None
    read = {"variant": _constant, "rollout": _rollout, "experiment": _experiment}[forms[0]]
    choose, claims = read(fields[forms[0]], rule_id, reading)
    test = None if condition is EVERYBODY else condition.test
    if choose is None:
        return None
    return Rule(test=test, choose=choose, interval=interval, cost=condition.cost + 1, claims=claims)


def _interval(node: Node, fields: dict[str, Node]) -> tuple[float, float]:
    start, end = ALWAYS
    if "from" in fields:
        start = _instant(fields["from"], start)
    if "until" in fields:
        end = _instant(fields["until"], end)
    if start >= end:
        node.problem("from is not before until")
    return start, end


def _instant(node: Node, otherwise: float) -> float:
    moment = as_instant(node.value)
    if moment is None:
        node.expected("an RFC 3339 time with its offset, such as 2026-11-24T09:00:00Z")
        return otherwise
    return moment.timestamp()


Chosen = tuple[Choose | None, tuple[Claim, ...]]


def _constant(node: Node, rule_id: str, reading: Reading) -> Chosen:
    variant = read_variant(node, reading.values)
    if variant is None:
        return None, ()
    answer = reading.answer(variant, TARGETING_MATCH, rule=rule_id)
    return lambda _: answer, ()


def _rollout(node: Node, rule_id: str, reading: Reading) -> Chosen:
    fields = node.fields(("salt", "traffic", "split"), ("unit",))
    if fields is None:
        return None, ()
    drawn = read_allocation(fields, reading.values, ())
    if drawn is None:
        return None, ()
    answers = {variant: reading.answer(variant, SPLIT, rule=rule_id) for variant in drawn.split}
    return allocate(drawn, answers), ()


def _experiment(node: Node, rule_id: str, reading: Reading) -> Chosen:
    fields = node.fields(
        ("id", "phase", "salt", "traffic", "split"), ("unit", "layer", "holdout", "attributes")
    )
    if fields is None:
        return None, ()
    name = fields["id"].text("the name of the experiment")
    phase = fields["phase"].whole("a whole number from 1")
    if phase is not None and phase < 1:
        fields["phase"].expected("a whole number from 1")
    layer, claims = _layer(fields, str(name), reading.shared) if "layer" in fields else ((), ())
    holdout = _held(fields["holdout"], reading.shared) if "holdout" in fields else ()
    attributes = [item.text("the name of an attribute") for item in _items(fields, "attributes")]
    drawn = read_allocation(fields, reading.values, holdout + layer)
    if drawn is None:
        return None, ()
    known = {"rule": rule_id, "experiment_id": name, "phase": phase}
    answers = {variant: reading.answer(variant, SPLIT, **known) for variant in drawn.split}
    return allocate(drawn, answers, tuple(str(name) for name in attributes)), claims


def _items(fields: dict[str, Node], name: str) -> list[Node]:
    return list(fields[name].items("a list of attributes")) if name in fields else []


def _layer(
    fields: dict[str, Node], experiment: str, shared: Shared
) -> tuple[tuple[Gate, ...], tuple[Claim, ...]]:
    node = fields["layer"]
    inner = node.fields(("name", "ranges"))
    if inner is None:
        return (), ()
    name, ranges = inner["name"].value, read_ranges(inner["ranges"])
    if not isinstance(name, str) or name not in shared.layers:
        inner["name"].problem(f"there is no layer {inner['name'].shown}")
        return (), ()
    claim = Claim(layer=name, experiment=experiment, unit=read_unit(fields), ranges=ranges, node=node)
    return (layer_gate(shared.layers[name], ranges),), (claim,)


def _held(node: Node, shared: Shared) -> tuple[Gate, ...]:
    holdout = shared.holdouts.get(node.value) if isinstance(node.value, str) else None
    if holdout is None:
        node.problem(f"there is no holdout {node.shown}")
        return ()
    return (holdout_gate(holdout.salt, holdout.unit, holdout.ranges),)
