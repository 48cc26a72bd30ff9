"""Experiments that share units: counted by hand, tested by scipy, drawn by the SDK's own draws."""

import ibis
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from upshot.analysis.overlap import overlaps
from upshot_sdk import draws

HALF = 2**31


def table_of(rows):
    names = ("experiment_id", "unit_id", "variant")
    return ibis.memtable(pa.table({name: pa.array([row[i] for row in rows]) for i, name in enumerate(names)}))


def drawn(experiment, salt, units):
    return [(experiment, f"u{unit}", "ab"[draws(salt, f"u{unit}")[0] < HALF]) for unit in units]


def test_independent_draws_are_none_the_worse_for_sharing_units():
    rows = drawn("EXP-1", "salt-1", range(4000)) + drawn("EXP-2", "salt-2", range(1000, 6000))
    [found] = overlaps(table_of(rows), ("EXP-1", "EXP-2"))
    assert (found.one, found.other, found.units, found.share) == ("EXP-1", "EXP-2", 3000, 0.75)
    counts = np.array([[found.table[a][b] for b in "ab"] for a in "ab"])
    assert found.p_value == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue)
    assert not found.is_dependent


def test_one_salt_for_two_is_dependent():
    rows = drawn("EXP-1", "salt", range(300)) + drawn("EXP-2", "salt", range(300))
    assert overlaps(table_of(rows), ("EXP-1", "EXP-2"))[0].is_dependent
    rows += drawn("EXP-3", "other", range(300))
    mixed = [(name, unit, variant if int(unit[1:]) % 5 else "b") for name, unit, variant in rows]
    found = {(one.one, one.other): one for one in overlaps(table_of(mixed), ("EXP-1", "EXP-2", "EXP-3"))}
    assert found["EXP-1", "EXP-2"].is_dependent


def test_a_layer_keeps_them_apart_and_others_are_not_asked_about():
    rows = (
        drawn("EXP-1", "s", range(100))
        + drawn("EXP-2", "t", range(100, 200))
        + drawn("EXP-9", "s", range(200))
    )
    [found] = overlaps(table_of(rows), ("EXP-1", "EXP-2"))
    assert found.is_apart
    assert (found.share, found.p_value) == (0, None)


def test_a_unit_of_two_variants_is_left_out():
    rows = [
        ("A", "u", "a"),
        ("A", "u", "b"),
        ("B", "u", "a"),
        ("A", "v", "a"),
        ("B", "v", "b"),
        ("B", "v", "b"),
    ]
    [found] = overlaps(table_of(rows), ("A", "B"))
    assert (found.units, found.table) == (1, {"a": {"b": 1}})


def test_a_variant_that_hardly_anybody_met_is_left_out():
    rng = np.random.default_rng(4)
    rows = []
    for unit in range(2000):
        rows.append(("A", f"u{unit}", "ab"[rng.integers(2)] if unit > 3 else "c"))
        rows.append(("B", f"u{unit}", "ab"[rng.integers(2)]))
    [found] = overlaps(table_of(rows), ("A", "B"))
    counts = np.array([[found.table[a][b] for b in "ab"] for a in "ab"])
    assert found.p_value == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue)
    assert found.units == 2000


@pytest.mark.parametrize("experiments", [(), ("A",)])
def test_no_pair_no_overlap(experiments):
    assert overlaps(table_of([("A", "u", "a")]), experiments) == ()
