"""What a single condition may ask of an attribute: each operator compiles its operand to a test of a value.

A missing or null attribute meets no operator, the negative ones included, so that SQL, where NULL does the same,
and this evaluator agree. A value of a kind that an operator does not look at does not meet it either.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from upshot_sdk.node import Node, is_number
from upshot_sdk.pattern import PatternError, compile_pattern
from upshot_sdk.semver import Version, version

Test = Callable[[Any], bool]
Compile = Callable[[Node], Test | None]

MAX_LIST = 10_000
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-5][0-9]))?"
)


# A value as text, a number, an instant, a version or an address


def as_text(value: object) -> str | None:
    """Text as given, booleans in lower case, whole numbers without ``.0``; None for all else.

    >>> [as_text(value) for value in ("a", True, 7, 7.0, 0.5, None, [1])]
    ['a', 'true', '7', '7', '0.5', None, None]
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, int | float) or not -1e300 < value < 1e300:
        return None
    return int.__repr__(int(value)) if value == int(value) else float.__repr__(float(value))


def as_number(value: object) -> int | float | None:
    """A finite number, or text that is one as JSON writes it; a boolean is none."""
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value) if len(value) <= 64 else None
        if match is None:
            return None
        value = float(value) if match[1] or match[2] else int(value)
    return value if is_number(value) else None  # type: ignore[return-value]  # a number here


def as_instant(value: object) -> datetime | None:
    """A point in time: RFC 3339 text, an aware datetime, or a date, which is its midnight in UTC."""
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            value = datetime.fromisoformat(value.upper())
        except ValueError:  # the 31st of June
            return None
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, datetime):
        return value if value.tzinfo else None
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    return None


def as_version(value: object) -> Version | None:
    return version(value) if isinstance(value, str) else None


def as_address(value: object) -> IPv4Address | IPv6Address | None:
    """An IP address; an IPv4 address that is written as IPv6 (``::ffff:10.0.0.1``) is itself."""
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        address = ip_address(value)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


# Operands to tests


def _texts(node: Node) -> frozenset[str] | None:
    """The operand of ``in``: a list of text, numbers and booleans."""
    if not isinstance(node.value, list | tuple) or not node.value:
        node.expected("a list of at least one value")
        return None
    if len(node.value) > MAX_LIST:
        node.problem(f"the list has {len(node.value):,} values: {MAX_LIST:,} are allowed")
        return None
    texts = [_operand_text(item) for item in node.items()]
    return frozenset(text for text in texts if text is not None)


def _one_text(node: Node) -> frozenset[str] | None:
    text = _operand_text(node)
    return None if text is None else frozenset((text,))


def _operand_text(node: Node) -> str | None:
    text = as_text(node.value)
    if text is None:
        node.expected("text, a number, true or false")
    return text


def _membership(
    operands: Callable[[Node], frozenset[str] | None], *, negative: bool, fold: bool = False
) -> Compile:
    """``in`` and its kin: by text, and by overlap where the attribute is a list."""

    def compiled(node: Node) -> Test | None:
        given = operands(node)
        if given is None:
            return None
        wanted = frozenset(text.lower() for text in given) if fold else given

        def test(value: Any) -> bool:
            if value.__class__ is str:
                return ((value.lower() if fold else value) in wanted) is not negative
            if isinstance(value, list | tuple | set | frozenset):
                texts = (as_text(item) for item in value)
                return (
                    any((text.lower() if fold else text) in wanted for text in texts if text is not None)
                    is not negative
                )
            text = as_text(value)
            return text is not None and ((text.lower() if fold else text) in wanted) is not negative

        return test

    return compiled


def _comparison(read: Callable[[object], Any], what: str, compare: Callable[[Any, Any], bool]) -> Compile:
    """A test that reads operand and value the same way and compares them."""

    def compiled(node: Node) -> Test | None:
        operand = read(node.value)
        if operand is None:
            node.expected(what)
            return None

        def test(value: Any) -> bool:
            found = read(value)
            return found is not None and compare(found, operand)

        return test

    return compiled


def _number_test(compare: Callable[[Any, Any], bool]) -> Compile:
    def compiled(node: Node) -> Test | None:
        operand = node.number()
        if operand is None:
            return None

        def test(value: Any) -> bool:
            if value.__class__ is not int:  # the usual case needs no reading
                value = as_number(value)
            return value is not None and compare(value, operand)

        return test

    return compiled


def _text_test(has: Callable[[str, str], bool], *, fold: bool = False) -> Compile:
    def compiled(node: Node) -> Test | None:
        wanted = node.text("text of at least one character")
        if wanted is None:
            return None
        needle = wanted.lower() if fold else wanted

        def test(value: Any) -> bool:
            text = as_text(value)
            return text is not None and has(text.lower() if fold else text, needle)

        return test

    return compiled


def _regex(*, fold: bool = False) -> Compile:
    def compiled(node: Node) -> Test | None:
        source = node.text("a pattern")
        if source is None:
            return None
        try:
            search = compile_pattern(source, fold=fold)
        except PatternError as error:
            node.problem(str(error))
            return None

        def test(value: Any) -> bool:
            text = as_text(value)
            return text is not None and search(text)

        return test

    return compiled


def _in_cidr(node: Node) -> Test | None:
    """Networks by version and prefix length, so that 10,000 of them cost no more than their lengths."""
    given = node.value if isinstance(node.value, list | tuple) else [node.value]
    if not given or len(given) > MAX_LIST:
        node.problem(f"the list has {len(given):,} networks: give 1 to {MAX_LIST:,}")
        return None
    networks: dict[tuple[int, int], set[int]] = {}
    for item in node.items() if isinstance(node.value, list | tuple) else (node,):
        try:
            network = ip_network(item.value if isinstance(item.value, str) else "")
        except ValueError:
            item.expected("a network such as 10.0.0.0/8 or 2001:db8::/32 (no bits set behind the prefix)")
            continue
        shift = network.max_prefixlen - network.prefixlen
        networks.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
    return _within(tuple(networks.items()))


def _within(networks: Iterable[tuple[tuple[int, int], set[int]]]) -> Test:
    def test(value: Any) -> bool:
        address = as_address(value)
        if address is None:
            return False
        number = int(address)
        return any(
            version_ == address.version and number >> shift in starts
            for (version_, shift), starts in networks
        )

    return test


def _exists(node: Node) -> Test | None:
    if node.value not in (None, True):
        node.problem(
            'exists takes no value: for an attribute that is absent write {"not": {... "op": "exists"}}'
        )
        return None
    return lambda value: value is not None


def _contains(text: str, needle: str) -> bool:
    return needle in text


_INSTANT_WANTED = "a date (2026-11-24) or an RFC 3339 time with its offset (2026-11-24T09:00:00Z)"
_VERSION_WANTED = "a version such as 1.4.0"

OPERATORS: dict[str, Compile] = {
    "eq": _membership(_one_text, negative=False),
    "ne": _membership(_one_text, negative=True),
    "in": _membership(_texts, negative=False),
    "not_in": _membership(_texts, negative=True),
    "in_ci": _membership(_texts, negative=False, fold=True),
    "not_in_ci": _membership(_texts, negative=True, fold=True),
    "gt": _number_test(gt),
    "gte": _number_test(ge),
    "lt": _number_test(lt),
    "lte": _number_test(le),
    "contains": _text_test(_contains),
    "contains_ci": _text_test(_contains, fold=True),
    "starts_with": _text_test(str.startswith),
    "starts_with_ci": _text_test(str.startswith, fold=True),
    "ends_with": _text_test(str.endswith),
    "ends_with_ci": _text_test(str.endswith, fold=True),
    "regex": _regex(),
    "regex_ci": _regex(fold=True),
    "exists": _exists,
    "before": _comparison(as_instant, _INSTANT_WANTED, lt),
    "after": _comparison(as_instant, _INSTANT_WANTED, gt),
    "in_cidr": _in_cidr,
    "semver_eq": _comparison(as_version, _VERSION_WANTED, eq),
    "semver_ne": _comparison(as_version, _VERSION_WANTED, ne),
    "semver_gt": _comparison(as_version, _VERSION_WANTED, gt),
    "semver_gte": _comparison(as_version, _VERSION_WANTED, ge),
    "semver_lt": _comparison(as_version, _VERSION_WANTED, lt),
    "semver_lte": _comparison(as_version, _VERSION_WANTED, le),
}
