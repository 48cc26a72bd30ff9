"""What a comparison is called, and what its row says."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from upshot.model.metric import Metric
from upshot.report import rows
from upshot.report.findings import Findings


@pytest.mark.parametrize(
    ("changes", "standing"),
    [
        ({}, "better"),
        ({"effect": -0.0055, "lift": -0.0551}, "worse"),
        ({"significant": False}, "unclear"),
        ({"p_value_adjusted": None}, "unknown"),
    ],
)
def test_standing_follows_significance_and_direction(
    remake: Callable[..., Findings], changes: dict[str, object], standing: str
) -> None:
    assert rows.of_role(remake(**changes), "primary")[0].standing == standing


def test_lower_is_better_turns_the_word_round(won: Findings) -> None:
    first = replace(won.analysis.metrics[0], better="lower")
    assert rows.standing(first, first.comparisons[0]) == "worse"


def test_a_guardrail_has_a_state_and_no_verdict_by_p(won: Findings) -> None:
    assert [(row.metric, row.standing) for row in rows.of_role(won, "guardrail")] == [
        ("crashed", "held"),
        ("latency", "unproven"),
    ]


def test_a_row_says_its_numbers(won: Findings) -> None:
    row = rows.of_role(won, "primary")[0]
    assert (row.control, row.value, row.lift, row.interval, row.p) == (
        "9.98%", "10.53%", "+5.5%", "[+1.4%, +9.8%]", "0.0088",
    )  # fmt: skip
    assert (row.difference, row.difference_interval) == ("+0.55 pp", "[+0.14 pp, +0.96 pp]")
    assert (row.control_units, row.units) == (41_203, 41_220)


def test_without_a_lift_the_difference_takes_its_place_with_the_reason(
    remake: Callable[..., Findings],
) -> None:
    why = "control is 0, so nothing can be said relative to it"
    row = rows.of_role(
        remake(lift=None, lift_interval=(None, None), reasons={"lift": why, "lift_interval": why}), "primary"
    )[0]
    assert not row.relative
    assert row.lift == "+0.55 pp"
    assert row.estimate is None
    assert row.missing == (why + ".",)


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (Metric(name="m", column="m", kind="mean"), "mean per user"),
        (Metric(name="m", column="clicks", kind="ratio", per="views"), "clicks per views"),
        (Metric(name="m", column="m", kind="ratio", per="rows"), "mean per row"),
        (Metric(name="m", column="m", kind="quantile", quantile=0.95), "95% quantile"),
        (Metric(name="m", column="m", kind="retention"), "share of users who came back"),
    ],
)
def test_a_metric_is_described(metric: Metric, says: str) -> None:
    assert rows.about(metric, "user_id") == says
