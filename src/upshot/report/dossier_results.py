"""What the last look of an experiment says, as sections of its document."""

from dataclasses import replace

from upshot.model.course import Decision
from upshot.report import cells, charts, figures, rows, sections, segments, words
from upshot.report.cells import Table
from upshot.report.findings import Findings
from upshot.report.next_steps import next_steps
from upshot.report.paper import Block, Drawing, Facts, Lines, Section, paragraph

SEALED = (
    "Effects are sealed until the plan's decision point: whoever sees one before may stop on it. Checks and guardrails "
    "are shown, for harm must be acted upon."
)


def result_sections(
    findings: Findings | None, decision: Decision | None = None, *, is_sealed: bool = False
) -> tuple[Section, ...]:
    """Results, checks, guardrails, segments and charts; nothing before the first look."""
    if findings is None:
        return (Section(title="Results", blocks=[paragraph("Nobody looked at its data yet.")]),)
    return (
        Section(title="Results", blocks=_results(findings, is_sealed=is_sealed)),
        Section(title="Checks", blocks=[cells.checks(findings)] if findings.analysis.checks else []),
        Section(title="Guardrails", blocks=_some(cells.guardrails(findings))),
        Section(title="Segments", blocks=_segments(findings)),
        Section(title="Charts", blocks=_charts(findings)),
        Section(title="Next steps", blocks=[Lines(lines=_steps(findings, decision))]),
        Section(title="Method", blocks=_method(findings)),
    )


def _results(findings: Findings, *, is_sealed: bool) -> list[Block]:
    progress = Facts(
        facts=[("Status", sections.status(findings)), ("Recommended", sections.decision(findings))]
    )
    if is_sealed:
        harmed = [row for row in rows.of_role(findings, "primary") if row.estimate is not None]
        return [progress, paragraph(SEALED), *_some(cells.results(findings, harmed))]
    found = [row for role in ("primary", "secondary") for row in rows.of_role(findings, role)]
    closing = sections.closing(findings)
    beside: list[Block] = [Lines(lines=closing)] if closing else []
    return [progress, paragraph(sections.outcome(findings)), *_some(cells.results(findings, found)), *beside]


def _some(table: Table) -> list[Block]:
    return [table] if table.rows else []


def _segments(findings: Findings) -> list[Block]:
    splits = segments.splits(findings)
    lead = "Exploratory: a difference between segments is an idea for the next experiment, not a finding."
    blocks: list[Block] = [paragraph(lead)] if splits else []
    for split in splits:
        blocks += [
            paragraph(f"{split.metric}, {split.variant} (p over {words.plural(split.tests, 'test')})"),
            cells.segment(split),
        ]
    return blocks


def _charts(findings: Findings) -> list[Block]:
    return [
        Drawing(title=figure.title, note=figure.note, svg=charts.to_svg(figure.spec))
        for figure in figures.figures(findings)
    ]


def _steps(findings: Findings, decision: Decision | None) -> tuple[str, ...]:
    """What follows from what was decided, which may be another thing than what was recommended."""
    if decision is None or decision.verdict == findings.verdict.verdict:
        return next_steps(findings)
    taken = replace(findings.verdict, verdict=decision.verdict, cause="acknowledge", winner=decision.variant)
    return next_steps(replace(findings, verdict=taken))


def _method(findings: Findings) -> list[Block]:
    told = [words.sentence(line) for line in (*findings.evidence.understood, *findings.analysis.notes)]
    return [Facts(facts=sections.methods(findings)), *([Lines(lines=told)] if told else [])]
