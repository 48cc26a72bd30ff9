"""The tables of a report as cells, which each kind of document draws in its own way."""

from collections.abc import Sequence
from dataclasses import dataclass

from upshot.analysis.result import Check
from upshot.report import rows, sections, words
from upshot.report.findings import Findings
from upshot.report.rows import Row
from upshot.report.segments import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows below a header; numeric columns stand flush right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[int] = ()


def results(findings: Findings, found: Sequence[Row]) -> Table:
    """Effects and lifts of goals and what is beside them."""
    interval = f"{words.percent(findings.confidence)} interval"
    header = [
        "Metric", "Variant", "Control", "Variant's", "Lift", interval, "Difference", "p", "Reading", "Units",
    ]  # fmt: skip
    body = [
        [
            row.metric if row.role == "primary" else f"{row.metric} (secondary)", row.variant,
            row.control, row.value, row.lift, row.interval, row.difference, row.p, row.word, units(row),
        ]
        for row in found
    ]  # fmt: skip
    return Table(header=header, rows=body, numeric=(2, 3, 4, 5, 6, 7, 9))


def checks(findings: Findings) -> Table:
    """Whether the data can be believed."""
    header = ["Check", "Result", "Evidence", "What to do"]
    return Table(header=header, rows=[_check(check) for check in findings.analysis.checks])


def _check(check: Check) -> list[str]:
    return [check.name.replace("_", " "), sections.STATUS[check.status], check.detail, check.mend or "–"]


def guardrails(findings: Findings) -> Table:
    """What is protected, and whether it held."""
    body = [
        [
            row.metric, row.variant, row.word, row.control, row.value,
            row.guardrail.sentence if row.guardrail else "–",
        ]
        for row in rows.of_role(findings, "guardrail")
    ]  # fmt: skip
    header = ["Guardrail", "Variant", "State", "Control", "Variant's", "Evidence"]
    return Table(header=header, rows=body, numeric=(3, 4))


def segment(split: Split) -> Table:
    """One comparison by the values of one column."""
    header = [f"By {split.column}", "Units", "Lift", "Interval", "p", "Reading"]
    body = [[value, units(row), row.lift, row.interval, row.p, row.word] for value, row in split.parts]
    return Table(header=header, rows=body, numeric=(1, 2, 3, 4))


def units(row: Row) -> str:
    """How many units of control and of the variant are behind a row."""
    return f"{words.count(row.control_units)} + {words.count(row.units)}"
