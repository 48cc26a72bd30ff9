"""The Markdown document of an experiment: the documentation standard, section by section."""

import re
from collections.abc import Callable, Sequence

from upshot.report import cells, cohort_views, rows, sections, segments, words
from upshot.report.cells import Table
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


def table(shown: Table) -> str:
    """A table; every cell is escaped, the numeric columns flush right."""
    ruler = ["--:" if i in shown.numeric else ":--" for i in range(len(shown.header))]
    lines = [[escape(cell) for cell in line] for line in (shown.header, *shown.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], ruler, *lines[1:]))


def _facts(facts: sections.Facts) -> str:
    return "\n".join(f"- **{escape(name)}**: {escape(text)}" for name, text in facts)


def _results(findings: Findings) -> str:
    found = [row for role in ("primary", "secondary") for row in rows.of_role(findings, role)]
    parts = [escape(sections.outcome(findings)), table(cells.results(findings, found)), *_notes(found)]
    return "\n\n".join([*parts, bullets(sections.closing(findings))]).rstrip()


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
    return table(cells.checks(findings)) if findings.analysis.checks else "None could be made."


def _guardrails(findings: Findings) -> str:
    shown = cells.guardrails(findings)
    return table(shown) if shown.rows else "None were named: nothing but the goals was protected."


def _segments(findings: Findings) -> str:
    splits = segments.splits(findings)
    if not splits:
        return "None were asked for."
    lead = "Exploratory: a difference between segments is an idea for the next experiment, not a finding."
    return "\n\n".join([lead, *(_segment(split) for split in splits)])


def _segment(split: Split) -> str:
    what = f"**{escape(split.metric)}, {escape(split.variant)}** (p over {words.plural(split.tests, 'test')})"
    return f"{what}\n\n{table(cells.segment(split))}"


def _segments_and_cohorts(findings: Findings) -> str:
    shown = [f"**{escape(title)}**\n\n{table(found)}" for title, found in cohort_views.tables(findings)]
    remarks = [escape(line) for line in cohort_views.remarks(findings)]
    return "\n\n".join([_segments(findings), *(["### Cohorts", *remarks, *shown] if remarks else [])])


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
    "Segments": _segments_and_cohorts,
    "Key learnings": lambda findings: bullets(learnings(findings)),
    "Decision": _decision,
    "Next steps": lambda findings: bullets(next_steps(findings), mark="1."),
    "Method": _method,
}
