"""Exact tests of 2x2 tables against scipy and against every table counted one by one."""

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import boschloo_exact, fisher_exact

from upshot.stats.exact import boschloo, fisher
from upshot.stats.fixed import SMALLEST


@st.composite
def tables(draw, largest):
    n_c, n_t = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    return draw(st.integers(0, n_c)), n_c, draw(st.integers(0, n_t)), n_t


def square(x_c, n_c, x_t, n_t):
    return [[x_t, x_c], [n_t - x_t, n_c - x_c]]


@given(tables(300))
def test_fisher_as_by_scipy(table):
    assert fisher(*table) == pytest.approx(fisher_exact(square(*table)).pvalue, rel=1e-7)


@settings(max_examples=25, deadline=None)
@given(tables(25))
def test_boschloo_as_by_scipy_with_a_fine_search(table):
    theirs = boschloo_exact(square(*table), n=256).pvalue
    if np.isnan(theirs):  # scipy gives none where a row of the table is empty
        assert boschloo(*table) == 1.0
    else:
        assert boschloo(*table) == pytest.approx(theirs, rel=1e-4)


def test_fisher_tasting_tea():
    """Fisher (1935): 3 of 4 cups right; both sides 34/70."""
    assert fisher(1, 4, 3, 4) == pytest.approx(34 / 70, rel=1e-12)


def enumerated(x_c, n_c, x_t, n_t):
    """Boschloo's p on one side by counting all tables, on a grid of shares."""

    def one_sided(c, t):
        ways = [
            (comb(n_t, k) * comb(n_c, c + t - k), k) for k in range(max(0, c + t - n_c), min(n_t, c + t) + 1)
        ]
        return sum(w for w, k in ways if k >= t) / sum(w for w, _ in ways)

    here = one_sided(x_c, x_t) * (1 + 1e-9)
    extreme = [(c, t) for c, t in product(range(n_c + 1), range(n_t + 1)) if one_sided(c, t) <= here]
    shares = np.linspace(0.001, 0.999, 999)
    size = sum(
        comb(n_c, c) * comb(n_t, t) * shares ** (c + t) * (1 - shares) ** (n_c + n_t - c - t)
        for c, t in extreme
    )
    return size.max()


def test_boschloo_is_the_largest_size_over_the_common_share():
    assert boschloo(1, 10, 8, 10) == pytest.approx(2 * enumerated(1, 10, 8, 10), rel=1e-5)
    assert boschloo(1, 10, 8, 10) < fisher(1, 10, 8, 10)


@settings(max_examples=25, deadline=None)
@given(tables(30))
def test_exchanging_the_arms_changes_nothing_and_p_stays_in_its_range(table):
    x_c, n_c, x_t, n_t = table
    assert boschloo(x_t, n_t, x_c, n_c) == pytest.approx(boschloo(*table), rel=1e-5)
    for p in (boschloo(*table), fisher(*table)):
        assert SMALLEST <= p <= 1.0


@pytest.mark.parametrize("n", [8, 15])
def test_boschloo_keeps_its_level_at_every_common_share(n):
    """The size of the test at 5%, summed exactly over all tables: no share exceeds 5%."""
    rejected = np.array([[boschloo(c, n, t, n) <= 0.05 for t in range(n + 1)] for c in range(n + 1)])
    ways = np.array([comb(n, k) for k in range(n + 1)], dtype=float)
    for share in np.linspace(0.01, 0.99, 99):
        chance = ways * share ** np.arange(n + 1) * (1 - share) ** np.arange(n, -1, -1)
        assert chance @ rejected @ chance <= 0.05 + 1e-9
