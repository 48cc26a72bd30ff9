"""The query against plain Python over the same rows, on two engines, and its SQL on seven."""

import math
from collections import defaultdict
from datetime import date, timedelta

import ibis
import numpy as np
import pytest

from upshot.analysis.query import expression, read_evidence
from upshot.analysis.question import Question
from upshot.errors import DataError
from upshot.model.metric import Metric

ENGINES = ("duckdb", "sqlite")
SCHEMA = {
    "user": "int64",
    "variant": "string",
    "day": "date",
    "country": "string",
    "spent": "float64",
    "bought": "int64",
    "visits": "float64",
    "before": "float64",
}
SPENT = Metric(name="spent", column="spent", kind="mean")
BOUGHT = Metric(name="bought", column="bought")
BASKET = Metric(name="basket", column="spent", kind="ratio", per="visits")
LINE = Metric(name="line", column="spent", kind="ratio", per="rows")
ADJUSTED = Metric(name="adjusted", column="spent", kind="mean", covariates=("before",))
CAPPED = Metric(name="capped", column="spent", kind="mean", cap=0.9)
P90 = Metric(name="p90", column="spent", kind="quantile", quantile=0.9)


def _rows(seed, size=600, users=200, conflicts=True):
    """Many rows a unit with everything that real tables have: gaps, conflicts, rows without unit or variant."""
    rng = np.random.default_rng(seed)
    variants = rng.choice(["control", "treatment"], users)
    befores = [None if rng.random() < 0.2 else float(rng.normal(50, 9)) for _ in range(users)]
    rows = []
    for _ in range(size):
        user = int(rng.integers(users))
        strays = rng.random()
        rows.append(
            {
                "user": None if strays < 0.02 else user,
                "variant": None if 0.02 < strays < 0.04 else str(variants[user]),
                "day": date(2026, 3, 1) + timedelta(days=int(rng.integers(4))),
                "country": rng.choice(["de", "fr", None], p=[0.5, 0.4, 0.1]),
                "spent": None
                if rng.random() < 0.1
                else float(rng.gamma(2.0, 10.0) + (befores[user] or 0) / 9),
                "bought": None if rng.random() < 0.1 else int(rng.random() < 0.3),
                "visits": float(rng.integers(1, 6)),
                "before": befores[user],
            }
        )
        if conflicts and user % 20 == 0:
            rows[-1]["variant"] = str(rng.choice(["control", "treatment"]))
    return rows


def _table(rows, engine, schema=SCHEMA):
    """The rows in an engine."""
    backend = ibis.duckdb.connect() if engine == "duckdb" else ibis.sqlite.connect()
    frame = ibis.memtable(rows, schema=ibis.schema(schema)).to_pyarrow()
    return backend.create_table("data", frame)


def _units(rows):
    """The rows of each unit that is in one variant, and how many units were in several."""
    by_user = defaultdict(list)
    for row in rows:
        if row["user"] is not None:
            by_user[row["user"]].append(row)
    variants = {user: {row["variant"] for row in own} - {None} for user, own in by_user.items()}
    alone = {user: (next(iter(seen)), by_user[user]) for user, seen in variants.items() if len(seen) == 1}
    return alone, sum(len(seen) > 1 for seen in variants.values())


def _present(own, column, how):
    values = [row[column] for row in own if row[column] is not None]
    return how(values) if values else None


def _ask(*metrics, **fields):
    known = {"variant": "variant", "control": "control", "unit": "user", "metrics": metrics}
    return Question(**(known | fields))


def _by_variant(units, what):
    return {
        name: [what(own) for variant, own in units.values() if variant == name]
        for name in ("control", "treatment")
    }


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_means_shares_and_ratios_are_those_of_python(seed, engine):
    rows = _rows(seed)
    units, conflicts = _units(rows)
    found = read_evidence(_table(rows, engine), _ask(SPENT, BOUGHT, BASKET, LINE))
    assert found.conflicts == conflicts > 0
    assert found.missing_unit == sum(row["user"] is None for row in rows) > 0
    assert [metric.kind for metric in found.metrics] == ["mean", "proportion", "ratio", "ratio"]
    sums = _by_variant(units, lambda own: _present(own, "spent", sum))
    shares = _by_variant(units, lambda own: _present(own, "bought", max))
    visits = _by_variant(units, lambda own: sum(row["visits"] for row in own))
    lines = _by_variant(units, lambda own: sum(row["spent"] is not None for row in own))
    for name, own in sums.items():
        assert found.total.units[name] == len(own)
        _agree(found.total.samples["spent"][name], own)
        _agree(found.total.samples["bought"][name], shares[name])
        _agree_in_ratio(found.total.samples["basket"][name], own, visits[name])
        _agree_in_ratio(found.total.samples["line"][name], own, lines[name])
        top = sorted((value for value in own if value is not None), reverse=True)[:10]
        assert found.total.samples["spent"][name].top == pytest.approx(top)


def _agree(sample, values):
    present = np.array([value for value in values if value is not None], float)
    assert sample.missing == len(values) - len(present)
    assert sample.moments.n == len(present)
    assert sample.moments.mean() == pytest.approx(present.mean(), rel=1e-12)
    if len(present) > 1:
        assert sample.moments.var() == pytest.approx(present.var(ddof=1), rel=1e-10)


def _agree_in_ratio(sample, above, below):
    kept = np.array([(a, b) for a, b in zip(above, below, strict=True) if a is not None], float)
    moments = sample.moments
    assert moments.n == len(kept)
    assert moments.means == pytest.approx(kept.mean(axis=0), rel=1e-12)
    assert moments.cross / (len(kept) - 1) == pytest.approx(np.cov(kept.T), rel=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_covariate_with_gaps_explains_what_least_squares_says(engine):
    rows = _rows(4)
    units, _ = _units(rows)
    sums = _by_variant(units, lambda own: _present(own, "spent", sum))
    befores = _by_variant(units, lambda own: own[0]["before"])
    found = read_evidence(_table(rows, engine), _ask(ADJUSTED)).total.samples["adjusted"]
    for name, own in sums.items():
        pairs = [(y, x) for y, x in zip(own, befores[name], strict=True) if y is not None]
        outcome = np.array([y for y, _ in pairs])
        gap = np.array([x is None for _, x in pairs], float)
        filled = np.array([x or 0.0 for _, x in pairs])
        design = np.column_stack([np.ones_like(gap), filled, gap])
        residual = outcome - design @ np.linalg.lstsq(design, outcome, rcond=None)[0]
        moments = found[name].moments
        assert moments.names == ("outcome", "before", "before missing")
        assert moments.mean("before missing") == pytest.approx(gap.mean())
        slopes = np.linalg.solve(moments.cross[1:, 1:], moments.cross[0, 1:])
        explained = moments.cross[0, 0] - slopes @ moments.cross[0, 1:]
        assert explained == pytest.approx(residual @ residual, rel=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_segments_and_days_hold_every_unit_once(engine):
    rows = _rows(5)
    units, _ = _units(rows)
    found = read_evidence(_table(rows, engine), _ask(SPENT, BOUGHT, P90, segments=("country",), time="day"))
    by_country, by_day = defaultdict(list), defaultdict(list)
    for variant, own in units.values():
        if variant == "control":
            country = _present(own, "country", min) or "(none)"
            by_country[country].append(_present(own, "spent", sum))
            by_day[min(row["day"] for row in own)].append(_present(own, "spent", sum))
    assert set(found.segments["country"]) == set(by_country)
    assert set(found.days) == set(by_day)
    for parts, wanted in ((found.segments["country"], by_country), (found.days, by_day)):
        assert sum(part.units["control"] for part in parts.values()) == found.total.units["control"]
        for label, values in wanted.items():
            _agree(parts[label].samples["spent"]["control"], values)
            present = [value for value in values if value is not None]
            assert parts[label].samples["p90"]["control"].quantile.n == len(present)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_cap_is_pooled_over_the_variants(engine):
    rows = _rows(6, users=600, size=600, conflicts=False)
    rows = [row | {"user": i, "variant": row["variant"] or "control"} for i, row in enumerate(rows)]
    found = read_evidence(_table(rows, engine), _ask(CAPPED)).total.samples["capped"]
    pooled = np.array([row["spent"] for row in rows if row["spent"] is not None])
    cap = found["control"].cap
    assert cap == found["treatment"].cap
    assert cap == pytest.approx(np.quantile(pooled, 0.9), rel=1e-12)
    for name, sample in found.items():
        own = np.array([row["spent"] for row in rows if row["variant"] == name and row["spent"] is not None])
        assert sample.capped_units == (own > cap).sum()
        assert sample.moments.mean() == pytest.approx(np.minimum(own, cap).mean(), rel=1e-12)
        assert sample.uncapped.mean() == pytest.approx(own.mean(), rel=1e-12)
        assert sample.uncapped.var() == pytest.approx(own.var(ddof=1), rel=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_small_variance_far_from_zero_keeps_its_digits(engine):
    cycle = (1e9 - 2, 1e9 - 1, 1e9, 1e9 + 1, 1e9 + 2)  # population variance 2
    rows = [
        {"user": i, "variant": ("control", "treatment")[i % 2], "spent": cycle[(i // 2) % 5]}
        for i in range(30_010)
    ]
    schema = {name: SCHEMA[name] for name in ("user", "variant", "spent")}
    found = read_evidence(_table(rows, engine, schema), _ask(SPENT)).total.samples["spent"]
    for sample in found.values():
        n = sample.moments.n
        assert sample.moments.mean() == 1e9
        assert sample.moments.var() == pytest.approx(2 * n / (n - 1), rel=1e-12)
        assert not sample.moments.precision_lost


@pytest.mark.parametrize("engine", ENGINES)
def test_no_infinite_value_becomes_a_number(engine):
    rows = _rows(7)
    rows[3]["spent"] = math.inf
    with pytest.raises(DataError, match="spent"):
        read_evidence(_table(rows, engine), _ask(SPENT))


@pytest.mark.parametrize(
    "dialect", ["duckdb", "sqlite", "postgres", "clickhouse", "bigquery", "snowflake", "databricks"]
)
def test_the_query_compiles_for_every_engine(dialect):
    rows = _rows(8)
    query = expression(
        _table(rows, "duckdb"),
        _ask(SPENT, BOUGHT, BASKET, LINE, ADJUSTED, CAPPED, segments=("country",), time="day"),
    )
    sql = ibis.to_sql(query.unbind(), dialect=dialect)
    assert "GROUP BY" in sql.upper()
    assert "UNION ALL" in sql.upper()


def test_empty_text_and_a_missing_value_are_one_segment():
    rows = _rows(11, size=200, users=10_000, conflicts=False)
    for i, row in enumerate(rows):
        row["country"] = ("de", "", None)[i % 3]
    found = read_evidence(_table(rows, "duckdb"), _ask(SPENT, P90, segments=("country",)))
    parts = found.segments["country"]
    assert set(parts) == {"de", "(none)"}
    for name, units in found.total.units.items():
        assert sum(part.units[name] for part in parts.values()) == units
        none = parts["(none)"]
        assert none.samples["p90"][name].quantile.n == none.samples["spent"][name].moments.n


def test_declared_variants_bound_who_is_read():
    rows = _rows(9, conflicts=False)
    for row in rows[:30]:
        row["user"], row["variant"] = 10_000 + rows.index(row), "old"
    split = {"control": 1.0, "treatment": 1.0, "third": 1.0}
    found = read_evidence(_table(rows, "duckdb"), _ask(SPENT, split=split))
    assert found.unknown == {"old": 30}
    assert found.unseen == ("third",)
    assert found.total.samples["spent"]["third"].moments.n == 0
    assert found.total.units["third"] == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"control": "ctrl"}, "control is 'ctrl'"),
        ({"where": "country = 'xx'"}, "there are no rows where country = 'xx'"),
        ({"where": "nonsense ="}, "it is no condition over this table"),
        ({"where": "variant = 'control'"}, "a comparison needs a second variant"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(fields, message):
    with pytest.raises(DataError, match=message) as caught:
        read_evidence(_table(_rows(10), "duckdb"), _ask(SPENT, **fields))
    assert "\n" not in str(caught.value)
