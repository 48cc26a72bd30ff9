"""Evidence of a table: against NumPy and a plain loop, on DuckDB and SQLite, from any frame, in every part."""

from collections import defaultdict
from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot.analysis.query import expression, read_evidence
from upshot.analysis.question import Question
from upshot.errors import DataError
from upshot.formats.metric_text import parse_metric
from upshot.stats.moments import Moments, merge_all
from upshot.warehouse.sources import open_table


def ask(*metrics, **more):
    return Question(
        **{"variant": "variant", "control": "control", "metrics": tuple(map(parse_metric, metrics))} | more
    )


def close(found, wanted, rtol=1e-9):
    assert found.names == wanted.names
    assert found.n == wanted.n
    np.testing.assert_allclose(found.means, wanted.means, rtol=rtol, atol=1e-12)
    np.testing.assert_allclose(found.cross, wanted.cross, rtol=rtol, atol=1e-9)


@pytest.fixture(scope="module")
def units():
    rng = np.random.default_rng(20261124)
    n = 3000
    before = rng.gamma(2.0, 5.0, n)
    return pd.DataFrame({
        "user_id": np.arange(n),
        "variant": rng.choice(["control", "treatment"], n),
        "converted": rng.integers(0, 2, n),
        "revenue": before + rng.normal(1000, 3, n),
        "before": before,
        "clicks": rng.poisson(2.0, n),
        "views": 1 + rng.poisson(5.0, n),
        "country": rng.choice(["DE", "FR"], n),
        "day": pd.Timestamp("2026-11-02") + pd.to_timedelta(rng.integers(0, 3, n), unit="D"),
    })  # fmt: skip


METRICS = ("converted", "revenue,mean,covariate=before", "clicks,ratio,per=views", "clicks,count,name=n")


def own(frame, name):
    return frame[frame.variant == name]


def wanted_moments(frame):
    return {
        "converted": Moments.from_arrays(frame.converted),
        "revenue": Moments.from_arrays(frame.revenue, covariates={"before": frame.before}),
        "clicks": Moments.from_arrays(frame.clicks, denominator=frame.views),
        "n": Moments.from_arrays(frame.clicks),
    }


@pytest.fixture(params=["duckdb", "sqlite"])
def engine(request, tmp_path):
    if request.param == "duckdb":
        return open_table
    connection = ibis.sqlite.connect(str(tmp_path / "data.sqlite"))
    return lambda frame: connection.create_table("data", ibis.memtable(frame).to_pyarrow(), overwrite=True)


@pytest.mark.parametrize("unit", [None, "user_id"])
def test_sums_are_those_of_numpy_in_every_part(units, engine, unit):
    table = engine(units.drop(columns="day"))
    evidence = read_evidence(table, ask(*METRICS, unit=unit, segments=("country",)))
    for value, part in {"all": evidence.total, **evidence.segments["country"]}.items():
        frame = units if value == "all" else units[units.country == value]
        for name in ("control", "treatment"):
            for metric, moments in wanted_moments(own(frame, name)).items():
                close(part.samples[metric][name].moments, moments)
            assert part.units[name] == len(own(frame, name))
    assert evidence.rows == 3000
    assert evidence.conflicts == evidence.missing_unit == 0


def test_days_of_first_exposure_merge_to_the_whole(units):
    evidence = read_evidence(open_table(units), ask("revenue", time="day"))
    assert list(evidence.days) == [date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 4)]
    for name in ("control", "treatment"):
        parts = [part.samples["revenue"][name].moments for part in evidence.days.values()]
        close(merge_all(parts), evidence.total.samples["revenue"][name].moments)


@pytest.mark.parametrize("text", ["2026-11-02 10:00:00", "2026-11-02T10:00:00Z", "2026-11-02"])
def test_times_may_be_text(text):
    frame = pd.DataFrame({"variant": ["control", "treatment"], "y": [1.5, 2.5], "t": [text, text]})
    assert list(read_evidence(open_table(frame), ask("y", time="t")).days) == [date(2026, 11, 2)]


def test_a_mean_of_a_thousand_million_keeps_the_digits_of_its_variance(engine):
    values = 1e9 + np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    frame = pd.DataFrame(
        {"variant": ["control"] * 5 + ["treatment"] * 5, "y": np.concatenate([values, values])}
    )
    evidence = read_evidence(engine(frame), ask("y"))
    assert evidence.total.samples["y"]["control"].moments.var() == 2.5


def test_the_shift_holds_where_the_first_rows_are_unlike_the_rest():
    """Forty thousand small values come first: the shift of theirs loses no more than the module promises."""
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.normal(0, 1, 40_000), 1e6 + rng.normal(0, 1, 40_000)])
    frame = pd.DataFrame({"variant": ["control", "treatment"] * 40_000, "y": values})
    sample = read_evidence(open_table(frame), ask("y")).total.samples["y"]["control"]
    close(sample.moments, Moments.from_arrays(values[::2]), rtol=1e-12)


def test_missing_values_leave_outcomes_out_and_indicate_covariates(engine):
    frame = pd.DataFrame({
        "variant": ["control"] * 4 + ["treatment"] * 4,
        "y": [1.0, 2.0, None, 4.0, 2.0, 3.0, 5.0, None],
        "x": [1.0, None, 3.0, 2.0, 5.0, 6.0, 7.0, None],
    })  # fmt: skip
    sample = read_evidence(engine(frame), ask("y,mean,covariate=x")).total.samples["y"]["control"]
    assert (sample.moments.n, sample.missing) == (3, 1)
    assert sample.moments.names == ("outcome", "x", "x missing")
    held = {"x": np.array([1.0, np.nanmean(frame.x), 2.0]), "x missing": np.array([0.0, 1.0, 0.0])}
    close(sample.moments, Moments.from_arrays(np.array([1.0, 2.0, 4.0]), covariates=held))


def test_not_a_number_counts_as_missing():
    import pyarrow as pa

    table = pa.table({"variant": ["control"] * 3 + ["treatment"] * 3, "y": [1.5, np.nan, 2.5, 1.0, 4.0, 3.0]})
    sample = read_evidence(open_table(table), ask("y")).total.samples["y"]["control"]
    assert (sample.moments.n, sample.missing, sample.moments.mean()) == (2, 1, 2.0)


def test_infinite_values_are_refused():
    frame = pd.DataFrame({"variant": ["control", "treatment"] * 2, "y": [1.0, 2.0, np.inf, 3.0]})
    with pytest.raises(DataError, match="metric y: its values in 'y' are infinite"):
        read_evidence(open_table(frame), ask("y"))


rows_of_units = st.lists(
    st.tuples(
        st.integers(0, 5),  # unit
        st.sampled_from(["control", "treatment", None]),
        st.one_of(st.none(), st.integers(0, 1)),
        st.one_of(st.none(), st.integers(-4, 9)),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=12, deadline=None)
@given(rows_of_units)
def test_many_rows_a_unit_are_gathered_as_a_plain_loop_gathers_them(rows):
    rows = [*rows, (98, "control", 1, 3), (99, "treatment", 0, 2)]
    variants, any_, sums, counted = defaultdict(set), defaultdict(list), defaultdict(list), defaultdict(int)
    for unit, variant, flag, value in rows:
        variants[unit] |= {variant} - {None}
        any_[unit] += [] if flag is None else [flag]
        sums[unit] += [] if value is None else [value]
        counted[unit] += value is not None
    frame = pd.DataFrame(rows, columns=["u", "variant", "flag", "value"]).astype(
        {"flag": "Int64", "value": "Float64"}
    )
    metrics = ("flag,proportion", "value,mean", "value,ratio,per=rows,name=per_row")
    evidence = read_evidence(open_table(frame), ask(*metrics, unit="u"))
    assert evidence.conflicts == sum(len(found) > 1 for found in variants.values())
    for name in ("control", "treatment"):
        mine = [unit for unit, found in variants.items() if found == {name}]
        assert evidence.total.units[name] == len(mine)
        samples = {metric: found[name].moments for metric, found in evidence.total.samples.items()}
        close(samples["flag"], _moments([max(any_[unit]) for unit in mine if any_[unit]]))
        totals = [sum(sums[unit]) for unit in mine if sums[unit]]
        close(samples["value"], _moments(totals))
        if totals:
            below = [counted[unit] for unit in mine if sums[unit]]
            close(samples["per_row"], Moments.from_arrays(totals, denominator=below))


def _moments(values):
    return Moments.from_arrays(np.array(values, dtype=float)) if values else Moments.empty()


def test_who_is_left_out_is_counted():
    frame = pd.DataFrame({
        "u": ["a", "a", "b", "c", "c", None, "d", "e"],
        "variant": ["control", "control", "treatment", "control", "treatment", "control", None, "other"],
        "y": [1, 1, 0, 1, 1, 1, 1, 1],
    })  # fmt: skip
    split = {"control": 1.0, "treatment": 1.0, "third": 1.0}
    evidence = read_evidence(open_table(frame), ask("y", unit="u", split=split))
    assert evidence.variants == ("control", "third", "treatment")
    assert dict(evidence.total.units) == {"control": 1, "third": 0, "treatment": 1}
    assert (evidence.conflicts, evidence.missing_unit, evidence.missing_variant) == (1, 1, 1)
    assert (evidence.duplicate_rows, evidence.unseen, evidence.unknown) == (1, ("third",), {"other": 1})
    assert evidence.understood[0] == "8 rows, gathered to one row for each u"


@pytest.mark.parametrize("order", ["as drawn", "ascending", "few"])
def test_the_ten_largest_are_exact(order):
    rng = np.random.default_rng(9)
    values = rng.integers(0, 60, 90_000).astype(float) ** 2
    values = {"ascending": np.sort(values), "few": values[:12]}.get(order, values)
    frame = pd.DataFrame({"variant": np.resize(["control", "treatment"], len(values)), "y": values})
    evidence = read_evidence(open_table(frame), ask("y,mean"))
    for name in ("control", "treatment"):
        largest = np.sort(own(frame, name).y)[::-1][:10]
        assert evidence.total.samples["y"][name].top == tuple(largest)


def test_a_cap_is_one_pooled_quantile(units):
    evidence = read_evidence(open_table(units), ask("revenue,mean,cap=99%,covariate=before"))
    cap = np.quantile(units.revenue, 0.99)
    for name in ("control", "treatment"):
        sample, frame = evidence.total.samples["revenue"][name], own(units, name)
        assert sample.cap == pytest.approx(cap)
        assert sample.capped_units == (frame.revenue > cap).sum()
        held = {"before": frame.before}
        close(sample.moments, Moments.from_arrays(np.minimum(frame.revenue, cap), covariates=held))
        close(sample.uncapped, Moments.from_arrays(frame.revenue, covariates=held))


def test_quantiles_are_read_in_every_part(units):
    evidence = read_evidence(open_table(units), ask("revenue,p95", segments=("country",)))
    frame = units[(units.variant == "control") & (units.country == "DE")]
    sample = evidence.segments["country"]["DE"].samples["revenue"]["control"]
    assert sample.quantile.n == len(frame)
    assert sample.quantile.low <= np.quantile(frame.revenue, 0.95) <= sample.quantile.high


def test_clusters_are_summed(units):
    frame = units.assign(shop=units.index // 30)
    frame["variant"] = np.where(frame.shop % 2, "control", "treatment")
    evidence = read_evidence(open_table(frame), ask("revenue", cluster="shop"))
    assert evidence.clusters == {"control": 50, "treatment": 50}
    totals = evidence.total.samples["revenue"]["control"].clusters
    sums = own(frame, "control").groupby("shop").revenue.sum()
    np.testing.assert_allclose(np.sort(totals.outcomes), np.sort(sums))
    assert totals.mean == pytest.approx(own(frame, "control").revenue.mean())


def test_value_and_where(units):
    frame = units.assign(action=np.where(units.converted == 1, "click", "view"))
    evidence = read_evidence(open_table(frame), ask("action,value=click", where="country = 'DE'"))
    german = frame[(frame.country == "DE") & (frame.variant == "control")]
    assert evidence.total.samples["action"]["control"].moments.mean() == pytest.approx(
        german.converted.mean()
    )


@pytest.mark.parametrize("frame_of", ["pandas", "polars", "pyarrow", "ibis"])
def test_any_frame_will_do(units, frame_of):
    import polars as pl
    import pyarrow as pa

    frame = units[["variant", "revenue"]]
    made = {
        "pandas": lambda: frame,
        "polars": lambda: pl.from_pandas(frame),
        "pyarrow": lambda: pa.Table.from_pandas(frame),
        "ibis": lambda: ibis.duckdb.connect().create_table("t", pa.Table.from_pandas(frame)),
    }[frame_of]()
    evidence = read_evidence(open_table(made), ask("revenue"))
    found = evidence.total.samples["revenue"]["control"].moments
    close(found, Moments.from_arrays(own(units, "control").revenue))


@pytest.mark.parametrize(
    "dialect", ["postgres", "clickhouse", "bigquery", "snowflake", "databricks", "trino"]
)
def test_the_expression_compiles_for_the_warehouses(units, dialect):
    query = expression(open_table(units), ask(*METRICS, unit="user_id", segments=("country",), time="day"))
    sql = str(ibis.to_sql(query, dialect=dialect))
    assert sql.count("GROUP BY") >= 4  # units, all, country, day
    assert "UNION ALL" in sql


def test_the_printed_query_gives_the_same_numbers(units):
    table = open_table(units)
    question = ask(*METRICS, unit="user_id")
    rows = expression(table, question).to_pyarrow().to_pylist()
    evidence = read_evidence(table, question)
    assert {row["_variant"]: row["_units"] for row in rows} == dict(evidence.total.units)
    assert "GROUP BY" in evidence.sql


BAD = {
    "missing column": (ask("revenu"), "there is no column 'revenu'; did you mean 'revenue'?"),
    "missing variant": (ask("revenue", variant="arm"), "variant: there is no column 'arm'; the columns are"),
    "control": (ask("revenue", control="a"), "control is 'a', which no row of 'variant' has"),
    "one variant": (ask("revenue", where="variant = 'control'"), "has only 'control'"),
    "text": (ask("country"), "the column 'country' holds text, not numbers"),
    "where": (ask("revenue", where="revenue >"), "it is no condition over this table"),
    "no rows": (ask("revenue", where="revenue < 0"), "there are no rows where revenue < 0"),
    "no share": (ask("revenue,proportion"), "hold something else than 0 and 1"),
    "many variants": (ask("revenue", variant="user_id", control="1"), "more than 20 variants"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_questions_are_one_sentence(units, case):
    question, says = BAD[case]
    with pytest.raises(DataError) as caught:
        read_evidence(open_table(units), question)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
