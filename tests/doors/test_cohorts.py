"""`upshot look --cohorts`: a made novelty is seen through every door, and through none where the plan is sealed."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

FILES = {
    "metrics/shop.yaml": """
tables:
  orders: {url: orders.parquet, unit: user_id, time: ordered_at}
exposures: {url: seen.parquet, unit: user_id, variant: variant, time: seen_at}
metrics:
  orders: {kind: count, table: orders, window: 4d}
  back: {kind: retention, table: orders, day: 1}
""",
    "plan.yaml": """
monitoring: always_valid
planned_units: 700
minimum_days: 7
floor: 300
split: {control: 1, treatment: 1}
metrics: {primary: [orders], secondary: [back]}
""",
    "sealed.yaml": """
monitoring: fixed
planned_units: 700000
start: 2026-03-02
end: 2026-04-30
split: {control: 1, treatment: 1}
metrics: {primary: [orders], secondary: [back]}
""",
}
UNITS = 1500
BEGIN = pd.Timestamp("2026-03-02", tz="UTC")
AS_OF = pd.Timestamp("2026-03-12", tz="UTC")


def seen():
    """Seed 21."""
    rng = np.random.default_rng(21)
    at = BEGIN + pd.to_timedelta(rng.integers(0, 6 * 86_400, UNITS), unit="s")
    variant = rng.choice(["control", "treatment"], UNITS)
    return pd.DataFrame({"user_id": [f"u{i}" for i in range(UNITS)], "variant": variant, "seen_at": at})


def ordered(units):
    """Only on the first day does the variant make more of them: a novelty. Seed 22."""
    rng = np.random.default_rng(22)
    rows = []
    for unit, variant, at in units.itertuples(index=False):
        for day in range(7):
            rate = 0.5 if variant == "treatment" and day == 0 else 0.2
            rows += [
                (unit, at + pd.Timedelta(days=day, seconds=int(second)))
                for second in rng.integers(0, 86_400, rng.poisson(rate))
            ]
    return pd.DataFrame(rows, columns=["user_id", "ordered_at"])


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    place = tmp_path_factory.mktemp("workspace")
    for name, text in FILES.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    units = seen()
    for name, frame in (("seen", units), ("orders", ordered(units))):
        pa.parquet.write_table(pa.Table.from_pandas(frame), place / f"{name}.parquet")
    return place


def look(place, experiment, *arguments, code=0):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UPSHOT_")}
    asked = [sys.executable, "-m", "upshot", "look", experiment, "--as-of", AS_OF.isoformat(), *arguments]
    done = subprocess.run(
        asked, cwd=place, capture_output=True, text=True, env=clean | {"COLUMNS": "80"}, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


def by_hand(days):
    """The orders of each unit on each of these days since its exposure, of units that have the day behind them."""
    units = seen()
    done = ordered(units).merge(units, on="user_id")
    done["day"] = (done.ordered_at - done.seen_at) // pd.Timedelta(days=1)
    for day in days:
        mine = units[units.seen_at + pd.Timedelta(days=day + 1) <= AS_OF].set_index("user_id")
        told = done[(done.day == day)].groupby("user_id").size().reindex(mine.index).fillna(0)
        yield day, {name: told[mine.variant == name].to_numpy() for name in ("control", "treatment")}


def test_every_door_shows_the_novelty(workspace):
    reports = ("--report", "look.html", "--report", "look.md")
    shown = look(workspace, "EXP-1", "--plan", "plan.yaml", "--cohorts", *reports)
    for text in (shown, *((workspace / f"look.{kind}").read_text("utf-8") for kind in ("html", "md"))):
        assert "orders by day of first exposure" in text
        assert "orders by days since exposure" in text
        assert "Who came back: rows of orders, by days since exposure" in text
        assert "back by day of first exposure" in text or text is shown
    plain = json.loads(look(workspace, "EXP-1", "--cohorts", "--json"))["cohorts"]
    trend = next(one for one in plain["trends"] if (one["metric"], one["by"]) == ("orders", "days_since"))
    for (day, values), point in zip(by_hand(range(4)), trend["points"], strict=True):
        control, treatment = values["control"], values["treatment"]
        assert (point["at"], point["units"]) == (day, {"control": len(control), "treatment": len(treatment)})
        assert point["effect"] == pytest.approx(treatment.mean() - control.mean())
        error = (control.var(ddof=1) / len(control) + treatment.var(ddof=1) / len(treatment)) ** 0.5
        assert (point["interval"][1] - point["interval"][0]) / 2 == pytest.approx(1.96 * error, rel=0.01)
        assert (point["lift_interval"][0] > 0.3) == (day == 0)
    (triangle,) = plain["returns"]
    assert [len(row["shares"]) for row in triangle["rows"]] == [9, 9, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4]
    assert "cohorts" not in json.loads(look(workspace, "EXP-1", "--json"))


def test_nothing_of_it_is_shown_where_the_plan_is_sealed(workspace):
    reports = ("--report", "sealed.html", "--report", "sealed.md")
    shown = look(workspace, "EXP-2", "--plan", "sealed.yaml", "--cohorts", *reports)
    for text in (shown, *((workspace / f"sealed.{kind}").read_text("utf-8") for kind in ("html", "md"))):
        assert "Cohort views: it is sealed until" in text.replace("\n   ", " ")
        for view in ("by day of first exposure", "by days since exposure", "Who came back"):
            assert view not in text
    plain = json.loads(look(workspace, "EXP-2", "--cohorts", "--json"))
    assert (plain["is_sealed"], plain["cohorts"]["trends"], plain["cohorts"]["returns"]) == (True, [], [])
    assert set(plain["cohorts"]["reasons"]) == {"trends", "returns"}


def test_a_look_that_is_given_again_has_no_events_to_tell_them_by(workspace):
    look(workspace, "EXP-3", "--plan", "plan.yaml")
    said = look(workspace, "EXP-3", "--replay", "1", "--cohorts", code=2)
    assert "--cohorts with --replay: a look is given again as it was, leave this out" in said
