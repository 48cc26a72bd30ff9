"""The Markdown document: the documentation standard, filled with what is known."""

import itertools
import re
from dataclasses import replace

import pytest

from upshot.report import document
from upshot.report.findings import Findings

STANDARD = [
    "Overview", "Hypothesis", "Success criteria", "Results", "Checks", "Guardrails", "Segments",
    "Key learnings", "Decision", "Next steps", "Method",
]  # fmt: skip


@pytest.mark.parametrize("name", ["won", "bare", "three_arms"])
def test_every_section_of_the_standard_is_there_and_filled(name: str, request: pytest.FixtureRequest) -> None:
    text = document.markdown(request.getfixturevalue(name))
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    assert parts[1::2] == STANDARD
    assert all(len(body.strip()) > 10 for body in parts[2::2])
    assert "None," not in text
    assert "nan" not in text.lower().split()


@pytest.mark.parametrize("name", ["won", "bare", "three_arms"])
def test_every_row_of_a_table_has_as_many_cells_as_its_head(
    name: str, request: pytest.FixtureRequest
) -> None:
    lines = document.markdown(request.getfixturevalue(name)).splitlines()
    cells = [len(re.split(r"(?<!\\)\|", line)) if line.startswith("|") else 0 for line in lines]
    assert any(cells)
    assert all(a == b for a, b in itertools.pairwise(cells) if a and b)


def test_the_results_give_winner_lift_interval_p_and_sizes(won: Findings) -> None:
    text = document.markdown(won)
    assert "Winner: treatment." in text
    assert (
        r"| converted | treatment | 9.98% | 10.53% | +5.5% | \[+1.4%, +9.8%\] | +0.55 pp | 0.0088 | better |"
        in text
    )


def test_overview_and_criteria_say_what_was_fixed(won: Findings) -> None:
    text = document.markdown(won)
    for part in (
        "EXP-2026-001", "2–29 March 2026", "28 days (4 weeks)", "complete: the maximum is reached",
        "from a lift of 2.5% on", "95% confidence, 80% power",
        "at least 7 days (1 week), at most 28 days (4 weeks)", "40,000 a variant planned",
        "crashed at most 0.1%; latency not worse than control by more than 2%",
    ):  # fmt: skip
        assert part in text


def test_without_a_plan_the_question_stands_for_the_hypothesis(bare: Findings) -> None:
    text = document.markdown(bare)
    assert "does treatment raise converted by 5% or more?" in text
    assert "the data are taken as final, because there is no plan" in text
    assert "an effect of +5% is ruled out" in text
    assert "None were asked for." in text


def test_learnings_name_the_numbers(won: Findings) -> None:
    text = document.markdown(won)
    assert "expect about +4.3% rather than +5.5%" in text
    assert r"revenue\_before took 34% off the variance of revenue: as good as 52% more units." in text


def test_what_people_typed_cannot_become_markup(won: Findings) -> None:
    canary = "<img src=x onerror=alert(1)> [a](javascript:b) | `c`\n# d"
    text = document.markdown(
        replace(won, plan=replace(won.plan, name=canary, hypothesis=canary, owner=canary))
    )
    assert "<img" not in text
    assert "[a](" not in text
    assert "\n# d" not in text


def test_next_steps_follow_the_cause(won: Findings) -> None:
    harmed = replace(won, verdict=replace(won.verdict, verdict="KILL", cause="harm", winner=None))
    assert "Switch treatment off now" in document.markdown(harmed)
    waiting = replace(won, verdict=replace(won.verdict, verdict="EXTEND", cause="promising", winner=None))
    assert "until 29 March 2026 at the latest" in document.markdown(waiting)


def test_an_aa_comparison_has_no_winner_and_no_bar(bare: Findings) -> None:
    aa = replace(bare, plan=replace(bare.plan, purpose="aa"))
    text = document.markdown(replace(aa, verdict=replace(aa.verdict, verdict="CONTINUE", cause="healthy")))
    assert "An A/A comparison: nothing is to be won." in text
    assert "by the A/A rule" in text
    assert "Worth shipping" not in text
