"""YAML as people expect it: ``on`` and ``off`` are words, and a key given twice is a mistake."""

import re
from collections.abc import Hashable, Mapping
from math import inf
from typing import Any

import yaml

from upshot.errors import PlanError


class _Loader(yaml.SafeLoader):
    """SafeLoader with the booleans of YAML 1.2 (variants are often called on and off) and no twin keys.

    Days and times stay the text that was written: the types of the model read them, conditions compare them.
    Not the quicker loader in C: it ends the process where text is nested too deep.
    """


_READ_ELSEWHERE = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _READ_ELSEWHERE]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, f"{key} is no name", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"{key} is given twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


MAX_NODES = 2_000_000
"""What a text may hold once its aliases are written out: a few of them can stand for more than memory holds."""


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values a node is; one that holds itself is endless."""
    if id(node) not in known:
        known[id(node)] = inf
        parts = (
            [part for pair in node.value for part in pair]
            if isinstance(node, yaml.MappingNode)
            else (node.value if isinstance(node, yaml.SequenceNode) else ())
        )
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def read_yaml(text: str, where: str) -> Any:
    """The plain values a YAML (or JSON) text holds. Raises PlanError with the line that does not parse."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None and _size(node, {}) > MAX_NODES:
            raise PlanError([f"its aliases make it more than {MAX_NODES:,} values: write fewer"], where)
        return None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise PlanError([f"{line}{error.problem or error.context}: mend the YAML there"], where) from error
    except RecursionError:
        raise PlanError(["this is nested too deep to be read: write it flatter"], where) from None
    except (
        yaml.YAMLError,
        ValueError,
        KeyError,
        AttributeError,
    ) as error:  # a tag that its text does not fit
        raise PlanError([f"this is not YAML ({error}): mend it"], where) from error


def read_yaml_files(texts: Mapping[str, str]) -> tuple[dict[str, object], list[str]]:
    """The plain values of each file that can be read, and what is wrong with the others, one sentence each."""
    plain: dict[str, object] = {}
    problems: list[str] = []
    for file, text in texts.items():
        try:
            plain[file] = read_yaml(text, file)
        except PlanError as error:
            problems += [f"{file}: {problem}" for problem in error.problems]
    return plain, problems


class _Dumper(yaml.SafeDumper):
    """SafeDumper that writes every text so that it reads back the same."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Rare line ends are only kept between double quotes, where they are escaped."""
    style = '"' if any(end in text for end in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def write_yaml(value: object) -> str:
    """YAML text in the order of the keys."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
