from datetime import date

import ibis
import numpy as np
import pandas as pd
import polars as pl
import pytest

import upshot


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(3)
    n = 3000
    group = np.where(np.arange(n) % 2 == 0, "control", "treatment")
    before = rng.gamma(2, 10, n)
    return {
        "user_id": np.arange(n), "group": group, "converted": rng.random(n) < np.where(group == "control", 0.1, 0.15),
        "revenue": before + rng.normal(0, 5, n), "revenue_before": before, "clicks": rng.poisson(3, n),
    }  # fmt: skip


def analyze(data):
    return upshot.analyze(
        data, unit="user_id", variant="group",
        metrics=[upshot.Proportion("converted"), upshot.Mean("revenue", covariate="revenue_before")],
    )  # fmt: skip


def test_every_kind_of_frame_gives_the_same_result(columns):
    pandas = analyze(pd.DataFrame(columns)).to_dict()
    assert analyze(pl.DataFrame(columns)).to_dict() == pandas
    assert analyze(pl.DataFrame(columns).to_arrow()).to_dict() == pandas
    con = ibis.duckdb.connect()
    assert analyze(con.create_table("t", pl.DataFrame(columns).to_arrow())).to_dict() == pandas


def test_sqlite_runs_the_same_expression(columns, tmp_path):
    con = ibis.sqlite.connect(tmp_path / "data.sqlite")
    con.create_table("visits", pl.DataFrame(columns).to_arrow())
    con.disconnect()
    here, there = analyze(pl.DataFrame(columns)).to_dict(), analyze(tmp_path / "data.sqlite").to_dict()
    for one, other in zip(here["metrics"], there["metrics"], strict=True):
        for a, b in zip(one["comparisons"], other["comparisons"], strict=True):
            assert b["effect"] == pytest.approx(a["effect"], rel=1e-9)
            assert b["p_value"] == pytest.approx(a["p_value"], rel=1e-9)


def test_a_notebook_shows_a_table_and_a_chart(columns):
    result = analyze(pd.DataFrame(columns))
    html = result._repr_html_()
    assert "converted" in html
    assert "<svg" in html
    assert "SHIP" in str(result)
    assert repr(result) == f"<upshot.Result {result.verdict}: {result.headline}>"
    assert "<html" in result.to_html()
    assert "## Decision" in result.to_markdown()
    assert "scipy" in result.explain()


def test_all_kinds_and_roles(columns):
    result = upshot.analyze(
        pl.DataFrame(columns), unit="user_id", variant="group", metrics=["converted"],
        secondary=[upshot.Ratio("revenue", "clicks", name="per_click"), upshot.Count("clicks")],
        guardrails=[upshot.Quantile("revenue", 0.9, maximum=500.0, name="p90")], minimum_effect=0.1,
    )  # fmt: skip
    roles = {one["name"]: one["role"] for one in result.to_dict()["metrics"]}
    assert list(roles.values()).count("secondary") == 2
    guardrail = result.to_dict()["metrics"][-1]["comparisons"][0]["guardrail"]
    assert guardrail["state"] == "held"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"metrics": []}, "at least one outcome"),
        ({"metrics": ["convertd"]}, "did you mean"),
        ({"alpha": 3.0}, "alpha"),
        ({"alfa": 0.1}, "alfa"),
        ({"qualitative": "good"}, "positive or negative"),
        ({"data": object()}, "cannot be read as a table"),
    ],
)
def test_bad_input_is_an_input_error(columns, change, says):
    given = {"data": pl.DataFrame(columns), "variant": "group", "metrics": ["converted"]} | change
    with pytest.raises(upshot.InputError, match=says):
        upshot.analyze(given.pop("data"), **given)


def test_plan_answers_as_the_command_does():
    answer = upshot.plan(0.1, monitoring="fixed", weekly=20_000, today=date(2026, 1, 5))
    assert answer.units == {"control": 57_760, "treatment": 57_760}
    assert answer.days == 42
    assert answer.end == date(2026, 2, 16)
    assert len(answer.ways_out) == 4
    assert (
        upshot.plan(12.5, kind="mean", std=40, r_squared=0.4).total
        < upshot.plan(12.5, kind="mean", std=40).total
    )


@pytest.mark.parametrize(
    ("change", "says"), [({"baseline": 1.1}, "baseline"), ({"alpha": 2}, "alpha"), ({"alfa": 0.1}, "alfa")]
)
def test_a_plan_that_cannot_be_is_an_input_error(change, says):
    with pytest.raises(upshot.InputError, match=says):
        upshot.plan(**{"baseline": 0.1} | change)


def test_public_names_are_there_and_sorted():
    assert sorted(upshot.__all__) == upshot.__all__
    assert all(getattr(upshot, name) is not None for name in upshot.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        upshot.nothing  # noqa: B018
