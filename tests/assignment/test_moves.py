"""Shares of units that move, against counting them through the evaluator."""

from itertools import count

import pytest

from upshot.assignment.ledger import Ledger
from upshot.assignment.moves import moves
from upshot.assignment.payload import compile_flags
from upshot.formats.flags import flags_from_yaml
from upshot.model.flag import FlagSet
from upshot_sdk import Ruleset

UNITS = 20_000
NOTHING = FlagSet(), Ledger()
BASE = "layers: {page: }\nflags: {it: {variants: {a: 1, b: 2, c: 3}, rules: [%s]}}"


def flags(rule):
    return flags_from_yaml(BASE % rule)


def rollout(percentage, **split):
    return f"{{id: r, rollout: {{split: {split or {'a': 1}}, percentage: {percentage}}}}}".replace("'", "")


def trial(traffic, phase=1, share=100, name="r", **split):
    drawn = f"id: E, split: {split or {'a': 1, 'b': 1}}, traffic: {traffic}, phase: {phase}"
    return f"{{id: {name}, experiment: {{{drawn}, layer: page, layer_share: {share}}}}}".replace("'", "")


def answers(payload):
    ruleset = Ruleset.from_dict({**payload, "revision": "r"})
    return [ruleset.evaluate("it", {"targetingKey": f"unit-{number}"}).variant for number in range(UNITS)]


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        (rollout(10), rollout(30), 0.2),
        (rollout(30), rollout(10), 0.2),
        (rollout(40), rollout(40, b=1), 0.4),
        (rollout(50, a=1, b=1), rollout(50, a=3, b=1), 0.125),
        (rollout(50, a=1, b=1), rollout(80, a=3, b=1), 0.425),
        (trial(20), trial(60), 0.4),
        (trial(100), trial(100, phase=2), 0.5),
        (trial(50), trial(50, phase=2), 0.625),
        (trial(100, share=20), trial(100, share=50), 0.3),
        (trial(50, share=50), trial(100, share=50), 0.25),
        (trial(50), trial(50, name="renamed"), 0),
        (rollout(10), trial(50), None),
    ],
)
def test_the_share_is_what_the_evaluator_moves(before, after, share):
    numbers = count()
    old, new = flags(before), flags(after)
    first, ledger = compile_flags(old, Ledger(), lambda: f"salt-{next(numbers)}")
    second, then = compile_flags(new, ledger, lambda: f"salt-{next(numbers)}")
    found = [move.share for move in moves((old, ledger), (new, then))]
    if share is None:  # another rule: both are told whole
        assert found == pytest.approx([0.1, 0.5], abs=1e-6)
        return
    assert found == pytest.approx([share] if share else [], abs=1e-6)
    counted = sum(one != two for one, two in zip(answers(first), answers(second), strict=True)) / UNITS
    assert abs(counted - share) <= 4 * (share * (1 - share) / UNITS) ** 0.5


def test_what_is_new_removed_or_turned_off_counts_whole():
    new = flags(rollout(10))
    _, ledger = compile_flags(new, Ledger(), lambda: "salt")
    off = flags_from_yaml(BASE.replace("it: {", "it: {enabled: off, ") % rollout(10))
    for before, after in (
        (NOTHING, (new, ledger)),
        ((new, ledger), (FlagSet(), ledger)),
        ((new, ledger), (off, ledger)),
    ):
        (move,) = moves(before, after)
        assert (move.flag, move.rule, round(move.share, 6)) == ("it", "r", 0.1)
