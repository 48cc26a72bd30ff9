"""Evidence from events: held to pandas, to the analysis it feeds, and to hand-made numbers of every worked metric."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from upshot.analysis.analyze import analyze
from upshot.analysis.contract import analysis_to_dict
from upshot.analysis.encode import evidence_from_dict, evidence_to_dict
from upshot.analysis.event_evidence import event_evidence
from upshot.analysis.event_question import EventQuestion, bound
from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.errors import DataError
from upshot.formats.catalogue import catalogue
from upshot.model.event_metric import EventMetric
from upshot.model.metric import Metric
from upshot.model.plan import Plan

BEGIN = pd.Timestamp("2026-01-01", tz="UTC")

SHOP = """
metrics:
  bought: {kind: proportion, event: Order, window: 3d}
  revenue: {kind: mean, event: Order, value: usd, window: 3d, covariate: 2d, cap: 99%}
  basket: {kind: ratio, event: Order, value: usd, denominator: Order, window: 3d}
  slow: {kind: quantile, event: Load, value: ms, quantile: 90%, window: 3d, better: lower}
"""


@pytest.fixture(scope="module")
def shop():
    """Frames of exposures and events of 600 units; treatment buys more, and its pages are slower. Seed 5."""
    rng = np.random.default_rng(5)
    units = 600
    exposures = pd.DataFrame(
        {
            "unit_id": [f"u{i}" for i in range(units)],
            "variant": rng.choice(["control", "treatment"], units),
            "time": BEGIN + pd.to_timedelta(rng.integers(0, 6 * 86_400, units), unit="s"),
            "attributes": [json.dumps({"country": str(one)}) for one in rng.choice(["CA", "US"], units)],
        }
    )
    size = 6_000
    whose = rng.integers(0, units, size)
    treated = (exposures["variant"].to_numpy() == "treatment")[whose]
    event = np.where(rng.random(size) < np.where(treated, 0.4, 0.3), "Order", "Load")
    events = pd.DataFrame(
        {
            "type": "track",
            "event": event,
            "user_id": [f"u{i}" for i in whose],
            "time": BEGIN + pd.to_timedelta(rng.integers(-3 * 86_400, 9 * 86_400, size), unit="s"),
            "usd": np.where(event == "Order", np.round(rng.lognormal(3, 1, size), 2), np.nan),
            "ms": np.where(event == "Load", rng.integers(50, 900, size) + 250 * treated, np.nan),
        }
    )
    values = zip(events["usd"], events["ms"], strict=True)
    events["properties"] = [
        json.dumps({"usd": usd} if usd == usd else {"ms": float(ms)}) for usd, ms in values
    ]
    return exposures, events


@pytest.fixture(scope="module")
def tables(shop):
    connection = ibis.duckdb.connect()
    exposures, events = shop
    done = pa.Table.from_pandas(events.drop(columns=["usd", "ms"]), preserve_index=False)
    for name in ("anonymous_id", "group_id"):
        done = done.append_column(name, pa.nulls(len(events), pa.string()))
    return (
        connection.create_table("exposures", pa.Table.from_pandas(exposures, preserve_index=False)),
        connection.create_table("events", done),
    )


def units_by_pandas(shop, as_of, days=3):
    """What the shop's metrics are for each unit, by merging and grouping frames."""
    exposures, events = shop
    window = pd.Timedelta(days=days)
    first = exposures[exposures["time"] < as_of].rename(columns={"time": "first", "unit_id": "user_id"})
    rows = events[events["time"] < as_of].merge(first[["user_id", "first"]], on="user_id")
    inside = rows[(rows["time"] >= rows["first"]) & (rows["time"] < rows["first"] + window)]
    before = rows[(rows["time"] < rows["first"]) & (rows["time"] >= rows["first"] - pd.Timedelta(days=2))]
    orders = inside[inside["event"] == "Order"].groupby("user_id")["usd"]
    units = first.set_index("user_id")
    units["revenue"] = orders.sum()
    units["orders"] = orders.count()
    units["before"] = before.groupby("user_id")["usd"].sum()
    units = units.fillna({"revenue": 0.0, "orders": 0.0, "before": 0.0})
    units["bought"] = (units["orders"] > 0).astype(int)
    ripe = units["first"] + window <= as_of
    units.loc[~ripe, ["revenue", "orders", "bought"]] = np.nan
    loads = inside[(inside["event"] == "Load") & inside["user_id"].isin(units.index[ripe])]
    return units.reset_index(), loads


@pytest.mark.parametrize("days", [30, 6])
def test_evidence_is_what_pandas_makes_of_the_same_events(shop, tables, event_question, days):
    as_of = BEGIN + pd.Timedelta(days=days)
    question = event_question(SHOP, hours=24 * days, segments=("country",))
    found = event_evidence(*tables, question)
    units, loads = units_by_pandas(shop, as_of)
    metrics = (
        Metric(name="bought", column="bought", kind="proportion"),
        Metric(name="revenue", column="revenue", kind="mean", covariates=("before",), cap=0.99),
        Metric(name="basket", column="revenue", kind="ratio", per="orders"),
    )
    frame = ibis.memtable(units.drop(columns="first"))
    wanted = read_evidence(
        frame, Question(variant="variant", control="control", metrics=metrics, unit="user_id")
    )
    assert found.total.units == wanted.total.units
    for name in ("bought", "revenue", "basket"):
        for variant in ("control", "treatment"):
            one, other = found.total.samples[name][variant], wanted.total.samples[name][variant]
            assert (one.moments.n, one.immature, one.missing) == (other.moments.n, other.missing, 0)
            np.testing.assert_allclose(one.moments.means, other.moments.means, rtol=1e-9)
            np.testing.assert_allclose(one.moments.cross, other.moments.cross, rtol=1e-8, atol=1e-9)
            assert one.cap == pytest.approx(other.cap) if other.cap else one.cap is None
    arm = dict(zip(units["user_id"], units["variant"], strict=True))
    for variant in ("control", "treatment"):
        own = loads[loads["user_id"].map(arm) == variant]
        sample = found.total.samples["slow"][variant].quantile
        assert sample.estimate == pytest.approx(np.quantile(own["ms"], 0.9))
        assert (sample.n, sample.rows) == (own["user_id"].nunique(), len(own))
    parts = found.segments["country"].values()
    assert (
        sum(part.samples["slow"]["control"].quantile.rows for part in parts)
        == found.total.samples["slow"]["control"].quantile.rows
    )


def test_units_that_are_not_ripe_are_counted_and_are_no_information(tables, event_question, shop):
    question = event_question(SHOP, hours=24 * 5)
    evidence = event_evidence(*tables, question)
    ripe = shop[0][shop[0]["time"] + pd.Timedelta(days=3) <= BEGIN + pd.Timedelta(days=5)][
        "variant"
    ].value_counts()
    assert evidence.matured == ripe.to_dict()
    plan = Plan(metrics=evidence.metrics, planned_units=300, monitoring="group_sequential", minimum_days=1)
    analysis = analyze(plan, evidence)
    assert analysis.progress.units == ripe.to_dict()
    assert analysis.look.information == pytest.approx(ripe.sum() / 600)
    assert sum(analysis.look.units.values()) > ripe.sum()
    check = next(one for one in analysis.checks if one.name == "missing_outcomes")
    assert check.status == "pass"
    plain = analysis_to_dict(analysis)["metrics"][0]["variants"]["control"]
    assert plain["n"] + plain["immature"] == evidence.total.units["control"]
    waiting = (
        evidence.total.samples["bought"]["control"].immature
        + evidence.total.samples["bought"]["treatment"].immature
    )
    assert f"bought: {waiting} units whose window is not over yet left out" in evidence.understood


def test_all_that_is_built_works_on_events(shop, tables, event_question):
    question = event_question(SHOP, hours=24 * 30)
    metrics = (
        Metric(name="bought", column="bought"),
        Metric(name="revenue", column="revenue"),
        Metric(name="basket", column="basket", role="secondary"),
        Metric(name="slow", column="slow", role="guardrail", margin=0.02),
        Metric(name="limit", column="slow", role="guardrail", maximum=850),
    )
    evidence = event_evidence(*tables, replace(question, metrics=metrics))
    analysis = analyze(
        Plan(metrics=evidence.metrics, final=True), evidence_from_dict(evidence_to_dict(evidence))
    )
    by_name = {one.name: one for one in analysis.metrics}
    units, loads = units_by_pandas(shop, BEGIN + pd.Timedelta(days=30))
    bought = units.groupby("variant")["bought"].agg(["sum", "count"])
    (comparison,) = by_name["bought"].comparisons
    assert comparison.effect == pytest.approx((bought["sum"] / bought["count"]).diff().iloc[-1])
    pooled = bought["sum"].sum() / bought["count"].sum()
    error = np.sqrt(pooled * (1 - pooled) * (1 / bought["count"]).sum())
    assert comparison.p_value == pytest.approx(2 * stats.norm.sf(abs(comparison.effect / error)))
    assert by_name["revenue"].comparisons[0].variance_reduction is not None
    assert by_name["revenue"].comparisons[0].p_value is not None
    slow = by_name["slow"].comparisons[0]
    assert slow.effect > 0
    assert slow.p_value < 0.01
    assert slow.guardrail.state == "harmed"
    limit = by_name["limit"].comparisons[0].guardrail
    treated = loads[
        loads["user_id"].map(dict(zip(units["user_id"], units["variant"], strict=True))) == "treatment"
    ]
    assert limit.state == "harmed"
    assert "share of values beyond 850" in limit.sentence
    over = (treated["ms"] > 850).mean()
    assert f"{100 * over:.0f}%" in limit.sentence


def test_a_unit_of_two_variants_is_left_out_and_counted(event_tables, event_question):
    tables = event_tables(
        [
            ("u", "control", 0, {}),
            ("v", "treatment", 0, {}),
            ("w", "control", 0, {}),
            ("w", "treatment", 9, {}),
        ],
        [("w", "Buy", 1, {}), ("u", "Buy", 1, {})],
    )
    evidence = event_evidence(*tables, event_question("metrics: {n: {kind: count, event: Buy}}"))
    assert (evidence.conflicts, evidence.total.units) == (1, {"control": 1, "treatment": 1})
    assert evidence.total.samples["n"]["control"].moments.mean() == 1


def test_a_plan_adds_role_and_limit_and_the_definition_all_else():
    definition = EventMetric(
        name="aov", kind="ratio", event="Order", value="usd", covariate=timedelta(days=7), cap=0.99, better="lower",
        denominator=catalogue()["session_duration"].denominator, horizon="lagging",
    )  # fmt: skip
    (metric,) = bound(Metric(name="basket", column="aov", role="guardrail", margin=0.1), definition)
    assert metric == Metric(
        name="basket", column="aov", kind="ratio", per="aov per", role="guardrail", margin=0.1, better="lower",
        covariates=("aov before", "aov per before"), cap=0.99, horizon="lagging",
    )  # fmt: skip
    limits = {"maximum": "lower", "minimum": "higher"}
    for limit, better in limits.items():
        (metric,) = bound(Metric(name="a", column="aov", role="guardrail", **{limit: 3.0}), definition)
        assert metric.better == better


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "mean"}, "its kind is 'mean' here, and its definition over events says proportion"),
        ({"per": "sessions"}, "its per is 'sessions' here, and its definition over events says none"),
        ({"covariates": ("before",)}, "its covariates is"),
        ({"better": "lower"}, "lower is better here, and higher in its definition"),
    ],
)
def test_a_plan_that_says_something_else_than_the_definition_is_refused(fields, said):
    definition = catalogue()["conversion_rate"]
    with pytest.raises(DataError, match=f"metric bought: {said}"):
        bound(Metric(name="bought", column="conversion_rate", **fields), definition)
    (whole,) = bound(Metric(name="bought", column="conversion_rate"), definition)
    assert bound(whole, definition) == (whole,)


def test_what_cannot_be_asked_is_told(event_tables, event_question):
    question = event_question("metrics: {bought: {kind: count, event: Buy}}")
    with pytest.raises(DataError, match="metric bougt: it is not defined over events; did you mean bought"):
        event_evidence(*event_tables([], []), replace(question, metrics=(Metric(name="a", column="bougt"),)))
    with pytest.raises(DataError, match="nobody was exposed to EXP-9 before 2027-02-05"):
        event_evidence(*event_tables([("u", "control", 0, {})], []), replace(question, experiment="EXP-9"))


# Every worked metric on made-up events, with the number that a person counts

TWO = {"a": ("control", 0), "b": ("control", 0), "c": ("treatment", 0), "d": ("treatment", 0)}
DAY = 24
EVENTS = [
    ("a", "Order Completed", 5, {"revenue": 30}),
    ("a", "Order Completed", 3 * DAY, {"revenue": 10}),
    ("b", "Order Completed", 10 * DAY, {"revenue": 60}),
    ("b", "Order Completed", 60 * DAY, {"revenue": 100}),
    ("a", "Order Completed", -DAY, {"revenue": 7}),
    ("a", "Signed Up", 1, {}),
    ("a", "Onboarding Completed", 2, {}),
    ("a", "Feature Used", 3, {"feature": "new-editor", "core": True}),
    ("b", "Signed Up", 1, {}),
    ("b", "Feature Used", 2, {"feature": "old-editor", "core": True}),
    ("b", "Onboarding Completed", 3, {}),
    ("b", "Feature Viewed", DAY, {"feature": "new-editor"}),
    ("a", "Session Ended", 1, {"duration": 100, "engaged": True}),
    ("a", "Session Ended", 30, {"duration": 20, "engaged": False}),
    ("b", "Session Ended", 3, {"duration": 30}),
    ("b", "Session Ended", 4, {}),
    ("b", "Application Crashed", 6, {}),
    ("a", "Page Loaded", 1, {"load_ms": 100}),
    ("a", "Page Loaded", 2, {"load_ms": 300}),
    ("b", "Page Loaded", 2, {"load_ms": 500}),
    ("b", "Page Loaded", 3, {}),
    ("a", "Product Shared", 20, {}),
    ("a", "Invite Sent", 21, {}),
    ("a", "Invite Sent", 22, {}),
    ("b", "Invite Sent", 22, {}),
    ("a", "Invite Accepted", 40, {}),
    ("a", "App Opened", 25, {}),
    ("a", "App Opened", 7 * DAY + 1, {}),
    ("b", "App Opened", 30 * DAY + 1, {}),
]  # fmt: skip

COUNTED = {
    "conversion_rate": 1 / 2,  # a; b bought on day 10
    "activation": 1 / 2,  # a; b used the feature before its onboarding was over
    "revenue_per_user": (30 + 10 + 60) / 2,
    "engagement_rate": 1 / 4,
    "session_duration": (100 + 20 + 30) / 3,
    "feature_adoption": 1 / 2,
    "feature_discovery": 1 / 2,
    "time_to_first_order": (5 + 7 * 24) / 2,
    "crash_rate": 1 / 2,
    "load_time_p95": 480.0,  # of 100, 300, 500: nine tenths of the way from 300 to 500
    "load_time_mean": 300.0,
    "churn": 0 / 2,  # a came on day 7, b bought on day 10
    "retention_d1": 2 / 2,  # what b did after 24 hours, to the minute, is on day 1
    "retention_d7": 1 / 2,
    "retention_d30": 1 / 2,
    "ltv": (30 + 10 + 60 + 100) / 2,
    "share_rate": 1 / 2,
    "invite_acceptance": 1 / 3,
    "k_factor": 1 / 2,
}


def test_every_worked_metric_gives_the_number_that_a_person_counts(event_tables):
    assert set(COUNTED) == set(catalogue())
    question = EventQuestion(
        definitions=catalogue(),
        metrics=tuple(Metric(name=name, column=name) for name in catalogue()),
        as_of=datetime(2026, 12, 1, tzinfo=UTC),
    )
    exposures = [(unit, variant, hour, {}) for unit, (variant, hour) in TWO.items()]
    evidence = event_evidence(*event_tables(exposures, EVENTS), question)
    analysis = analyze(Plan(metrics=evidence.metrics, final=True), evidence)
    found = {one.name: one.variants["control"].mean for one in analysis.metrics if one.name in COUNTED}
    # what is winsorised has its cap from 4 units here, just below the largest value
    capped = {name for name, metric in catalogue().items() if metric.cap}
    assert found == pytest.approx({**COUNTED, **{name: found[name] for name in capped}})
    for name in capped:
        assert evidence.total.samples[name]["control"].uncapped.mean() == pytest.approx(COUNTED[name])
    steps = {one.name: one.variants["control"].mean for one in analysis.metrics if "step" in one.name}
    assert steps == {"activation step 1": 1.0, "activation step 2": 1.0, "activation step 3": 0.5}
    assert (
        evidence.total.samples["revenue_per_user"]["control"].moments.mean("revenue_per_user before") == 3.5
    )
