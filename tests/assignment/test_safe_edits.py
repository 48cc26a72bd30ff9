"""What is called safe is safe: random edits, classed, then asked of the SDK unit by unit.

If no edit wants a new phase or is blocked, everybody who was in an experiment is still in it with the same variant:
unless it ended or is off for all variants alike, which is looked at apart.
"""

from dataclasses import replace
from itertools import count

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

import upshot_sdk
from upshot.assignment.edits import classify
from upshot.assignment.ledger import Ledger
from upshot.assignment.payload import compile_flags
from upshot.model.flag import Flag, FlagSet, Holdout, Layer, Prerequisite, Rollout, Rule, Segment, Trial

BETA = {"attr": "beta", "op": "eq", "value": True}
CANADA = {"attr": "country", "op": "eq", "value": "CA"}
EARLY = {"segment": "early"}
EITHER = {"any": [EARLY, CANADA]}
CONDITIONS = [None, BETA, CANADA, EARLY, EITHER, {"not": CANADA}]
VARIANTS = {"control": "a", "treatment": "b", "third": "c"}
SPLITS = [{"control": 1, "treatment": 1}, {"control": 50, "treatment": 50}, {"control": 1, "treatment": 3},
          {"control": 1, "treatment": 1, "third": 1}, {"control": 1, "treatment": 1, "third": 0}]  # fmt: skip
PERCENTAGES = [0, 10, 40, 70, 100]
CONTEXTS = [
    {
        "targetingKey": f"u{n}",
        "account": f"a{n % 40}",
        "beta": n % 2 == 0,
        "country": ("CA", "FR", "US")[n % 3],
    }
    for n in range(240)
]

pick = st.sampled_from


@st.composite
def worlds(draw):
    """Two flags with an experiment each, rules before them, and what they refer to."""
    flags = {
        key: Flag(key=key, type="string", variants=VARIANTS, default=draw(pick([None, "control"])),
                  rules=tuple(draw(st.permutations(rules_of(draw, key, number)))),
                  prerequisites=draw(pick([(), (Prerequisite(flag="release", variants=("on",)),)])))
        for number, key in enumerate(("checkout", "banner"), 1)
    }  # fmt: skip
    release = Rule(
        id="open",
        when=draw(pick(CONDITIONS)),
        rollout=Rollout(variant="on", percentage=draw(pick(PERCENTAGES))),
    )
    flags["release"] = Flag(
        key="release", type="boolean", variants={"on": True, "off": False}, default=draw(pick(["on", "off"])),
        rules=(release,),
    )  # fmt: skip
    return FlagSet(
        flags=flags,
        segments={"early": Segment(name="early", when=draw(pick([BETA, CANADA])))},
        layers={"page": Layer(name="page")},
        holdouts={"all": Holdout(name="all", percentage=draw(pick([0, 10, 40])))},
    )


def rules_of(draw, key, number):
    trial = Trial(
        id=f"EXP-{number}", split=draw(pick(SPLITS)), traffic=draw(pick(PERCENTAGES)), layer=draw(pick([None, "page"])),
        layer_share=draw(pick([10, 30, 50])), holdout=draw(pick([None, "all"])),
    )  # fmt: skip
    when, segments = draw(pick(CONDITIONS)), draw(pick([(), ("early",)]))
    ramp = Rollout(variant="third", percentage=draw(pick(PERCENTAGES)))
    rules = [Rule(id="exp", when=when, segments=segments, experiment=trial)]
    if draw(st.booleans()):
        rules.append(Rule(id="ramp", when=draw(pick(CONDITIONS)), rollout=ramp))
    if draw(st.booleans()):
        rules.append(Rule(id="fixed", when=draw(pick(CONDITIONS[1:])), variant="third"))
    return rules


@st.composite
def edited(draw, flags):
    """The same with one thing or a few changed."""
    for _ in range(draw(st.integers(1, 3))):
        flags = draw(pick(EDITS))(draw, flags)
    return flags


def of_flag(draw, flags, change, keys=("checkout", "banner", "release")):
    key = draw(pick(keys))
    return replace(flags, flags={**flags.flags, key: change(flags.flags[key])})


def of_rule(change):
    def edit(draw, flags):
        def changed(flag):
            place = draw(st.integers(0, len(flag.rules) - 1)) if flag.rules else None
            rules = [change(draw, rule) if at == place else rule for at, rule in enumerate(flag.rules)]
            return replace(flag, rules=tuple(rule for rule in rules if rule))

        return of_flag(draw, flags, changed)

    return edit


def of_form(form, field, values):
    """An edit of the experiment (or the rollout) of a flag."""

    def edit(draw, flags):
        value = draw(pick(values))

        def change(flag):
            return replace(flag, rules=tuple(
                replace(rule, **{form: replace(getattr(rule, form), **{field: value})}) if getattr(rule, form) else rule
                for rule in flag.rules
            ))  # fmt: skip

        return of_flag(
            draw, flags, change, ("checkout", "banner") if form == "experiment" else ("release", "checkout")
        )

    return edit


def of_shared(kind, name, field, values):
    def edit(draw, flags):
        things = getattr(flags, kind)
        return replace(
            flags, **{kind: {**things, name: replace(things[name], **{field: draw(pick(values))})}}
        )

    return edit


def a_rule_more(draw, flags):
    rule = Rule(id="more", when=draw(pick(CONDITIONS)), variant="third")

    def change(flag):
        at = draw(st.integers(0, len(flag.rules)))
        return replace(flag, rules=(*flag.rules[:at], rule, *flag.rules[at:]))

    return of_flag(draw, flags, change, ("checkout", "banner"))


def another_order(draw, flags):
    return of_flag(draw, flags, lambda flag: replace(flag, rules=tuple(draw(st.permutations(flag.rules)))))


def another_experiment(draw, flags):
    trial = Trial(id="EXP-3", split=SPLITS[0], layer=draw(pick([None, "page"])), layer_share=40)
    rule = Rule(id="third", experiment=trial)
    return of_flag(draw, flags, lambda flag: replace(flag, rules=(*flag.rules, rule)), ("checkout", "banner"))


def other_needs(draw, flags):
    needs = draw(pick([(), (Prerequisite(flag="release", variants=("on",)),),
                       (Prerequisite(flag="release", variants=("on", "off")),)]))  # fmt: skip
    return of_flag(draw, flags, lambda flag: replace(flag, prerequisites=needs), ("checkout", "banner"))


def another_default(draw, flags):
    return of_flag(draw, flags, lambda flag: replace(flag, default=draw(pick([None, *flag.variants]))))


EDITS = [
    of_form("experiment", "traffic", PERCENTAGES),
    of_form("experiment", "split", SPLITS),
    of_form("experiment", "layer", [None, "page"]),
    of_form("experiment", "layer_share", [10, 30, 50]),
    of_form("experiment", "holdout", [None, "all"]),
    of_form("experiment", "attributes", [("country",)]),
    of_form("experiment", "salt", [None, "imported"]),
    of_form("experiment", "unit", ["targetingKey", "account"]),
    of_form("rollout", "percentage", PERCENTAGES),
    of_form("rollout", "unit", ["targetingKey", "account"]),
    of_rule(lambda draw, rule: replace(rule, when=draw(pick(CONDITIONS)))),
    of_rule(lambda draw, rule: replace(rule, segments=draw(pick([(), ("early",)])))),
    of_rule(lambda draw, rule: replace(rule, id=f"renamed-{rule.id}")),
    of_rule(lambda draw, rule: None),
    of_rule(lambda draw, rule: replace(rule, variant="third", rollout=None, experiment=None)
            if not set(rule.rollout.split if rule.rollout else ()) and rule.id != "open" else rule),
    of_shared("segments", "early", "when", [BETA, CANADA]),
    of_shared("holdouts", "all", "percentage", [0, 10, 40]),
    a_rule_more,
    another_order,
    another_experiment,
    other_needs,
    another_default,
]  # fmt: skip


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


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_who_is_in_stays_in_with_the_same_variant(data):
    before = data.draw(worlds())
    after = data.draw(edited(before))
    try:
        old, new = states(before, after)
    except (ValueError, upshot_sdk.RulesetError):
        assume(False)
    kinds = {edit.kind for edit in classify(before, after)}
    event(f"kinds: {', '.join(sorted(kinds)) or 'no edit'}")
    if kinds - {"safe"}:
        return
    for key in ("checkout", "banner"):
        had, has = enrolled(old, key), enrolled(new, key)
        kept = running(before, key) & running(after, key)
        lost = {unit: arm for unit, arm in had.items() if arm[0] in kept and has.get(unit) != arm}
        assert not lost, (lost, classify(before, after))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_raised_phase_leaves_nothing_but_what_is_blocked(data):
    before = data.draw(worlds())
    after = data.draw(edited(before))
    raised = {
        key: replace(flag, rules=tuple(
            replace(rule, experiment=replace(rule.experiment, phase=2, salt=None)) if rule.experiment else rule
            for rule in flag.rules))
        for key, flag in after.flags.items()
    }  # fmt: skip
    try:
        tuple(states(before, after))
    except (ValueError, upshot_sdk.RulesetError):
        assume(False)
    assert "new_phase" not in {edit.kind for edit in classify(before, replace(after, flags=raised))}
