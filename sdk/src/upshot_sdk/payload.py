"""Reading a payload whole: what is shared first, then each flag after the flags that it needs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from upshot_sdk.allocation import overlapping, read_ranges, read_unit
from upshot_sdk.fingerprint import digest, fingerprint
from upshot_sdk.flags import Flag, prerequisite_keys, read_flag
from upshot_sdk.node import Node, Problem
from upshot_sdk.rules import Claim, Holdout, Shared
from upshot_sdk.targeting import MAX_COST, MAX_DEPTH, Condition, read_condition, segment_names

FORMAT = 1
HASH = "md5/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A payload that was read.

    Attributes:
        revision: its name. flags: those that can be used, compiled, in the payload's order.
        unusable: the others, with their problems as one text. problems: everything that is wrong.
        usable: whether the flags can be used at all; False where the payload is no ruleset of this format.
        fingerprints: flag -> what tells its states apart.
    """

    revision: str = ""
    flags: dict[str, Flag]
    unusable: dict[str, str]
    problems: tuple[Problem, ...]
    usable: bool
    fingerprints: Mapping[str, bytes] = field(default_factory=dict)


def read_payload(value: object) -> Payload:
    """Read and compile a payload, with all its problems."""
    top = Node(value, [])
    fields = top.fields(("format", "revision", "hash", "flags"), ("segments", "layers", "holdouts"))
    if fields is None or not _envelope(fields):
        return Payload(flags={}, unusable={}, problems=tuple(top.problems), usable=False)
    revision = fields["revision"].text("text") or ""
    shared = Shared(
        segments=_segments(fields["segments"]) if "segments" in fields else {},
        layers=dict(_layers(fields["layers"])) if "layers" in fields else {},
        holdouts=dict(_holdouts(fields["holdouts"])) if "holdouts" in fields else {},
    )
    common = digest([fields[name].value for name in ("segments", "layers", "holdouts") if name in fields])
    flags, unusable, prints = _flags(fields["flags"], revision, shared, common)
    problems = (*top.problems, *(problem for found in unusable.values() for problem in found))
    told = {key: "; ".join(map(str, found)) for key, found in unusable.items()}
    return Payload(
        revision=revision, flags=flags, unusable=told, problems=problems, usable=True, fingerprints=prints
    )


def _envelope(fields: Mapping[str, Node]) -> bool:
    """Whether this is a ruleset that this evaluator can understand."""
    if fields["format"].value != FORMAT or isinstance(fields["format"].value, bool):
        fields["format"].expected(f"a format that is known: it is {FORMAT}")
    if fields["hash"].value != HASH:
        fields["hash"].expected(f"a hash that is known: it is {HASH}")
    if not isinstance(fields["flags"].value, Mapping):
        fields["flags"].expected("an object of flags")
    return not fields["flags"].problems


def _segments(node: Node) -> dict[str, Condition]:
    """Compiled segments by name; one that cannot be read is left out."""
    nodes = dict(node.members())
    compiled: dict[str, Condition] = {}
    for name in _in_order(nodes, lambda inner: segment_names(inner.value), "segments"):
        inner = nodes[name].apart()
        fields = inner.fields(("when",))
        condition = read_condition(fields["when"], compiled) if fields else None
        if condition and (condition.depth > MAX_DEPTH or condition.cost > MAX_COST):
            inner.problem(
                f"with the segments it names it costs {condition.cost:,} and nests {condition.depth} deep: "
                f"{MAX_COST:,} and {MAX_DEPTH} are allowed"
            )
        if condition and not inner.problems:
            compiled[name] = condition
        node.problems.extend(inner.problems)
    return compiled


def _layers(node: Node) -> Iterator[tuple[str, str]]:
    for name, layer in node.members():
        fields = layer.fields(("salt",))
        salt = fields["salt"].text("a salt") if fields else None
        if salt is not None:
            yield name, salt


def _holdouts(node: Node) -> Iterator[tuple[str, Holdout]]:
    for name, holdout in node.members():
        fields = holdout.fields(("salt", "ranges"), ("unit",))
        salt = fields["salt"].text("a salt") if fields else None
        if fields and salt is not None:
            yield name, Holdout(salt=salt, unit=read_unit(fields), ranges=read_ranges(fields["ranges"]))


def _flags(
    node: Node, revision: str, shared: Shared, common: bytes
) -> tuple[dict[str, Flag], dict[str, list[Problem]], dict[str, bytes]]:
    nodes = {key: inner.apart() for key, inner in node.members()}
    compiled: dict[str, Flag] = {}
    claims: dict[str, tuple[Claim, ...]] = {}
    prints: dict[str, bytes] = {}
    for key in _in_order(nodes, lambda inner: prerequisite_keys(inner.value), "flags"):
        needed = sorted(prerequisite_keys(nodes[key].value))
        prints[key] = fingerprint(nodes[key].value, [prints.get(other, b"") for other in needed], common)
        flag, claims[key] = read_flag(key, nodes[key], revision, shared, compiled)
        if flag is not None:
            compiled[key] = flag
    _check_layers(claim for key in nodes for claim in claims.get(key, ()))
    unusable = {key: inner.problems for key, inner in nodes.items() if inner.problems}
    return {key: compiled[key] for key in nodes if key not in unusable}, unusable, prints


def _in_order(nodes: Mapping[str, Node], needs: Callable[[Node], set[str]], what: str) -> Iterator[str]:
    """Names so that each comes after those it needs; those that need each other in a circle are refused."""
    graph = {name: sorted(needs(node) & nodes.keys()) for name, node in nodes.items()}
    while True:
        try:
            order = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            circle = list(reversed(error.args[1]))
            for name in dict.fromkeys(circle):
                nodes[name].problem(f"these {what} need each other in a circle: {' -> '.join(circle)}")
                del graph[name]
            graph = {name: [other for other in needed if other in graph] for name, needed in graph.items()}
        else:
            yield from order
            return


def _check_layers(claims: Iterable[Claim]) -> None:
    """Experiments of one layer own different draws, on the same unit."""
    by_layer: dict[str, list[Claim]] = {}
    for claim in claims:
        by_layer.setdefault(claim.layer, []).append(claim)
    for first, *others in by_layer.values():
        for claim in others:
            if claim.unit != first.unit:
                claim.node.problem(
                    f"{claim.experiment} draws on {claim.unit} but {first.experiment}, in the same layer, "
                    f"on {first.unit}: neither would keep units out of the other"
                )
        _check_owned([first, *others])


def _check_owned(claims: list[Claim]) -> None:
    while clash := overlapping((claim.experiment, claim.ranges) for claim in claims):
        later = [claim for claim in claims if claim.experiment in clash[:2]][-1]
        later.node.problem(f"{clash[0]} and {clash[1]} both own the draw {clash[2]} of this layer")
        claims.remove(later)
