"""Segments: for each column and comparison, one row a value, the values with most units first."""

from dataclasses import dataclass

from upshot.analysis.result import SegmentResult
from upshot.model.metric import Role
from upshot.report import rows, words
from upshot.report.findings import Findings
from upshot.report.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One comparison split by one column.

    Attributes:
        column, metric, variant, role: what is split by what.
        parts: value (and which of its checks failed) -> its row.
        tests: how many tests the p-values are adjusted over.
    """

    column: str
    metric: str
    variant: str
    role: Role
    parts: tuple[tuple[str, Row], ...]
    tests: int


def splits(findings: Findings) -> tuple[Split, ...]:
    """All splits: by column, then in the plan's order of metrics, then of variants."""
    found: dict[tuple[str, str, str], list[tuple[str, Row]]] = {}
    for column, values in findings.analysis.segments.items():
        for value, part in values.items():
            for row in rows.of_metrics(findings, part.metrics):
                key = (words.plain(column), row.metric, row.variant)
                found.setdefault(key, []).append((_label(value, part), row))
    return tuple(_split(*key, parts) for key, parts in found.items())


def _label(value: str, part: SegmentResult) -> str:
    """The value, and which of its own checks failed."""
    failed = [check.name.replace("_", " ") for check in part.checks if check.status == "fail"]
    return words.plain(value) + (f" ({words.listing(failed)} failed)" if failed else "")


def _split(column: str, metric: str, variant: str, parts: list[tuple[str, Row]]) -> Split:
    ordered = sorted(parts, key=lambda part: -part[1].units - part[1].control_units)
    return Split(
        column=column,
        metric=metric,
        variant=variant,
        role=parts[0][1].role,
        parts=tuple(ordered),
        tests=max(row.tests for _, row in parts),
    )
