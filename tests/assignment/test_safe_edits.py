"""What is called safe is safe: random edits, classed, then asked of the SDK unit by unit.

If no edit wants a new phase or is blocked, everybody who was in an experiment is still in it with the same variant.
Each kind of edit is tried in 60 worlds made by chance, by seeds that are their numbers; a kind of edit that is called
safe where it is not is found in several of them (tried by breaking each judge in turn).
"""

from dataclasses import replace
from itertools import count
from random import Random

import pytest

import upshot_sdk
from upshot.assignment.edits import classify
from upshot.assignment.ledger import Ledger
from upshot.assignment.payload import compile_flags
from upshot.model.flag import Flag, FlagSet, Holdout, Layer, Prerequisite, Rollout, Rule, Segment, Trial

BETA = {"attr": "beta", "op": "eq", "value": True}
CANADA = {"attr": "country", "op": "eq", "value": "CA"}
EARLY = {"segment": "early"}
CONDITIONS = [None, BETA, CANADA, EARLY, {"any": [EARLY, CANADA]}, {"not": CANADA}]
VARIANTS = {"control": "a", "treatment": "b", "third": "c"}
SPLITS = [{"control": 1, "treatment": 1}, {"control": 50, "treatment": 50}, {"control": 1, "treatment": 3},
          {"control": 1, "treatment": 1, "third": 1}, {"control": 1, "treatment": 1, "third": 0}]  # fmt: skip
SHARES = [20, 50, 80, 100]
NEEDS = [(), (Prerequisite(flag="release", variants=("on",)),),
         (Prerequisite(flag="release", variants=("on", "off")),)]  # fmt: skip
TESTED = ("checkout", "banner")
CONTEXTS = [
    {
        "targetingKey": f"u{n}",
        "account": f"a{n % 40}",
        "beta": n % 2 == 0,
        "country": ("CA", "FR", "US")[n % 3],
    }
    for n in range(150)
]


def world(chance):
    """Two flags with an experiment each among other rules, and a flag, a segment, a layer, a holdout they refer to."""
    flags = {key: one_flag(chance, key, number) for number, key in enumerate(TESTED, 1)}
    opened = Rollout(variant="on", percentage=chance.choice(SHARES))
    flags["release"] = Flag(
        key="release", type="boolean", variants={"on": True, "off": False}, default=chance.choice(["on", "off"]),
        rules=(Rule(id="open", when=chance.choice(CONDITIONS), rollout=opened),),
    )  # fmt: skip
    return FlagSet(
        flags=flags,
        segments={"early": Segment(name="early", when=chance.choice([BETA, CANADA]))},
        layers={"page": Layer(name="page")},
        holdouts={"all": Holdout(name="all", percentage=chance.choice([10, 40]))},
    )


def one_flag(chance, key, number):
    trial = Trial(
        id=f"EXP-{number}", split=chance.choice(SPLITS), traffic=chance.choice(SHARES),
        layer_share=chance.choice([30, 50]), layer=chance.choice([None, "page"]), holdout=chance.choice([None, "all"]),
    )  # fmt: skip
    ramp = Rollout(variant="third", percentage=chance.choice(SHARES))
    rules = [
        Rule(id="exp", when=chance.choice(CONDITIONS), segments=chance.choice([(), ("early",)]), experiment=trial),
        Rule(id="ramp", when=chance.choice(CONDITIONS), rollout=ramp),
        Rule(id="fixed", when=chance.choice(CONDITIONS[1:]), variant="third"),
    ]  # fmt: skip
    some = chance.sample(rules, chance.randint(1, 3))
    return Flag(
        key=key, type="string", variants=VARIANTS, default=chance.choice([None, "control"]),
        rules=tuple(some if rules[0] in some else [*some, rules[0]]), prerequisites=chance.choice(NEEDS[:2]),
    )  # fmt: skip


# Edits: from chance and flags to flags


def of_flag(change, keys=TESTED):
    def edit(chance, flags):
        key = chance.choice(keys)
        return replace(flags, flags={**flags.flags, key: change(chance, flags.flags[key])})

    return edit


def of_rule(change, keys=(*TESTED, "release")):
    def edit(chance, flag):
        at = chance.randrange(len(flag.rules)) if flag.rules else -1
        rules = [change(chance, rule) if place == at else rule for place, rule in enumerate(flag.rules)]
        return replace(flag, rules=tuple(rule for rule in rules if rule))

    return of_flag(edit, keys)


def of_form(form, field, values, keys):
    """An edit of the experiment (or the rollout) of a flag."""

    def edit(chance, flag):
        value = chance.choice(values)
        rules = [
            replace(rule, **{form: replace(getattr(rule, form), **{field: value})})
            if getattr(rule, form)
            else rule
            for rule in flag.rules
        ]
        return replace(flag, rules=tuple(rules))

    return of_flag(edit, keys)


def of_trial(field, values):
    return of_form("experiment", field, values, TESTED)


def of_rollout(field, values):
    return of_form("rollout", field, values, (*TESTED, "release"))


def of_shared(kind, name, field, values):
    def edit(chance, flags):
        things = getattr(flags, kind)
        return replace(
            flags, **{kind: {**things, name: replace(things[name], **{field: chance.choice(values)})}}
        )

    return edit


def with_rule(chance, flag):
    rule = Rule(id="more", when=chance.choice(CONDITIONS), variant="third")
    at = chance.randint(0, len(flag.rules))
    return replace(flag, rules=(*flag.rules[:at], rule, *flag.rules[at:]))


def with_experiment(chance, flag):
    trial = Trial(id="EXP-3", split=SPLITS[0], layer=chance.choice([None, "page"]), layer_share=40)
    return replace(flag, rules=(*flag.rules, Rule(id="third", experiment=trial)))


EDITS = {
    "traffic": of_trial("traffic", SHARES),
    "split": of_trial("split", SPLITS),
    "layer": of_trial("layer", [None, "page"]),
    "layer share": of_trial("layer_share", [10, 30, 50]),
    "holdout": of_trial("holdout", [None, "all"]),
    "attributes": of_trial("attributes", [("country",)]),
    "salt": of_trial("salt", [None, "imported"]),
    "unit": of_trial("unit", ["targetingKey", "account"]),
    "rollout": of_rollout("percentage", SHARES),
    "unit of a rollout": of_rollout("unit", ["targetingKey", "account"]),
    "condition": of_rule(lambda chance, rule: replace(rule, when=chance.choice(CONDITIONS))),
    "segments": of_rule(lambda chance, rule: replace(rule, segments=chance.choice([(), ("early",)]))),
    "name": of_rule(lambda chance, rule: replace(rule, id=f"renamed-{rule.id}")),
    "removed": of_rule(lambda chance, rule: None),
    "replaced": of_rule(lambda chance, rule: replace(rule, variant="third", rollout=None, experiment=None), TESTED),
    "segment": of_shared("segments", "early", "when", [BETA, CANADA]),
    "held out": of_shared("holdouts", "all", "percentage", [10, 20, 40]),
    "another rule": of_flag(with_rule),
    "order": of_flag(lambda chance, flag: replace(flag, rules=tuple(chance.sample(flag.rules, len(flag.rules))))),
    "another experiment": of_flag(with_experiment),
    "needs": of_flag(lambda chance, flag: replace(flag, prerequisites=chance.choice(NEEDS))),
    "default": of_flag(lambda chance, flag: replace(flag, default=chance.choice([*flag.variants])),
                       (*TESTED, "release")),
}  # fmt: skip


def edited(name):
    """Worlds before and after an edit, in every third of them with another one, and what evaluates both."""
    for seed in range(60):
        chance = Random(f"{name} {seed}")
        before = world(chance)
        after = EDITS[name](chance, before)
        if seed % 3 == 0:
            after = EDITS[chance.choice(list(EDITS))](chance, after)
        yield before, after


def states(*history):
    ledger, numbers = Ledger(), count()
    for flags in history:
        payload, ledger = compile_flags(flags, ledger, lambda: f"salt-{next(numbers)}")
        yield upshot_sdk.Ruleset.from_dict({**payload, "revision": "r"})


def enrolled(ruleset, key):
    answers = ((context["targetingKey"], ruleset.evaluate(key, context)) for context in CONTEXTS)
    return {
        unit: (a.metadata["experiment_id"], a.variant) for unit, a in answers if "experiment_id" in a.metadata
    }


def running(flags, key):
    return {rule.experiment.id for rule in flags.flags[key].rules if rule.experiment}


@pytest.mark.parametrize("name", EDITS)
def test_who_is_in_stays_in_with_the_same_variant(name):
    tried = 0
    for before, after in edited(name):
        found = classify(before, after)
        if {edit.kind for edit in found} - {"safe"}:
            continue
        try:
            old, new = states(before, after)
        except (ValueError, upshot_sdk.RulesetError):
            continue  # such as a layer that is full
        for key in TESTED:
            kept = running(before, key) & running(after, key)
            had, has = enrolled(old, key), enrolled(new, key)
            lost = {unit: arm for unit, arm in had.items() if arm[0] in kept and has.get(unit) != arm}
            assert not lost, (key, lost, found)
            tried += bool(had)
    assert tried >= 10


@pytest.mark.parametrize("name", EDITS)
def test_a_raised_phase_leaves_nothing_but_what_is_blocked(name):
    for before, after in edited(name):
        raised = {
            key: replace(flag, rules=tuple(
                replace(rule, experiment=replace(rule.experiment, phase=2, salt=None)) if rule.experiment else rule
                for rule in flag.rules))
            for key, flag in after.flags.items()
        }  # fmt: skip
        assert "new_phase" not in {edit.kind for edit in classify(before, replace(after, flags=raised))}
