"""The Markdown document of an experiment: the documentation standard, section by section."""

import re
from collections.abc import Callable, Sequence

from upshot.analysis.result import Check
from upshot.report import rows, sections, segments, words
from upshot.report.findings import Findings
from upshot.report.learnings import learnings
from upshot.report.next_steps import next_steps
from upshot.report.rows import Row
from upshot.report.segments import Split


def markdown(findings: Findings) -> str:
    """The whole document, CommonMark with tables; whatever people typed is escaped."""
    headline = f"> **{findings.verdict.verdict}** · {escape(words.sentence(findings.verdict.headline))}"
    parts = [f"## {title}\n\n{body(findings)}" for title, body in _SECTIONS.items()]
    return "\n\n".join([f"# {escape(findings.title)}", headline, *parts]) + "\n"


def escape(text: str) -> str:
    """Text as Markdown shows it: on one line, nothing of it markup.

    >>> print(escape("<b>|*a*"))
    &lt;b&gt;\\|\\*a\\*
    """
    inert = words.plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", inert)


def bullets(lines: Sequence[str], mark: str = "-") -> str:
    """A list; every line is escaped."""
    return "\n".join(f"{mark} {escape(line)}" for line in lines)


def table(header: Sequence[str], body: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """A table; every cell is escaped, the numeric columns flush right."""
    ruler = ["--:" if i in numeric else ":--" for i in range(len(header))]
    cells = [[escape(cell) for cell in line] for line in (header, *body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (cells[0], ruler, *cells[1:]))


def _facts(facts: sections.Facts) -> str:
    return "\n".join(f"- **{escape(name)}**: {escape(text)}" for name, text in facts)


def _results(findings: Findings) -> str:
    found = [row for role in ("primary", "secondary") for row in rows.of_role(findings, role)]
    parts = [escape(sections.outcome(findings)), _results_table(findings, found), *_notes(found)]
    return "\n\n".join([*parts, bullets(sections.closing(findings))]).rstrip()


def _results_table(findings: Findings, found: Sequence[Row]) -> str:
    interval = f"{words.percent(findings.confidence)} interval"
    header = [
        "Metric",
        "Variant",
        "Control",
        "Variant's",
        "Lift",
        interval,
        "Difference",
        "p",
        "Reading",
        "Units",
    ]
    body = [
        [
            row.metric if row.role == "primary" else f"{row.metric} (secondary)", row.variant,
            row.control, row.value, row.lift, row.interval, row.difference, row.p, row.word, _units(row),
        ]
        for row in found
    ]  # fmt: skip
    return table(header, body, numeric=(2, 3, 4, 5, 6, 7, 9))


def _units(row: Row) -> str:
    return f"{words.count(row.control_units)} + {words.count(row.units)}"


def _notes(found: Sequence[Row]) -> list[str]:
    """What the table is adjusted for, and why numbers are missing."""
    families = {row.role: row.tests for row in found if row.tests > 1}
    adjusted = [
        f"The p-values and intervals of the {role} metrics are adjusted over {n} tests."
        for role, n in families.items()
    ]
    alone = [
        f"Alone, {row.metric} of {row.variant} would have {row.interval_alone}, p {row.p_alone}."
        for row in found
        if row.tests > 1
    ]
    missing = [f"{row.metric}, {row.variant}: {reason}" for row in found for reason in row.missing]
    return [bullets(lines) for lines in ([*adjusted, *alone], missing) if lines]


def _checks(findings: Findings) -> str:
    checks = findings.analysis.checks
    if not checks:
        return "None could be made."
    return table(["Check", "Result", "Evidence", "What to do"], [_check(check) for check in checks])


def _check(check: Check) -> list[str]:
    return [check.name.replace("_", " "), sections.STATUS[check.status], check.detail, check.mend or "–"]


def _guardrails(findings: Findings) -> str:
    found = rows.of_role(findings, "guardrail")
    if not found:
        return "None were named: nothing but the goals was protected."
    body = [
        [
            row.metric,
            row.variant,
            row.word,
            row.control,
            row.value,
            row.guardrail.sentence if row.guardrail else "–",
        ]
        for row in found
    ]
    return table(["Guardrail", "Variant", "State", "Control", "Variant's", "Evidence"], body, numeric=(3, 4))


def _segments(findings: Findings) -> str:
    splits = segments.splits(findings)
    if not splits:
        return "None were asked for."
    lead = "Exploratory: a difference between segments is an idea for the next experiment, not a finding."
    return "\n\n".join([lead, *(_segment(split) for split in splits)])


def _segment(split: Split) -> str:
    header = [f"By {split.column}", "Units", "Lift", "Interval", "p", "Reading"]
    body = [[value, _units(row), row.lift, row.interval, row.p, row.word] for value, row in split.parts]
    what = f"**{escape(split.metric)}, {escape(split.variant)}** (p over {words.plural(split.tests, 'test')})"
    return f"{what}\n\n{table(header, body, numeric=(1, 2, 3, 4))}"


def _decision(findings: Findings) -> str:
    lead = f"**{escape(sections.decision(findings))}**"
    change = findings.verdict.would_change
    parts = [
        lead,
        bullets([words.sentence(reason) for reason in findings.verdict.reasons]),
        _facts(sections.by_variant(findings)),
        f"What would change it: {escape(words.sentence(change))}" if change else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _method(findings: Findings) -> str:
    lines = [*findings.evidence.understood, *findings.analysis.notes]
    parts = [
        _facts(sections.methods(findings)),
        bullets([words.sentence(line) for line in lines]),
    ]
    return "\n\n".join(part for part in parts if part)


_SECTIONS: dict[str, Callable[[Findings], str]] = {
    "Overview": lambda findings: _facts(sections.overview(findings)),
    "Hypothesis": lambda findings: escape(sections.hypothesis(findings)),
    "Success criteria": lambda findings: _facts(sections.success_criteria(findings)),
    "Results": _results,
    "Checks": _checks,
    "Guardrails": _guardrails,
    "Segments": _segments,
    "Key learnings": lambda findings: bullets(learnings(findings)),
    "Decision": _decision,
    "Next steps": lambda findings: bullets(next_steps(findings), mark="1."),
    "Method": _method,
}
