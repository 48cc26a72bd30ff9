"""Columns by name and type: read as numbers, or refused in one sentence."""

import math

import ibis
import pytest

from upshot.analysis.columns import check_names, missing_column, number, outcome, with_kinds, without_nan
from upshot.analysis.question import Question
from upshot.errors import DataError
from upshot.model.metric import Metric

TABLE = ibis.memtable(
    {
        "yes": [True, False, None],
        "ones": [1, 0, None],
        "shares": [1.0, 0.0, 0.0],
        "money": [2.5, 0.0, None],
        "plan": ["pro", "free", None],
        "broken": [math.nan, 1.0, None],
        "variant": ["a", "b", "a"],
    }
)


def _values(column):
    return TABLE.select(x=column).to_pyarrow()["x"].to_pylist()


def test_booleans_and_integers_are_numbers_and_missing_stays_missing():
    assert _values(number(TABLE, "m", "yes")) == [1.0, 0.0, None]
    assert _values(number(TABLE, "m", "ones")) == [1.0, 0.0, None]
    assert _values(outcome(TABLE, Metric(name="m", column="plan", value="pro"))) == [1.0, 0.0, None]


def test_text_is_refused_with_the_way_out():
    with pytest.raises(DataError, match=r"metric m: the column 'plan' holds text.*plan,value="):
        outcome(TABLE, Metric(name="m", column="plan"))


@pytest.mark.parametrize(
    ("column", "kind"),
    [("yes", "proportion"), ("ones", "proportion"), ("shares", "proportion"), ("money", "mean")],
)
def test_the_values_decide_the_kind(column, kind):
    assert with_kinds(TABLE, (Metric(name="m", column=column),))[0].kind == kind


def test_a_denominator_makes_a_ratio_and_a_false_share_is_refused():
    assert with_kinds(TABLE, (Metric(name="m", column="money", per="ones"),))[0].kind == "ratio"
    with pytest.raises(DataError, match="1 rows of 'money' hold something else than 0 and 1"):
        with_kinds(TABLE, (Metric(name="m", column="money", kind="proportion"),))


def test_nan_is_missing():
    question = Question(variant="variant", control="a", metrics=(Metric(name="m", column="broken"),))
    assert without_nan(TABLE, question)["broken"].to_pyarrow().to_pylist() == [None, 1.0, None]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"variant": "varient"}, "variant: there is no column 'varient'; did you mean 'variant'?"),
        ({"unit": "user"}, "unit: there is no column 'user'; the columns are yes, ones"),
        ({"segments": ("plans",)}, "segment: there is no column 'plans'; did you mean 'plan'?"),
        (
            {"metrics": (Metric(name="m", column="mony"),)},
            "metric m: there is no column 'mony'; did you mean",
        ),
        ({"metrics": (Metric(name="m", column="money", per="one"),)}, "denominator of m: there is no column"),
        ({"metrics": (Metric(name="m", column="money", covariates=("x",)),)}, "covariate of m: there is no"),
    ],
)
def test_a_missing_column_is_named_with_what_was_meant(fields, what):
    known = {"variant": "variant", "control": "a", "metrics": (Metric(name="m", column="money"),)}
    with pytest.raises(DataError) as caught:
        check_names(TABLE, Question(**(known | fields)))
    assert str(caught.value).startswith(what)


def test_far_from_every_name_the_columns_are_listed():
    assert missing_column("unit", "zzz", ["a", "b"]) == "unit: there is no column 'zzz'; the columns are a, b"


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_a_file_that_was_read_as_one_column_is_told_its_separator(mark):
    sentence = missing_column("unit", "user", [f"user{mark}variant{mark}bought"])
    assert f"its separator seems to be {mark!r} (--sep)" in sentence
    assert "separator" not in missing_column("unit", "user", ["visitor"])


def test_numbers_are_no_times():
    question = Question(
        variant="variant", control="a", time="money", metrics=(Metric(name="m", column="money"),)
    )
    with pytest.raises(DataError, match="time: the column 'money' holds numbers, not times"):
        check_names(TABLE, question)
