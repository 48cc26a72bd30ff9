import pytest

from upshot.formats.flags import flags_from_yaml
from upshot.report.flag_words import _OPERATORS, condition_words, flag_words
from upshot_sdk.operators import OPERATORS


def words(fields, more=""):
    return flag_words(flags_from_yaml(f"flags: {{it: {{{fields}}}}}\n{more}").flags["it"])


EARLY = "segments: {early-adopters: {when: {attr: beta, op: exists}}, staff: {when: {attr: s, op: exists}}}"


def test_the_rollout_of_the_seed_in_words():
    found = words("enabled: true, percentage: 10, segments: [early-adopters]", EARLY)
    assert found == (
        "rollout: 10% of early-adopters get on, and nobody outside early-adopters",
        "everybody else gets off",
    )


TRIAL = (
    "rules: [{id: e, starts: 2026-12-01T09:00:00Z, until: 2026-12-08T09:00:00Z, experiment: {id: EXP-1,"
    " traffic: 20, split: {on: 1, off: 2}, layer: page, layer_share: 40, holdout: all}}]"
)
TRIAL_WORDS = (
    "e: EXP-1, phase 1, enrols 20% of everybody: on 33.33%, off 66.67%, within 40% of layer page,"
    " without holdout all, from 2026-12-01 09:00 UTC, until 2026-12-08 09:00 UTC"
)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("", ["everybody gets on"]),
        ("enabled: false", ["it is off: everybody gets the caller's default", "everybody gets on"]),
        (
            "variants: {a: 1, b: 2}, overrides: {u: b, v: b}",
            [
                "by hand, 2 units are given a variant and counted nowhere",
                "everybody gets the caller's default",
            ],
        ),
        (
            "prerequisites: [{flag: pay, variants: [on, off]}]",
            ["only where pay gives on or off, else on", "everybody gets on"],
        ),
        (
            "segments: [early-adopters, staff], when: {attr: country, op: in, value: [CA, US]}",
            [
                "rollout: those in early-adopters and staff whose country is one of CA, US get on",
                "everybody else gets off",
            ],
        ),
        (
            "percentage: 1, schedule: [{at: 2026-12-01T10:00:00+01:00, percentage: 50}], unit: account",
            [
                "rollout: 1% of everybody get on, 50% from 2026-12-01 09:00 UTC, drawn by account",
                "everybody else gets off",
            ],
        ),
        (TRIAL, [TRIAL_WORDS, "everybody else gets off"]),
        (
            "rules: [{id: r, rollout: {split: {on: 1, off: 1}, percentage: 4}}]",
            ["r: 4% of everybody get on 50%, off 50%", "everybody else gets off"],
        ),
    ],
)
def test_a_flag_in_words(fields, said):
    assert list(words(fields, EARLY + "\nlayers: {page: }\nholdouts: {all: {percentage: 5}}")) == said


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"attr": "a", "op": "exists"}, "a is there"),
        ({"attr": "a", "op": "eq", "value": True}, "a is true"),
        (
            {"attr": "a", "op": "in", "value": list(range(12))},
            "a is one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more",
        ),
        ({"not": {"segment": "staff"}}, "not (who are in staff)"),
        (
            {
                "any": [
                    {"attr": "a", "op": "gt", "value": 3},
                    {"all": [{"segment": "s"}, {"attr": "b", "op": "ne", "value": "x"}]},
                ]
            },
            "a is above 3 or (who are in s and b is not x)",
        ),
    ],
)
def test_conditions_in_words(condition, said):
    assert condition_words(condition) == said


def test_every_operator_of_the_evaluator_has_its_words():
    assert set(_OPERATORS) == set(OPERATORS)
