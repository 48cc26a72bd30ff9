"""Versions in the order that semver.org publishes, and against a plain reading of its section 11."""

import functools
import itertools

from hypothesis import given
from hypothesis import strategies as st

from upshot_sdk.semver import version

PUBLISHED = [  # section 11's own chain
    "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
    "1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1",
]  # fmt: skip

identifiers = st.integers(0, 30).map(str) | st.text("abAB0-", min_size=1, max_size=3).filter(
    lambda s: not s.isdigit()
)
versions = st.tuples(
    st.tuples(*[st.integers(0, 12)] * 3), st.lists(identifiers, max_size=3), st.sampled_from(["", "+b.1"])
)


def written(parts):
    numbers, prerelease, build = parts
    return ".".join(map(str, numbers)) + ("-" + ".".join(prerelease) if prerelease else "") + build


def precedence(first, second):
    """Section 11 as it is told: numbers, then a release over a prerelease, then identifier by identifier."""
    if first[0] != second[0]:
        return -1 if first[0] < second[0] else 1
    if not first[1] or not second[1]:
        return bool(second[1]) - bool(first[1])
    for a, b in itertools.zip_longest(first[1], second[1]):
        if a == b:
            continue
        if a is None or b is None:
            return -1 if a is None else 1
        if a.isdigit() != b.isdigit():
            return -1 if a.isdigit() else 1
        return -1 if (int(a) < int(b) if a.isdigit() else a < b) else 1
    return 0


def test_the_published_chain():
    keys = [version(text) for text in PUBLISHED]
    assert all(a < b for a, b in itertools.pairwise(keys))


@given(versions, versions)
def test_precedence(first, second):
    a, b = version(written(first)), version(written(second))
    assert (a > b) - (a < b) == precedence(first, second)


@given(st.text("0123456789.v-+ab ", max_size=12))
def test_reading_never_raises(text):
    key = version(text)
    assert key is None or functools.reduce(lambda a, b: a and b >= 0, key[:3], True)
