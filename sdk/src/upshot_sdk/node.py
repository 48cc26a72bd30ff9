"""A place in a payload that is being read: its value, its path, and the problems found at it.

Readers ask a node for what it should be; what it is not becomes a problem with its path, and reading goes on,
so that one pass finds them all.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from reprlib import Repr

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_SHORT = Repr()
_SHORT.maxstring = 60
_SHORT.maxlong = 40
_SHORT.maxother = 160


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a payload: where, and what to mend."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class RulesetError(ValueError):
    """A payload cannot be used; ``problems`` lists everything that is wrong with it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class Node:
    """A value of a payload and how it was reached."""

    __slots__ = ("_key", "_parent", "_problems", "value")

    def __init__(
        self, value: object, problems: list[Problem], parent: "Node | None" = None, key: str | int = ""
    ) -> None:
        self.value = value
        self._problems = problems
        self._parent = parent
        self._key = key

    @property
    def path(self) -> str:
        """Such as ``flags.checkout.rules[0].when``; the whole payload is ``ruleset``."""
        if self._parent is None:
            return "ruleset"
        above = self._parent.path.removeprefix("ruleset")
        if isinstance(self._key, str) and _PLAIN.match(self._key):
            return f"{above}.{self._key}".lstrip(".")
        return f"{above}[{shortened(self._key)}]"

    def problem(self, message: str) -> None:
        self._problems.append(Problem(self.path, message))

    @property
    def shown(self) -> str:
        """The value, shortened."""
        return shortened(self.value)

    def expected(self, what: str) -> None:
        self.problem(f"{self.shown} is not {what}")

    def child(self, key: str | int, value: object) -> "Node":
        return Node(value, self._problems, self, key)

    def apart(self) -> "Node":
        """The same place with a list of problems of its own."""
        return Node(self.value, [], self._parent, self._key)

    @property
    def problems(self) -> list[Problem]:
        return self._problems

    def fields(self, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> "dict[str, Node] | None":
        """The members of an object that may have these and no other; None (and a problem) otherwise."""
        if not isinstance(self.value, Mapping):
            self.expected(f"an object with {', '.join(required + optional)}")
            return None
        for name in self.value:
            if name not in required and name not in optional:
                known = ", ".join(required + optional)
                self.child(str(name), None).problem(f"unknown field: the fields here are {known}")
        missing = [name for name in required if name not in self.value]
        for name in missing:
            self.problem(f"the field {name} is missing")
        if missing:
            return None
        return {
            name: self.child(name, self.value[name])
            for name in required + optional
            if self.value.get(name, None) is not None or name in required
        }

    def members(self) -> "Iterator[tuple[str, Node]]":
        """The members of an object whose names are data."""
        if not isinstance(self.value, Mapping):
            self.expected("an object")
            return
        for name, value in self.value.items():
            if isinstance(name, str):
                yield name, self.child(name, value)
            else:
                self.problem(f"the name {shortened(name)} is not text")

    def items(self, what: str = "a list") -> "Iterator[Node]":
        if not isinstance(self.value, list | tuple):
            self.expected(what)
            return
        for index, value in enumerate(self.value):
            yield self.child(index, value)

    def text(self, what: str = "text") -> str | None:
        """Non-empty text that has a UTF-8 form."""
        if isinstance(self.value, str) and self.value and encodable(self.value):
            return self.value
        self.expected(what)
        return None

    def number(self, what: str = "a number") -> int | float | None:
        if is_number(self.value):
            return self.value  # type: ignore[return-value]  # is_number cannot narrow to "not a boolean"
        self.expected(what)
        return None

    def whole(self, what: str) -> int | None:
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return self.value
        self.expected(what)
        return None

    def flag(self) -> bool | None:
        if isinstance(self.value, bool):
            return self.value
        self.expected("true or false")
        return None


def shortened(value: object) -> str:
    """A value for a message: cut where it is long, and never an error of its own."""
    return _SHORT.repr(value)


def is_number(value: object) -> bool:
    """A finite number; a boolean is none."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
