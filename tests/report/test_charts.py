"""Charts: specifications that draw, and pictures in which positions follow the numbers."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from xml.etree import ElementTree

import pytest

from upshot.analysis.evidence import Histogram
from upshot.report import charts, rows
from upshot.report.charts import Spec
from upshot.report.findings import Findings
from upshot.report.timeline import Point

SVG = "{http://www.w3.org/2000/svg}"
START = date(2026, 3, 2)


def points(n: int = 8) -> list[Point]:
    return [
        Point(day=START + timedelta(days=i), lift=0.05, low=0.05 - w, high=0.05 + w, says=f"day {i}")
        for i, w in enumerate(0.2 / (i + 1) for i in range(n))
    ]


HISTOGRAM = Histogram(edges=(0.0, 1.0, 2.0, 3.0), counts={"control": (1, 2, 1), "treatment": (2, 4, 2)})
SPECS: dict[str, Callable[[Findings], Spec]] = {
    "intervals": lambda won: charts.lift_intervals(rows.of_metrics(won, won.analysis.metrics)),
    "cumulative": lambda _: charts.cumulative_lift(points(), 0.025, "converted"),
    "distribution": lambda _: charts.distribution(HISTOGRAM, ("control", "treatment"), "revenue"),
    "power": lambda _: charts.power_curve([(0.0, 0.05), (0.05, 0.8), (0.1, 0.99)], 0.05, 0.8),
    "exposures": lambda _: charts.exposures(
        {START: {"control": 10, "treatment": 12}, START + timedelta(days=1): {"control": 9}},
        ("control", "treatment"),
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_a_specification_draws_safe_and_themed(won: Findings, name: str) -> None:
    spec = SPECS[name](won)
    text = charts.to_svg(spec)
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.get("aria-label") == spec["description"]
    assert not root.get("width")
    assert "style=" not in text
    assert "<script" not in text
    bare = re.sub(r"var\(--[a-z0-9-]+, #[0-9a-f]{6}\)", "", text)
    assert not re.search(r"#[0-9a-f]{6}", bare), "a colour that does not follow the page"
    assert 'fill="black"' not in bare
    assert 'fill="#000"' not in bare


def test_hover_gives_the_numbers(won: Findings) -> None:
    text = charts.to_svg(SPECS["cumulative"](won))
    assert "<title>day 7</title>" in text
    assert "<title>day 0</title>" in text


def test_positions_follow_the_lift(won: Findings) -> None:
    root = ElementTree.fromstring(charts.to_svg(SPECS["intervals"](won)))
    at = {}
    for mark in root.iter(f"{SVG}path"):
        title = mark.find(f"{SVG}title")
        place = re.match(r"translate\(([\d.]+)", mark.get("transform", ""))
        if title is not None and title.text and place and mark.get("aria-roledescription") == "point":
            at[title.text.split(",")[0]] = float(place[1])
    per_unit = (at["converted"] - at["latency"]) / (0.0551 - 0.008)
    assert per_unit > 0
    assert at["revenue"] == pytest.approx(at["latency"] + (0.0381 - 0.008) * per_unit, abs=1)


def test_the_first_wild_days_do_not_squeeze_the_rest(won: Findings) -> None:
    spec = charts.cumulative_lift([*points(30)], 0.025, "x")
    low, high = spec["layer"][-1]["encoding"]["y"]["scale"]["domain"]
    assert -0.03 < low < 0 < high < 0.12


def test_shares_of_a_distribution_sum_to_one() -> None:
    spec = charts.distribution(HISTOGRAM, ("control", "treatment"), "revenue")
    for variant in ("control", "treatment"):
        shares = [v["share"] for v in spec["data"]["values"] if v["variant"] == variant][:-1]
        assert sum(shares) == pytest.approx(1)


def test_uneven_bins_are_drawn_by_density() -> None:
    uneven = Histogram(edges=(0.0, 1.0, 3.0), counts={"control": (1, 2)})
    spec = charts.distribution(uneven, ("control",), "revenue")
    assert [v["share"] for v in spec["data"]["values"]][:2] == pytest.approx([1 / 3, 1 / 3])


@pytest.mark.parametrize(
    "name", ["\x1b[31m", "\x00", "\uffff", "\ud800", "\ufdd0", "<b>&\"'", "a" * 3000, ""]
)
def test_no_name_can_bring_the_drawing_down(name: str) -> None:
    """vl-convert aborts the process on text that is no XML; if this broke, the test run would die with it."""
    histogram = Histogram(edges=(0.0, 1.0, 2.0), counts={"control": (1, 2), name: (2, 1)})
    text = charts.to_svg(charts.distribution(histogram, ("control", name), name))
    assert ElementTree.fromstring(text).tag == f"{SVG}svg"


def test_a_bar_that_towers_is_cut_so_that_the_rest_can_be_seen() -> None:
    spend = Histogram(
        edges=(0.0, 1.0, 2.0, 3.0), counts={"control": (980, 12, 8), "treatment": (970, 20, 10)}
    )
    assert charts.spike(spend) == 0
    spec = charts.distribution(spend, ("control", "treatment"), "spend")
    shown = [v["share"] for v in spec["data"]["values"]]
    assert max(shown) == pytest.approx(0.02 * 1.15)
    assert charts.spike(HISTOGRAM) is None
