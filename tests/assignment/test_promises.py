"""What people are promised of assignments, asked of the whole way: flags compiled, then evaluated by the SDK.

Salts are numbered, so every run draws alike; sizes and tolerances stand with each test.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, count, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2, chisquare, norm

import upshot_sdk
from upshot.assignment.edits import classify
from upshot.assignment.ledger import Ledger
from upshot.assignment.payload import compile_flags
from upshot.assignment.ranges import shares
from upshot.model.flag import Flag, FlagSet, Holdout, Layer, Rollout, Rule, Segment, Step, Trial

START = datetime(2026, 12, 1, tzinfo=UTC)
IDS = [f"user-{number}" for number in range(400)]
NAMES = ["control", "b", "c", "d"]
VARIANTS = {name: name for name in NAMES}
HALVES = {"control": 1, "b": 1}

percentages = st.integers(0, 100) | st.floats(0, 100)
weights = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 100), min_size=1).filter(
    lambda w: any(w.values())
)
quick = settings(max_examples=40, deadline=None)


def numbered():
    numbers = count()
    return lambda: f"salt-{next(numbers)}"


def trial(name="EXP-1", split=HALVES, **more):
    return Rule(id=name, experiment=Trial(id=name, split=split, **more))


def flag(*rules, key="flag", **more):
    return Flag(key=key, type="string", variants=VARIANTS, rules=rules, **more)


def states(history):
    """The ruleset after each of several edits of one set of flags."""
    ledger, new_salt = Ledger(), numbered()
    for flags in history:
        payload, ledger = compile_flags(flags, ledger, new_salt)
        yield upshot_sdk.Ruleset.from_dict({**payload, "revision": "r"})


def alone(one):
    return FlagSet(flags={one.key: one})


def variants(ruleset, key="flag", ids=IDS, now=None):
    return [ruleset.evaluate(key, {"targetingKey": unit}, None, now).variant for unit in ids]


def plausible(found, of, share):
    """Whether a count may be a draw of this share: in neither tail of 10^-9, so that no run fails by chance."""
    return min(binom.cdf(found, of, share), binom.sf(found - 1, of, share)) > 1e-9


# Growing, shrinking, re-weighting


@quick
@given(st.lists(percentages, min_size=2, max_size=5), weights)
def test_growing_traffic_moves_nobody_and_shrinking_only_lets_out(traffic, split):
    history = [alone(flag(trial(split=split, traffic=share))) for share in traffic]
    for (less, more), (before, after) in zip(
        pairwise(traffic), pairwise(map(variants, states(history))), strict=True
    ):
        kept = zip(before, after, strict=True) if more >= less else zip(after, before, strict=True)
        assert all(old is None or old == new for old, new in kept)


@quick
@given(st.lists(percentages, min_size=1, max_size=4), weights)
def test_a_schedule_moves_nobody_as_time_passes(steps, split):
    schedule = tuple(
        Step(at=START + timedelta(days=day), percentage=share) for day, share in enumerate(sorted(steps))
    )
    rule = Rule(id="ramp", rollout=Rollout(split=split, percentage=0, schedule=schedule))
    (ruleset,) = states([alone(flag(rule))])
    seen = [variants(ruleset, now=START + timedelta(days=day, hours=-1)) for day in range(len(steps) + 1)]
    assert set(seen[0]) == {None}
    for before, after in pairwise(seen):
        assert all(old is None or old == new for old, new in zip(before, after, strict=True))


@quick
@given(st.lists(weights, min_size=2, max_size=4))
def test_reweighting_moves_only_from_those_who_lose_to_those_who_gain(history):
    """And no more than must, within the error of 400 ids."""
    rules = [alone(flag(Rule(id="ramp", rollout=Rollout(split=split)))) for split in history]
    for (old, new), (before, after) in zip(
        pairwise(history), pairwise(map(variants, states(rules))), strict=True
    ):
        had, has = shares(old), shares(new)
        gain = {name: has.get(name, 0) - had.get(name, 0) for name in {**had, **has}}
        moved = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        assert all(gain[a] < 0 < gain[b] for a, b in moved)
        least = sum(max(0, -more) for more in gain.values()) / 2**32
        assert plausible(len(moved), len(IDS), least)


@quick
@given(weights, percentages, st.sampled_from(["rename", "away", "describe", "attributes"]))
def test_edits_that_are_called_safe_move_nobody(split, traffic, edit):
    before = alone(flag(trial(split=split, traffic=traffic)))
    (rule,) = before.flags["flag"].rules
    changed = {
        "rename": replace(rule, id="other"),
        "away": None,
        "describe": rule,
        "attributes": replace(rule, experiment=replace(rule.experiment, attributes=("country",))),
    }[edit]
    after = alone(flag(*([changed] if changed else []), description="edited"))
    assert {found.kind for found in classify(before, after)} == {"safe"}
    first, _, last = states([before, after, before if edit == "away" else after])
    assert variants(first) == variants(last)


# Layers and holdouts


@quick
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["EXP-1", "EXP-2", "EXP-3"]), st.integers(0, 33)),
        min_size=1,
        max_size=4,
    )
)
def test_nobody_is_in_two_experiments_of_a_layer(history):
    written = [
        FlagSet(
            flags={
                name: flag(trial(name, layer="page", layer_share=share), key=name)
                for name, share in wanted.items()
            },
            layers={"page": Layer(name="page")},
        )
        for wanted in history
    ]
    before = {}
    for wanted, ruleset in zip(history, states(written), strict=True):
        enrolled = {
            name: {unit for unit, variant in zip(IDS, variants(ruleset, name), strict=True) if variant}
            for name in wanted
        }
        for one, other in combinations(enrolled, 2):
            assert not enrolled[one] & enrolled[other]
        for name, share in wanted.items():
            old_share, old = before.get(name, (0, set()))
            assert old <= enrolled[name] if share >= old_share else enrolled[name] <= old
            assert plausible(len(enrolled[name]), len(IDS), share / 100)
        before = {name: (share, enrolled[name]) for name, share in wanted.items()}


@quick
@given(st.lists(st.integers(0, 100), min_size=1, max_size=4))
def test_a_holdout_is_held_out_of_every_experiment_that_names_it(history):
    held_flag = flag(trial("EXP-0", split={"control": 1}), key="open")
    others = [flag(trial(f"EXP-{n}", holdout="all", traffic=100), key=f"flag-{n}") for n in (1, 2)]
    written = [
        FlagSet(
            flags={one.key: one for one in (held_flag, *others)},
            holdouts={"all": Holdout(name="all", percentage=share)},
        )
        for share in history
    ]
    before = None
    for share, ruleset in zip(history, states(written), strict=True):
        out = [
            {u for u, v in zip(IDS, variants(ruleset, one.key), strict=True) if v is None} for one in others
        ]
        assert out[0] == out[1]
        assert None not in variants(ruleset, "open")
        assert plausible(len(out[0]), len(IDS), share / 100)
        if before is not None:
            assert before[1] <= out[0] if share >= before[0] else out[0] <= before[1]
        before = (share, out[0])


# Independence and uniformity: 100,000 ids, numbered salts

MANY = 100_000
FAMILIES = {
    "numbers": [str(number) for number in range(MANY)],
    "mail": [f"person{number}@example.com" for number in range(MANY)],
    "padded": [f"{number:032x}" for number in range(MANY)],
}


@pytest.fixture(scope="module")
def ten_experiments():
    """Ten experiments at once, each with arms of a half and every second unit enrolled: a row of units for each."""
    flags = {f"flag-{n}": flag(trial(f"EXP-{n}", traffic=50), key=f"flag-{n}") for n in range(10)}
    (ruleset,) = states([FlagSet(flags=flags)])
    return [np.array(variants(ruleset, key, FAMILIES["numbers"]), dtype=object) for key in flags]


def phi(one, other):
    """The correlation of two yes-or-no columns."""
    return np.corrcoef(one.astype(float), other.astype(float))[0, 1]


BOUND = norm.isf(0.001 / 45 / 2)
"""|phi| x sqrt(n) is about normal: beyond this for one of 45 pairs in one of 1,000 sets of salts."""


def test_two_experiments_are_independent_in_their_arms(ten_experiments):
    for one, other in combinations(ten_experiments, 2):
        both = np.array([a is not None and b is not None for a, b in zip(one, other, strict=True)])
        found = phi(one[both] == "b", other[both] == "b")
        assert abs(found) * np.sqrt(both.sum()) < BOUND


def test_two_experiments_are_independent_in_whom_they_enrol(ten_experiments):
    enrolled = [np.array([variant is not None for variant in arms]) for arms in ten_experiments]
    for one, other in combinations(enrolled, 2):
        assert abs(phi(one, other)) * np.sqrt(MANY) < BOUND


def test_the_arm_does_not_depend_on_being_enrolled_elsewhere(ten_experiments):
    for arms, other in combinations(ten_experiments, 2):
        mine = np.array([variant is not None for variant in arms])
        theirs = np.array([variant is not None for variant in other])
        assert abs(phi(arms[mine] == "b", theirs[mine])) * np.sqrt(mine.sum()) < BOUND


def test_a_new_phase_is_independent_of_the_old_one():
    written = [alone(flag(trial(phase=phase))) for phase in (1, 2)]
    old, new = (np.array(variants(ruleset, ids=FAMILIES["numbers"])) == "b" for ruleset in states(written))
    assert abs(phi(old, new)) * np.sqrt(MANY) < norm.isf(0.0005)


@pytest.mark.parametrize("family", FAMILIES)
def test_arms_have_their_weights_whatever_ids_look_like(family):
    """Chi-square over four arms of unlike weights, at p > 0.001; and 30% of traffic, within its error (10^-9)."""
    split = {"control": 50, "b": 30, "c": 15, "d": 5}
    (ruleset,) = states([alone(flag(trial(split=split, traffic=30)))])
    found = variants(ruleset, ids=FAMILIES[family])
    arms = [found.count(name) for name in split]
    enrolled = sum(arms)
    assert chisquare(arms, [enrolled * weight / 100 for weight in split.values()]).pvalue > 0.001
    assert plausible(enrolled, MANY, 0.3)


def test_p_values_of_many_splits_are_uniform():
    """200 experiments of 2,000 ids: their chi-squares sum to one of 200 degrees (two-sided, p > 0.001)."""
    flags = {f"f{n}": flag(trial(f"EXP-{n}"), key=f"f{n}") for n in range(200)}
    (ruleset,) = states([FlagSet(flags=flags)])
    ids = FAMILIES["mail"][:2000]
    total = sum((2 * variants(ruleset, key, ids).count("b") - 2000) ** 2 / 2000 for key in flags)
    assert 0.0005 < chi2.sf(total, 200) < 0.9995


# The payload as it travels


conditions = st.sampled_from(
    [
        None,
        {"attr": "n", "op": "gt", "value": 50},
        {"segment": "some"},
        {"not": {"attr": "s", "op": "eq", "value": "é😀"}},
    ]
)
rules = st.builds(
    lambda when, split, traffic, kind: {"when": when, "split": split, "traffic": traffic, "kind": kind},
    conditions, weights, percentages, st.sampled_from(["rollout", "experiment", "variant"]),
)  # fmt: skip


def written_rule(number, given):
    form = {
        "rollout": {"rollout": Rollout(split=given["split"], percentage=given["traffic"])},
        "experiment": {
            "experiment": Trial(
                id=f"EXP-{number}", split=given["split"], traffic=given["traffic"], holdout="h"
            )
        },
        "variant": {"variant": "d"},
    }[given["kind"]]
    return Rule(id=f"rule-{number}", when=given["when"], **form)


@quick
@given(st.lists(rules, max_size=4), st.sampled_from([None, "control"]))
def test_a_trip_through_json_changes_no_answer(given_rules, default):
    one = flag(*(written_rule(n, given) for n, given in enumerate(given_rules)), default=default,
               overrides={"user-1": "d", "é😀": "c"})  # fmt: skip
    some = Segment(name="some", when={"attr": "s", "op": "in", "value": ["a", "é😀"]})
    flags = FlagSet(
        flags={"flag": one}, segments={"some": some}, holdouts={"h": Holdout(name="h", percentage=20)}
    )
    payload, ledger = compile_flags(flags, Ledger(), numbered())
    here = upshot_sdk.Ruleset.from_dict({**payload, "revision": "r"})
    there = upshot_sdk.Ruleset.from_json(json.dumps({**payload, "revision": "r"}))
    again, unchanged = compile_flags(flags, ledger, numbered())
    assert (again, unchanged) == (payload, ledger)
    for number, unit in enumerate([*IDS[:60], "é😀", 7, None]):
        context = {"targetingKey": unit, "n": number, "s": ["a", "é😀", None][number % 3]}
        assert here.evaluate("flag", context) == there.evaluate("flag", context)
