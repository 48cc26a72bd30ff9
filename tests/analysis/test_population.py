"""Who is in the data, and what is said of it."""

import ibis
import pytest

from upshot.analysis.population import sentence
from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.errors import DataError
from upshot.model.metric import Metric

METRIC = Metric(name="spent", column="spent", kind="mean")


def _read(rows, **fields):
    known = {"variant": "variant", "control": "a", "metrics": (METRIC,), "unit": "user"}
    table = ibis.memtable(
        [dict(zip(("user", "variant", "spent"), row, strict=True)) for row in rows],
        schema={"user": "int64", "variant": "string", "spent": "float64"},
    )
    return read_evidence(table, Question(**(known | fields)))


def test_repeated_rows_conflicts_and_strays_are_counted_apart():
    found = _read(
        [
            (1, "a", 2.0),
            (1, "a", 2.0),  # says the same again
            (2, "b", 3.0),
            (2, "b", 4.0),  # says more
            (3, "a", 1.0),
            (3, "b", 1.0),  # in both
            (4, None, 9.0),
            (None, "a", 9.0),
        ]
    )
    assert dict(found.total.units) == {"a": 1, "b": 1}
    assert (found.duplicate_rows, found.conflicts, found.missing_unit, found.missing_variant) == (1, 1, 1, 1)
    assert found.total.samples["spent"]["b"].moments.mean() == 7.0
    assert found.understood[:3] == (
        "8 rows, gathered to one row for each user",
        "1 row without user left out",
        "1 unit without variant left out",
    )


def test_a_row_without_variant_does_not_hide_the_variant_of_its_unit():
    found = _read([(1, "a", 2.0), (1, None, 3.0), (2, "b", 1.0)])
    assert found.total.samples["spent"]["a"].moments.mean() == 5.0
    assert (found.missing_variant, found.conflicts) == (0, 0)


def test_without_a_unit_every_row_is_one():
    found = _read([(1, "a", 2.0), (1, "b", 2.0), (1, None, 2.0)], unit=None)
    assert dict(found.total.units) == {"a": 1, "b": 1}
    assert (found.duplicate_rows, found.missing_variant) == (None, 1)
    assert found.understood[0] == "3 rows, each row is a unit"


def test_a_column_of_many_values_is_no_variant():
    with pytest.raises(DataError, match="40 values, more than 20 variants"):
        _read([(i, "a" if i == 0 else f"v{i}", 1.0) for i in range(40)])


@pytest.mark.parametrize(
    ("metric", "several", "said"),
    [
        (METRIC, False, "spent: mean of spent, higher is better"),
        (METRIC, True, "spent: mean per unit of its sum of spent, higher is better"),
        (
            Metric(name="clicked", column="action", value="click", kind="proportion"),
            True,
            "clicked: share of units with any row where action is click, higher is better",
        ),
        (
            Metric(name="basket", column="spent", kind="ratio", per="orders", better="lower"),
            False,
            "basket: sum of spent over sum of orders, lower is better",
        ),
        (
            Metric(name="p95", column="wait", kind="quantile", quantile=0.95),
            False,
            "p95: p95 of wait, higher is better",
        ),
    ],
)
def test_a_metric_is_said_as_it_was_understood(metric, several, said):
    assert sentence(metric, "user", several) == said
