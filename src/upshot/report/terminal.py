"""The terminal's summary: the verdict first, then what makes it doubtful, then the numbers.

Everything reads without colour, from 80 columns on; colour only repeats what a word says.
"""

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from upshot.analysis.result import Check
from upshot.report import cells, cohort_views, rows, segments, words
from upshot.report.cohort_views import TrendView
from upshot.report.findings import Findings
from upshot.report.rows import Row, Standing
from upshot.report.scale import Scale, shared

STYLES: dict[Standing, str] = {
    "better": "bold green",
    "held": "green",
    "worse": "bold red",
    "harmed": "bold red",
    "unproven": "yellow",
    "unclear": "",
    "unknown": "dim",
}
VERDICT_STYLES = {
    "SHIP": "bold black on green",
    "KILL": "bold white on red",
    "INVESTIGATE": "bold black on yellow",
    "DISCUSS": "bold black on yellow",
    "EXTEND": "bold black on cyan",
    "ITERATE": "bold black on cyan",
    "CONTINUE": "bold white on blue",
}
ROLE_TITLES = {"primary": "Primary", "secondary": "Secondary", "guardrail": "Guardrails"}
SHORT: dict[Standing, str] = {"unclear": "unclear", "unknown": "unknown"}
SEGMENT_LIMIT = 12
RETURN_DAYS = 8
"""Days of a retention triangle that fit into 80 columns."""


class Summary:
    """A summary that fits itself to the console that prints it."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield summary(self.findings, options.max_width)


def summary(findings: Findings, width: int = 80) -> Group:
    """The whole summary at a width: what was read, verdict, checks, results, segments."""
    return Group(*_blocks(findings, width))


def _blocks(findings: Findings, width: int) -> Iterator[RenderableType]:
    yield from _understood(findings)
    yield from _verdict(findings)
    yield from _checks(findings)
    yield from _results(findings, width)
    yield from _segments(findings, width)
    yield from _cohorts(findings, width)
    yield Text("")


def _understood(findings: Findings) -> Iterator[RenderableType]:
    for line in (*findings.evidence.understood, *findings.analysis.notes):
        yield _bullet(words.sentence(line), mark="·", style="dim")


def _verdict(findings: Findings) -> Iterator[RenderableType]:
    verdict = findings.verdict
    head = Table.grid(padding=(0, 2))
    head.add_column(no_wrap=True)
    head.add_column(ratio=1)
    badge = Text(f" {verdict.verdict} ", style=VERDICT_STYLES[verdict.verdict])
    head.add_row(badge, Text(words.plain(verdict.headline), style="bold"))
    yield Text("")
    yield head
    yield Text("")
    for reason in verdict.reasons:
        yield _bullet(words.plain(reason))
    if verdict.would_change:
        yield _bullet(f"What would change it: {words.plain(verdict.would_change)}", mark="→")


def _bullet(text: str, mark: str = "•", style: str = "") -> RenderableType:
    """A paragraph that hangs from its mark."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=2, justify="right")
    grid.add_column(ratio=1)
    grid.add_row(Text(mark, style=style), Text(text, style=style))
    return grid


def _checks(findings: Findings) -> Iterator[RenderableType]:
    tally = _tally(findings.analysis.checks)
    if not tally:
        return
    yield _heading("Checks", tally)
    for check in findings.failing_checks():
        mark, style = ("FAIL", "bold red") if check.status == "fail" else ("WARN", "yellow")
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=5, justify="right")
        grid.add_column(ratio=1)
        name = check.name.replace("_", " ")
        mend = f"\n→ {words.capital(check.mend)}" if check.mend else ""
        body = "as said above." if findings.is_told(check) else words.sentence(check.detail) + mend
        grid.add_row(Text(mark, style=style), Text.assemble((f"{name}: ", "bold"), body))
        yield grid


def _tally(checks: Sequence[Check]) -> str:
    names = {"fail": "failed", "warn": "to look at", "pass": "passed", "skipped": "skipped"}
    totals = {status: sum(check.status == status for check in checks) for status in names}
    return ", ".join(f"{totals[status]} {name}" for status, name in names.items() if totals[status])


def _heading(title: str, note: str = "") -> RenderableType:
    return Padding(
        Text.assemble((title, "bold underline"), (f"  {note}" if note else "", "dim")), (1, 0, 0, 0)
    )


def _results(findings: Findings, width: int) -> Iterator[RenderableType]:
    by_role = {role: rows.of_role(findings, role) for role in ("primary", "secondary", "guardrail")}
    everything = [row for group in by_role.values() for row in group]
    ruler = rows.ruler(findings, everything)
    for role, group in by_role.items():
        if group:
            yield _heading(ROLE_TITLES[role], _family(findings, group))
            yield _table(findings, group, everything, ruler, width)
            yield from (_bullet(words.sentence(row.guardrail.sentence)) for row in group if row.guardrail)
    for line in dict.fromkeys(f"{row.metric}: {reason}" for row in everything for reason in row.missing):
        yield _bullet(line, style="dim")


def _family(findings: Findings, group: Sequence[Row]) -> str:
    """What the numbers of a table are adjusted for."""
    if group[0].role == "guardrail":
        return "held = proven within its limit"
    tests = max(row.tests for row in group)
    level = f"{words.percent(findings.confidence)} intervals"
    over = f", p and intervals over {tests} tests" if tests > 1 else ""
    return level + over + (", in doubt: a check failed" if findings.in_doubt else "")


def _frame(width: int) -> Table:
    """A table without lines, one space between columns."""
    return Table(
        box=None,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
        header_style="dim",
        width=min(width, 110),
    )


def _bar_width(width: int) -> int:
    return max(15, min(41, width - 63))


def _table(
    findings: Findings, group: Sequence[Row], everything: Sequence[Row], ruler: Scale, width: int
) -> RenderableType:
    """One role's rows; columns are as wide as all roles need, so that bars lie below each other."""
    several = len(findings.challengers) > 1
    bar = _bar_width(width)
    control, variant = words.plain(findings.control), words.plain(findings.challengers[0])
    table = _frame(width)
    table.add_column("", ratio=1, min_width=12, overflow="fold")
    for header, texts in (
        (control, [text for row in everything for text in (row.control, words.count(row.control_units))]),
        (
            "variant" if several else variant,
            [t for row in everything for t in (row.value, words.count(row.units))],
        ),
        ("lift", [text for row in everything for text in (row.lift, row.interval)]),
    ):
        table.add_column(header, justify="right", width=min(18, max(map(len, [header[:11], *texts]))))
    table.add_column(_ruler(ruler, bar), no_wrap=True, width=bar)
    table.add_column("" if group[0].role == "guardrail" else "p", justify="right", width=10)
    for row in group:
        _add(table, row, ruler, bar, several=several)
    return table


def _add(table: Table, row: Row, ruler: Scale, bar: int, *, several: bool) -> None:
    style = STYLES[row.standing]
    about = row.variant if several else row.about
    wish = "\nlower is better" if row.better == "lower" else ""
    word = SHORT.get(row.standing, row.word)
    outcome = Text.assemble(*([] if row.guardrail else [row.p, "\n"]), (word, style))
    table.add_row(
        Text.assemble((row.metric, "bold"), "\n", (about + wish, "" if several else "dim")),
        Text.assemble(row.control, "\n", (words.count(row.control_units), "dim")),
        Text.assemble(row.value, "\n", (words.count(row.units), "dim")),
        Text.assemble((row.lift, style or "bold"), "\n", (row.interval, "dim")),
        draw(row.estimate, *row.bounds, ruler, bar, style),
        outcome,
    )


def _ruler(ruler: Scale, width: int) -> Text:
    """The ends of the scale and its zero."""
    cells = [" "] * width
    ends = [(ruler.low, 0), (ruler.high, width)]
    labels = [(words.percent(v, signed=True), at) for v, at in ends if v]
    for label, at in labels:
        start = 0 if at == 0 else width - len(label)
        cells[start : start + len(label)] = label
    zero = _cell(ruler.position(0), width)
    if set(cells[max(0, zero - 1) : zero + 2]) == {" "} or zero in {0, width - 1}:
        cells[zero] = "0"
    return Text("".join(cells))


def _cell(position: float, width: int) -> int:
    return round(position * (width - 1))


def draw(
    estimate: float | None, low: float | None, high: float | None, ruler: Scale, width: int, style: str = ""
) -> Text:
    """A bar for an interval: ends, point and zero; an arrow where it goes on beyond the scale.

    >>> from upshot.report.scale import Scale
    >>> draw(0.05, 0.02, 0.08, Scale(-0.1, 0.1, 0.05), 21).plain
    '          │ ├──●──┤  '
    >>> draw(0.05, -0.02, None, Scale(-0.1, 0.1, 0.05), 21).plain
    '        ├─┼────●────→'
    >>> draw(-0.5, -0.6, -0.4, Scale(-0.1, 0.1, 0.05), 21).plain
    '←         │          '
    """
    cells = [" "] * width
    zero = _cell(ruler.position(0), width)
    cells[zero] = "│"
    if estimate is None:
        return Text("".join(cells), style="dim")
    left = 0 if low is None else _cell(ruler.position(low), width)
    right = width - 1 if high is None else _cell(ruler.position(high), width)
    for i in range(left, right + 1):
        cells[i] = "┼" if i == zero else "─"
    cells[left], cells[right] = "├", "┤"
    if low is None or low < ruler.low:
        cells[0] = "←"
    if high is None or high > ruler.high:
        cells[-1] = "→"
    if ruler.holds(estimate):
        cells[_cell(ruler.position(estimate), width)] = "●"
    return Text("".join(cells), style=style)


def _segments(findings: Findings, width: int) -> Iterator[RenderableType]:
    """The first primary metric by every column; the others are in the report and the JSON."""
    first = next((metric.name for metric in findings.plan.of_role("primary")), "")
    for split in segments.splits(findings):
        if split.metric == words.plain(first):
            about = f"{split.metric}, {split.variant}" if len(findings.challengers) > 1 else split.metric
            note = f"{about}: exploratory, over {words.plural(split.tests, 'test')}"
            yield _heading(f"By {split.column}", note)
            yield _segment_table(findings, split.parts[:SEGMENT_LIMIT], width)
            left = len(split.parts) - SEGMENT_LIMIT
            if left > 0:
                yield _bullet(f"{left} more in the report and in --json", style="dim")


def _segment_table(findings: Findings, shown: Sequence[tuple[str, Row]], width: int) -> RenderableType:
    bar = _bar_width(width)
    ruler = rows.ruler(findings, [row for _, row in shown])
    table = _frame(width)
    table.add_column("", ratio=1, overflow="fold")
    table.add_column("units", justify="right", no_wrap=True)
    table.add_column("lift", justify="right", no_wrap=True)
    table.add_column(_ruler(ruler, bar), no_wrap=True, width=bar)
    table.add_column("", min_width=8, max_width=13)
    for value, row in shown:
        style = STYLES[row.standing]
        table.add_row(
            value,
            words.count(row.units + row.control_units),
            f"{row.lift} {row.interval}",
            draw(row.estimate, *row.bounds, ruler, bar, style),
            Text(SHORT.get(row.standing, row.word), style=style),
        )
    return table


def _cohorts(findings: Findings, width: int) -> Iterator[RenderableType]:
    """The courses of the primary metrics and the retention triangles; the others are in the report and the JSON."""
    primaries = {metric.name for metric in findings.plan.of_role("primary")}
    for view in cohort_views.trends(findings):
        if view.metric in primaries:
            yield _heading(view.title)
            yield _trend_table(view, width)
    for title, triangle in cohort_views.returns(findings):
        yield _heading(title)
        yield _return_table(triangle, width)
    yield from (_bullet(line, style="dim") for line in cohort_views.remarks(findings))


def _trend_table(view: TrendView, width: int) -> RenderableType:
    bar = _bar_width(width)
    ruler = shared([(line.estimate, line.bounds) for line in view.lines])
    table = _frame(width)
    table.add_column(view.head, ratio=1, overflow="fold")
    table.add_column("units", justify="right", no_wrap=True)
    table.add_column("lift", justify="right", no_wrap=True)
    table.add_column(_ruler(ruler, bar), no_wrap=True, width=bar)
    for line in view.lines:
        numbers = f"{line.lift} {line.interval}"
        table.add_row(line.at, line.units, numbers, draw(line.estimate, *line.bounds, ruler, bar))
    return table


def _return_table(view: cells.Table, width: int) -> RenderableType:
    """As many days as there is room for."""
    table = _frame(width)
    shown = 3 + RETURN_DAYS + max(0, width - 80) // 5
    for number, header in enumerate(view.header[:shown]):
        table.add_column(header, justify="left" if number < 2 else "right", no_wrap=True)
    for row in view.rows:
        table.add_row(*row[:shown])
    return table
