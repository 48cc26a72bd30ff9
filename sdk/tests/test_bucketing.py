"""The draw: against hashlib, uniform, independent, and found in ranges as a plain scan finds it."""

import hashlib
import importlib.util
import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import chdtrc

from upshot_sdk import bucketing, draws
from upshot_sdk.bucketing import SPACE, Partition, digester, unit_text

IDS = 100_000


@pytest.fixture(scope="module")
def drawn():
    """Split and traffic draws of 100,000 ids under ten salts: array (10, 2, IDS)."""
    salts = [f"exp-{number}" for number in range(10)]
    words = [b"".join(digester(salt)(f"user-{unit}")[:8] for unit in range(IDS)) for salt in salts]
    return np.array([np.frombuffer(word, ">u4").reshape(IDS, 2).T for word in words])


@given(st.text(), st.text())
def test_draws_are_the_first_two_words_of_the_md5(salt, unit_id):
    words = hashlib.md5(f"{salt}.{unit_id}".encode()).hexdigest()
    assert draws(salt, unit_id) == (int(words[:8], 16), int(words[8:16], 16))


def test_draws_are_uniform_over_100_cells(drawn):
    """20 draws of 100,000 ids; Bonferroni over them at a family level of 0.001."""
    cells = (drawn.astype(np.uint64) * 100) >> 32
    counts = np.array([np.bincount(draw, minlength=100) for draw in cells.reshape(-1, IDS)])
    statistic = ((counts - IDS / 100) ** 2 / (IDS / 100)).sum(axis=1)
    assert chdtrc(99, statistic).min() > 0.001 / len(statistic)


def test_arms_of_two_experiments_and_traffic_and_split_are_independent(drawn):
    """Over 45 pairs of salts, and between the two draws of one salt, |phi| stays within 4.5 / sqrt(n)."""
    arms = np.where(drawn < SPACE // 2, 1, -1)
    between = [(arms[a, 0] * arms[b, 0]).mean() for a, b in itertools.combinations(range(10), 2)]
    within = [(arm[0] * arm[1]).mean() for arm in arms]
    assert len(between) == 45
    assert np.abs(between + within).max() < 4.5 / np.sqrt(IDS)


def test_neighbouring_salts_and_ids_do_not_correlate():
    """FNV-1a fails this: the arm of exp-2 tells that of exp-3 in 76% of units."""
    arms = [[draws(f"exp-{salt}", str(unit))[0] < SPACE // 2 for unit in range(10_000)] for salt in (2, 3)]
    same = sum(a == b for a, b in zip(*arms, strict=True))
    assert abs(same - 5_000) < 4.5 * 50


@st.composite
def allocations(draw):
    edges = sorted(draw(st.sets(st.sampled_from([0, 1, 255, 256, 2**31, SPACE - 1, SPACE]) | st.integers(0, SPACE),
                                min_size=2, max_size=12)))  # fmt: skip
    owners = draw(st.lists(st.sampled_from("abc") | st.none(), min_size=len(edges), max_size=len(edges)))
    return [
        (owner, [piece]) for owner, piece in zip(owners, itertools.pairwise(edges), strict=False) if owner
    ]


@given(allocations(), st.integers(0, SPACE - 1), st.binary(max_size=12))
def test_a_partition_finds_the_owner_that_a_scan_finds(held, at, more):
    edges = [edge for _, [piece] in held for edge in piece]
    for number in [at, *(near for edge in edges for near in (edge - 1, edge) if 0 <= near < SPACE)]:
        scanned = [owner for owner, [(start, end)] in held if start <= number < end]
        assert Partition(held).owner(number.to_bytes(4, "big") + more) == (scanned[0] if scanned else None)


@given(st.integers(-(2**200), 2**200))
def test_integers_are_units_in_decimal(number):
    assert unit_text(number) == str(number)


@pytest.mark.parametrize("value", [None, True, 1.0, float("nan"), b"a", [], {}, "\ud800", object()])
def test_what_cannot_be_a_unit(value):
    assert unit_text(value) is None


def test_an_integer_that_python_will_not_write_is_no_unit():
    assert unit_text(10**5000) is None


def test_without_the_private_module_the_draw_is_the_same(monkeypatch):
    """PyPy and FIPS builds have no `_md5`: hashlib's serves."""
    monkeypatch.setitem(sys.modules, "_md5", None)
    spec = importlib.util.spec_from_file_location("bucketing_without_md5", bucketing.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.md5 is not bucketing.md5
    assert [module.draws("s", unit) for unit in ("a", "é")] == [draws("s", unit) for unit in ("a", "é")]
