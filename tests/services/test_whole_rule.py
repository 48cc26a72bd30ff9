"""A small version of `benchmarks.decisions`: worlds with a known truth, from proposal to the flag, by the services."""

import pytest
from benchmarks.decisions import Cell, played


@pytest.mark.parametrize(
    ("policy", "truth", "never"),
    [
        ("standard", "a loss of as much", {"SHIP"}),
        ("superiority_with_guardrails", "the planned effect, and twice the crashes", {"SHIP"}),
        ("do_no_harm", "no effect", {"ITERATE"}),
    ],
)
def test_what_is_decided_fits_what_is_true(policy, truth, never):
    """Four worlds each; `played` asks the flag after each decision. The shares are those of the benchmark."""
    assert not never & {played(Cell(policy, truth), number) for number in range(4)}


def test_the_same_world_ends_the_same():
    cell = Cell("standard", "the planned effect")
    assert played(cell, 3) == played(cell, 3)
