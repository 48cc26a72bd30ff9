"""Conditions over a context, compiled to closures.

    {"attr": "plan.tier", "op": "in", "value": ["pro", "team"]}
    {"all": [...]}   {"any": [...]}   {"not": {...}}   {"segment": "early-adopters"}

Compiling finds every mistake; what it gives cannot raise on plain values and takes bounded time. The operators
are in `operators`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

from upshot_sdk.node import Node
from upshot_sdk.operators import OPERATORS

Context = Mapping[str, Any]
Test = Callable[[Context], bool]

MAX_DEPTH = 32
MAX_COST = 2_000  # leaves that one flag may ask, segments and prerequisites counted where they are used
_COSTS = {"regex": 50, "regex_ci": 50, "in_cidr": 4}  # a leaf that is dear counts as so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A compiled condition: whether a context meets it, how many leaves that asks, and how deep it nests."""

    test: Test
    cost: int = 1
    depth: int = 1


EVERYBODY = Condition(test=lambda _: True, cost=0)
NOBODY = Condition(test=lambda _: False)  # stands where a condition could not be read


def attribute(path: str) -> Callable[[Context], Any]:
    """How to read an attribute: a member of that whole name, else member by member along the dots.

    >>> read = attribute("plan.tier")
    >>> read({"plan": {"tier": "pro"}}), read({"plan.tier": "team"}), read({"plan": "pro"})
    ('pro', 'team', None)
    """
    if "." not in path:
        return methodcaller("get", path)
    steps = path.split(".")

    def read(context: Context) -> Any:
        found = context.get(path)
        if found is not None:
            return found
        found = context
        for step in steps:
            if not isinstance(found, Mapping):
                return None
            found = found.get(step)
        return found

    return read


def read_condition(node: Node, segments: Mapping[str, Condition], depth: int = 1) -> Condition:
    """Compile the condition at a node; problems go to the node, and what cannot be read is met by nobody."""
    if depth > MAX_DEPTH:
        node.problem(f"conditions are nested deeper than {MAX_DEPTH}")
        return NOBODY
    if isinstance(node.value, Mapping) and len(node.value) == 1:
        ((form, value),) = node.value.items()
        inner = node.child(str(form), value)
        if form in ("all", "any"):
            return _combined(inner, segments, depth, form == "all")
        if form == "not":
            return _negated(read_condition(inner, segments, depth + 1))
        if form == "segment":
            return _segment(inner, segments)
    return _leaf(node)


def _combined(node: Node, segments: Mapping[str, Condition], depth: int, every: bool) -> Condition:
    parts = [read_condition(item, segments, depth + 1) for item in node.items("a list of conditions")]
    if not parts:
        node.problem("give at least one condition")
        return NOBODY
    tests = tuple(part.test for part in parts)
    if len(tests) == 1:
        return parts[0]
    return Condition(
        test=_all(tests) if every else _any(tests),
        cost=sum(part.cost for part in parts),
        depth=1 + max(part.depth for part in parts),
    )


def _all(tests: tuple[Test, ...]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda context: first(context) and second(context)
    if len(tests) == 3:
        one, two, three = tests
        return lambda context: one(context) and two(context) and three(context)

    def test(context: Context) -> bool:
        for part in tests:  # noqa: SIM110  # a generator would cost more than the conditions
            if not part(context):
                return False
        return True

    return test


def _any(tests: tuple[Test, ...]) -> Test:
    def test(context: Context) -> bool:
        for part in tests:  # noqa: SIM110  # as above
            if part(context):
                return True
        return False

    return test


def _negated(inner: Condition) -> Condition:
    test = inner.test
    return Condition(test=lambda context: not test(context), cost=inner.cost, depth=inner.depth + 1)


def _segment(node: Node, segments: Mapping[str, Condition]) -> Condition:
    if isinstance(node.value, str) and node.value in segments:
        return segments[node.value]
    node.problem(f"there is no segment {node.shown}")
    return NOBODY


def segment_names(condition: object) -> set[str]:
    """The segments that a condition names directly, whatever else is wrong with it."""
    names: set[str] = set()
    left = [condition]
    while left:
        here = left.pop()
        if isinstance(here, Mapping):
            name = here.get("segment")
            names |= {name} if isinstance(name, str) else set()
            left.extend(here.values())
        elif isinstance(here, list | tuple):
            left.extend(here)
    return names


def _leaf(node: Node) -> Condition:
    fields = node.fields(("attr", "op"), ("value",))
    if fields is None:
        return NOBODY
    path, op = fields["attr"].text("the name of an attribute"), fields["op"].value
    if path is None:
        return NOBODY
    if path.count(".") >= MAX_DEPTH:
        fields["attr"].problem(f"the path has more than {MAX_DEPTH} steps")
        return NOBODY
    if not isinstance(op, str) or op not in OPERATORS:
        fields["op"].problem(f"there is no operator {fields['op'].shown}: they are {', '.join(OPERATORS)}")
        return NOBODY
    test = OPERATORS[op](fields.get("value") or node.child("value", None))
    if test is None:
        return NOBODY
    return Condition(test=_asked(path, test), cost=_COSTS.get(op, 1))


def _asked(path: str, test: Callable[[Any], bool]) -> Test:
    read = None if "." not in path else attribute(path)

    def asked(context: Context) -> bool:
        value = context.get(path) if read is None else read(context)
        return value is not None and test(value)

    return asked
