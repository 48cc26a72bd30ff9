"""Reading a flag: its variants, prerequisites and rules become one closure from context to answer."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from upshot_sdk.evaluation import DEFAULT, DISABLED, STATIC, Choose, Evaluation
from upshot_sdk.node import Node, is_number
from upshot_sdk.rules import ALWAYS, Claim, Reading, Rule, Shared, read_rules, read_variant
from upshot_sdk.targeting import MAX_COST, MAX_DEPTH, Context, Test
from upshot_sdk.values import TYPES, natural_types, read_variants

MAX_TIMES = 100  # at which rules of one flag begin or end
RESERVED = frozenset(
    {
        "attributes",
        "contextId",
        "experiment_id",
        "flag",
        "flagSetId",
        "monitored",
        "phase",
        "revision",
        "rule",
        "unit",
        "unit_id",
        "version",
    }
)

Clock = Callable[[], float]
Decide = Callable[[Context, Clock], Evaluation]
Needs = tuple[tuple["Flag", frozenset[str]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A compiled flag.

    Attributes:
        decide: context and clock -> answer. types: of a caller's default that its values have by themselves.
        kind: boolean, string, number or object. variants: their names.
        cost, depth: of its conditions and prerequisites.
    """

    decide: Decide
    kind: str
    types: frozenset[type]
    variants: frozenset[str]
    metadata: Mapping[str, Any]
    cost: int
    depth: int


def prerequisite_keys(flag: object) -> set[str]:
    """The flags that a flag needs, as far as they can be read; mistakes are found when it is compiled."""
    needed = flag.get("prerequisites") if isinstance(flag, Mapping) else None
    entries = needed if isinstance(needed, list | tuple) else ()
    return {
        entry["flag"]
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(entry.get("flag"), str)
    }


def read_flag(
    key: str, node: Node, revision: str, shared: Shared, others: Mapping[str, Flag]
) -> tuple[Flag | None, tuple[Claim, ...]]:
    """Compile a flag, and tell which parts of layers its experiments own; problems go to the node.

    ``others`` holds the flags that it needs, compiled before.
    """
    fields = node.fields(
        ("type", "variants"),
        ("enabled", "default_variant", "rules", "prerequisites", "metadata", "monitored"),
    )
    if fields is None:
        return None, ()
    kind = fields["type"].value
    if kind not in TYPES:
        fields["type"].expected(f"one of {', '.join(TYPES)}")
    values = read_variants(fields["variants"], str(kind))
    given = _metadata(fields["metadata"]) if "metadata" in fields else {}
    watched = _watched(fields["monitored"]) if "monitored" in fields else {}
    metadata = MappingProxyType({**given, "flag": key, "revision": revision, **watched})
    reading = Reading(values=values, metadata=metadata, shared=shared)
    default = read_variant(fields["default_variant"], values) if "default_variant" in fields else None
    enabled = fields["enabled"].flag() if "enabled" in fields else True
    rules = read_rules(fields["rules"], reading) if "rules" in fields else ()
    needs = _prerequisites(fields["prerequisites"], others) if "prerequisites" in fields else ()
    cost = sum(rule.cost for rule in rules) + sum(flag.cost + 1 for flag, _ in needs)
    depth = 1 + max((flag.depth for flag, _ in needs), default=0)
    _check_limits(node, cost, depth, len(_times(rules)))
    if node.problems:
        return None, ()
    flag = Flag(
        decide=_decide(reading, enabled is not False, default, rules, needs),
        kind=str(kind),
        types=natural_types(str(kind), values),
        variants=frozenset(values),
        metadata=metadata,
        cost=cost,
        depth=depth,
    )
    return flag, tuple(claim for rule in rules for claim in rule.claims)


def _check_limits(node: Node, cost: int, depth: int, times: int) -> None:
    if cost > MAX_COST:
        node.problem(
            f"its conditions cost {cost:,}: {MAX_COST:,} are allowed, segments and prerequisites counted"
        )
    if depth > MAX_DEPTH:
        node.problem(f"its prerequisites are a chain of {depth}: {MAX_DEPTH} are allowed")
    if times > MAX_TIMES:
        node.problem(f"its rules begin and end at {times} different times: {MAX_TIMES} are allowed")


def _metadata(node: Node) -> dict[str, Any]:
    """What people want to be told with each answer of the flag: plain values, under names of their own."""
    members = dict(node.members())
    for name, member in members.items():
        if name in RESERVED:
            member.problem(f"this name is taken by what every answer tells: {', '.join(sorted(RESERVED))}")
        elif not isinstance(member.value, str | bool) and not is_number(member.value):
            member.expected("text, a number, true or false")
    return {name: member.value for name, member in members.items()}


def _watched(node: Node) -> dict[str, Any]:
    """The number of the time for which the flag's rollout is watched: each unit that meets it is told of then."""
    number = node.whole("a whole number from 1")
    if number is not None and number < 1:
        node.expected("a whole number from 1")
    return {"monitored": number}


def _prerequisites(node: Node, others: Mapping[str, Flag]) -> Needs:
    needs = []
    for item in node.items("a list of prerequisites"):
        fields = item.fields(("flag", "variants"))
        if fields is None:
            continue
        key = fields["flag"].value
        flag = others.get(key) if isinstance(key, str) else None
        if flag is None:
            fields["flag"].problem(f"there is no flag {fields['flag'].shown} that can be used")
            continue
        known = dict.fromkeys(flag.variants)
        wanted = {read_variant(variant, known) for variant in fields["variants"].items("a list of variants")}
        needs.append((flag, frozenset(name for name in wanted if name is not None)))
    return tuple(needs)


# From rules to one closure


def _decide(
    reading: Reading, enabled: bool, default: str | None, rules: tuple[Rule, ...], needs: Needs
) -> Decide:
    if not enabled:
        return _fixed(Evaluation(None, None, DISABLED, None, None, reading.metadata))
    if default is None:
        otherwise = Evaluation(None, None, DEFAULT, None, None, reading.metadata)
    else:
        otherwise = reading.answer(default, DEFAULT if rules or needs else STATIC)
    decide = _by_time(rules, otherwise) if rules else _fixed(otherwise)
    return _guarded(decide, needs, otherwise) if needs else decide


def _fixed(answer: Evaluation) -> Decide:
    return lambda _, __: answer


def _first_of(rules: tuple[Rule, ...], otherwise: Evaluation) -> Decide:
    """The answer of the first rule that applies. A rule without its unit is passed over, and said if none does."""
    steps: tuple[tuple[Test | None, Choose], ...] = tuple((rule.test, rule.choose) for rule in rules)
    if len(steps) == 1:
        return _only(*steps[0], otherwise)

    def decide(context: Context, _: Clock) -> Evaluation:
        last = otherwise
        for test, choose in steps:
            if test is None or test(context):
                answer = choose(context)
                if answer is not None:
                    if answer.error_code is None:
                        return answer
                    last = answer
        return last

    return decide


def _only(test: Test | None, choose: Choose, otherwise: Evaluation) -> Decide:
    """`_first_of` one rule, which most flags have, without its loop."""
    if test is None:
        return lambda context, _: choose(context) or otherwise
    return lambda context, _: (choose(context) or otherwise) if test(context) else otherwise


def _times(rules: tuple[Rule, ...]) -> list[float]:
    """When a rule begins or ends to be in force."""
    return sorted({edge for rule in rules for edge in rule.interval} - set(ALWAYS))


def _by_time(rules: tuple[Rule, ...], otherwise: Evaluation) -> Decide:
    """What is in force changes at given times only: one closure for each stretch between them."""
    times = _times(rules)
    stretches = [
        _first_of(tuple(rule for rule in rules if rule.interval[0] <= start < rule.interval[1]), otherwise)
        for start in (ALWAYS[0], *times)
    ]
    if not times:
        return stretches[0]

    def decide(context: Context, clock: Clock) -> Evaluation:
        return stretches[bisect_right(times, clock())](context, clock)

    return decide


def _guarded(decide: Decide, needs: Needs, otherwise: Evaluation) -> Decide:
    """Served only where the other flags give one of the wanted variants."""
    needed = tuple((flag.decide, wanted) for flag, wanted in needs)

    def guarded(context: Context, clock: Clock) -> Evaluation:
        for decide_other, wanted in needed:
            if decide_other(context, clock).variant not in wanted:
                return otherwise
        return decide(context, clock)

    return guarded
