"""A compiled set of flags, read by the evaluator that must answer from it; what it refuses is told where it is written.

The payload has other paths than the files: a rule is called by its number there, overrides are rules before all
others, and each step of a schedule is a rule of its own.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from upshot.formats.flag_findings import Finding
from upshot.model.flag import Flag, FlagSet, Rule
from upshot_sdk import Ruleset, RulesetError
from upshot_sdk.node import Node, Problem, shortened

Places = dict[str, tuple[str, str, str, Rule | None]]
"""Path in the payload, longest first -> section, name and path below it in the files, and the rule that it is in."""


def read_ruleset(payload: Mapping[str, Any], flags: FlagSet) -> tuple[Ruleset | None, tuple[Finding, ...]]:
    """The ruleset that a payload is, or everything that the evaluator refuses of the flags that it is made of."""
    try:
        return Ruleset.from_dict(payload), ()
    except RulesetError as error:
        problems = error.problems
    places = dict(sorted(_places(payload, flags), key=lambda place: -len(place[0])))
    echoes = _echoes(flags)
    return None, tuple(_finding(problem, places) for problem in problems if problem.message not in echoes)


def _echoes(flags: FlagSet) -> set[str]:
    """What is said of things that are there and cannot be used: why, is said of them themselves."""
    return {f"there is no segment {shortened(name)}" for name in flags.segments} | {
        f"there is no flag {shortened(key)} that can be used" for key in flags.flags
    }


def _places(
    payload: Mapping[str, Any], flags: FlagSet
) -> Iterator[tuple[str, tuple[str, str, str, Rule | None]]]:
    top = Node(payload, [])
    for section in ("flags", "segments", "layers", "holdouts"):
        for name in payload[section]:
            here = top.child(section, None).child(name, None)
            yield here.path, (section, name, "", None)
            if section == "flags":
                for number, rule in enumerate(_owners(flags.flags[name])):
                    below = f".rules[{rule.id}]" if rule else ".overrides"
                    yield here.child("rules", None).child(number, None).path, (section, name, below, rule)


def _owners(flag: Flag) -> Iterator[Rule | None]:
    """Whose each rule of the payload is; None: of the overrides."""
    yield from (None for _ in set(flag.overrides.values()))
    for rule in flag.rules:
        yield from [rule] * (1 + len(rule.rollout.schedule) if rule.rollout else 1)


def _finding(problem: Problem, places: Places) -> Finding:
    for path, (section, name, below, rule) in places.items():
        rest = problem.path[len(path) :]
        if problem.path.startswith(path) and rest[:1] in ("", ".", "["):
            written = "" if below == ".overrides" else _written(rest, rule)
            return Finding(section=section, name=name, below=below + written, message=problem.message)
    return Finding(section="ruleset", name=problem.path, message=problem.message)


RENAMED = {".default_variant": ".default", ".from": ".starts"}


def _written(rest: str, rule: Rule | None) -> str:
    """The rest of a path as the files have it."""
    if rule and rule.segments and rule.when is not None:
        rest = rest.replace(".when.all[1]", ".when", 1)
    if rule and rule.rollout and rule.rollout.variant is not None and rest.startswith(".rollout.split"):
        return ".rollout.variant"
    return RENAMED.get(rest, rest)
