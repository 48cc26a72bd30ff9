"""The terminal: at a glance, at 80 columns, without colour."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from upshot.report import terminal
from upshot.report.findings import Findings
from upshot.report.scale import Scale


def printed(findings: Findings, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, color_system=None)
    console.print(terminal.Summary(findings))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("name", ["won", "bare", "three_arms"])
def test_nothing_is_wider_than_the_terminal(name: str, width: int, request: pytest.FixtureRequest) -> None:
    text = printed(request.getfixturevalue(name), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text


def test_the_verdict_comes_before_checks_and_checks_before_numbers(won: Findings) -> None:
    text = printed(won)
    order = [
        text.index(part)
        for part in ("SHIP", "WARN outliers", "Primary", "Secondary", "Guardrails", "By country")
    ]
    assert order == sorted(order)


def test_words_carry_what_colour_repeats(won: Findings) -> None:
    text = printed(won)
    for word in ("better", "unclear", "held", "not proven", "lower is better", "exploratory, over 3 tests"):
        assert word in text


def test_numbers_are_whole_at_80_columns(won: Findings) -> None:
    text = printed(won)
    for number in (
        "41,203",
        "9.98%",
        "10.53%",
        "+5.5%",
        "[+1.4%, +9.8%]",
        "0.0088",
        "0.1120",
        "[−40%, +91%]",
    ):
        assert number in text


def test_several_variants_are_named_with_the_family(three_arms: Findings) -> None:
    text = printed(three_arms, 100)
    assert "men" in text
    assert "p and intervals over 2 tests" in text
    assert "no upper end" in " ".join(text.split())
    assert "control may be zero" in text


def test_what_people_typed_is_neither_markup_nor_escape(won: Findings) -> None:
    hostile = replace(won.verdict, headline="[bold]x[/bold] \x1b[31mred")
    text = printed(replace(won, verdict=hostile))
    assert "[bold]x[/bold] [31mred" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [15, 41])
def test_a_bar_has_its_ends_where_the_numbers_are(width: int) -> None:
    ruler = Scale(-0.1, 0.1, 0.05)
    bar = terminal.draw(0.05, 0.0, 0.1, ruler, width).plain
    assert len(bar) == width
    assert bar.index("├") == (width - 1) // 2
    assert bar.index("┤") == width - 1
    assert abs(bar.index("●") - 0.75 * (width - 1)) <= 0.5


def test_a_bar_that_goes_on_says_so() -> None:
    ruler = Scale(-0.1, 0.1, 0.05)
    assert terminal.draw(0.05, -0.5, 0.08, ruler, 21).plain.startswith("←")
    assert terminal.draw(0.05, 0.01, None, ruler, 21).plain.endswith("→")
    assert terminal.draw(None, None, None, ruler, 21).plain.strip() == "│"
    assert "●" not in terminal.draw(0.7, 0.01, 0.9, ruler, 21).plain


def test_many_segments_are_cut_with_a_word(won: Findings) -> None:
    part = won.analysis.segments["country"]["Spain"]
    many = {"city": {f"city {i}": part for i in range(40)}}
    text = printed(replace(won, analysis=replace(won.analysis, segments=many)))
    assert "28 more in the report" in text
