"""Segments: grouped by comparison, largest first, with their own failed checks."""

from dataclasses import replace

from upshot.analysis.result import Check, SegmentResult
from upshot.report.findings import Findings
from upshot.report.segments import splits


def test_values_with_most_units_come_first(won: Findings) -> None:
    (split,) = splits(won)
    assert (split.column, split.metric, split.variant, split.tests) == (
        "country",
        "converted",
        "treatment",
        3,
    )
    assert [value for value, _ in split.parts] == ["Germany", "France", "Spain"]


def test_a_value_whose_check_failed_says_so(won: Findings) -> None:
    spain = won.analysis.segments["country"]["Spain"]
    failed = Check(name="sample_ratio", status="fail", detail="6,147 : 5,000")
    segments = {"country": {"Spain": SegmentResult(checks=(failed,), metrics=spain.metrics)}}
    (split,) = splits(replace(won, analysis=replace(won.analysis, segments=segments)))
    assert [value for value, _ in split.parts] == ["Spain (sample ratio failed)"]
