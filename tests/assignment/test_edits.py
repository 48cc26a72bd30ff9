"""Every edit of a flag has a class; the reasons are in docs/decisions/edits.md."""

import itertools
import re
from dataclasses import fields, replace
from datetime import UTC, date, datetime

import pytest

from upshot.assignment import changes, edits, shared
from upshot.assignment.edits import classify
from upshot.assignment.ledger import Ledger
from upshot.assignment.payload import compile_flags
from upshot.model.flag import (
    Flag,
    FlagSet,
    Holdout,
    Layer,
    Monitoring,
    Prerequisite,
    Rollout,
    Rule,
    Segment,
    Step,
    Trial,
)

CANADA = {"attr": "country", "op": "eq", "value": "CA"}
IN_EARLY = {"any": [{"segment": "early"}, CANADA]}
MONDAY, FRIDAY = datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=UTC)
TRIAL = Trial(
    id="EXP-1",
    split={"control": 1, "treatment": 1},
    traffic=50,
    layer="page",
    layer_share=50,
    holdout="all",
)
RAMP = Rule(id="ramp", when=CANADA, rollout=Rollout(variant="treatment", percentage=20))
EXP = Rule(id="exp", segments=("early",), experiment=TRIAL)
FLAG = Flag(
    key="checkout",
    type="string",
    variants={"control": "a", "treatment": "b", "spare": "c"},
    default="control",
    rules=(RAMP, EXP),
    prerequisites=(Prerequisite(flag="release", variants=("on",)),),
)
RELEASE = Flag(
    key="release",
    type="boolean",
    variants={"on": True, "off": False},
    default="off",
    rules=(Rule(id="open", rollout=Rollout(variant="on", percentage=10)),),
)
BEFORE = FlagSet(
    flags={"checkout": FLAG, "release": RELEASE},
    segments={
        "early": Segment(name="early", when={"segment": "beta"}),
        "beta": Segment(name="beta", when={"attr": "beta", "op": "eq", "value": True}),
        "unused": Segment(name="unused", when=CANADA),
    },
    layers={"page": Layer(name="page"), "idle": Layer(name="idle")},
    holdouts={"all": Holdout(name="all", percentage=5), "idle": Holdout(name="idle", percentage=5)},
)


def of(flag=FLAG, **shared):
    """The whole set after an edit of the flag under test, or of what it refers to."""
    return replace(BEFORE, flags={**BEFORE.flags, "checkout": flag}, **shared)


def trial(**changed):
    return of(replace(FLAG, rules=(RAMP, replace(EXP, experiment=replace(TRIAL, **changed)))))


def exp(**changed):
    return of(replace(FLAG, rules=(RAMP, replace(EXP, **changed))))


def ramp(**changed):
    return of(replace(FLAG, rules=(replace(RAMP, **changed), EXP)))


def rollout(**changed):
    return ramp(rollout=replace(RAMP.rollout, **changed))


def release(**changed):
    return replace(BEFORE, flags={**BEFORE.flags, "release": replace(RELEASE, **changed)})


def opening(**changed):
    rule = RELEASE.rules[0]
    return release(rules=(replace(rule, rollout=replace(rule.rollout, **changed)),))


def rules(*given):
    return of(replace(FLAG, rules=given))


def changed(kind, name, **fields):
    things = getattr(BEFORE, kind)
    return replace(BEFORE, **{kind: {**things, name: replace(things[name], **fields)}})


QA = Rule(id="qa", when=CANADA, variant="treatment")
OTHER = Flag(key="x", type="string", variants={})
SECOND = Rule(id="second", experiment=Trial(id="EXP-2", split={"control": 1, "treatment": 1}))

TABLE = [
    # the experiment itself
    ("more traffic", trial(traffic=80), "safe", "only adds units to EXP-1"),
    ("less traffic", trial(traffic=10), "new_phase", "takes units out of EXP-1 .* to 2"),
    ("other weights", trial(split={"control": 9, "treatment": 1}), "new_phase", "mix two allocations"),
    ("the same weights", trial(split={"control": 50, "treatment": 50}), "safe", "the same shares"),
    ("a variant more", trial(split={"control": 1, "treatment": 1, "spare": 1}), "new_phase", "split goes"),
    ("a variant less", trial(split={"control": 1}), "new_phase", "split goes from control 1, treatment 1"),
    ("a variant of weight 0", trial(split={**TRIAL.split, "spare": 0}), "safe", "the same shares"),
    ("a new phase", trial(phase=2), "safe", "draws everybody afresh"),
    ("an old phase", trial(phase=0), "blocked", "opens a closed phase again: give 1 or more"),
    ("another unit", trial(unit="accountId"), "blocked", "start a new experiment"),
    ("another layer", trial(layer="idle"), "new_phase", "layer goes from page to idle"),
    ("out of its layer", trial(layer=None), "new_phase", "layer goes from page to none"),
    ("more of its layer", trial(layer_share=60), "safe", "layer_share goes from 50% to 60%"),
    ("less of its layer", trial(layer_share=40), "new_phase", "takes units out"),
    ("another holdout", trial(holdout="idle"), "new_phase", "holdout goes from all to idle"),
    ("out of its holdout", trial(holdout=None), "safe", "only adds units"),
    ("more in its exposures", trial(attributes=("country",)), "safe", "copied into exposures"),
    ("another salt", trial(salt="imported"), "new_phase", "draws everybody afresh within one phase"),
    ("its rule renamed", exp(id="experiment"), "safe", "keeps its draws"),
    ("a condition", exp(when=CANADA), "new_phase", "takes units out of EXP-1"),
    ("a segment more", exp(segments=("early", "unused")), "safe", "only adds units"),
    ("another segment", exp(segments=("unused",)), "new_phase", "changes who can enter"),
    ("no segment", exp(segments=()), "safe", "only adds units"),
    ("a later start", exp(starts=FRIDAY), "safe", "the same for all its variants"),
    ("an end", exp(until=FRIDAY), "safe", "the same for all its variants"),
    ("stopped", rules(RAMP), "safe", "EXP-1 stops"),
    ("another id", trial(id="EXP-9"), "safe", "EXP-1 stops"),
    ("decided", rules(RAMP, replace(EXP, experiment=None, variant="treatment")), "safe", "EXP-1 stops"),
    # another rule of its flag
    ("a rule after it", rules(RAMP, EXP, QA), "safe", "rule qa: it is new"),
    ("a rule before it", rules(QA, RAMP, EXP), "new_phase", "rule qa: it is new, which takes units before"),
    ("no rule before it", rules(EXP), "safe", "rule ramp: it is removed"),
    ("put before another", rules(EXP, RAMP), "safe", "another order"),
    ("a condition less before it", ramp(when=None), "new_phase", "takes units before they reach EXP-1"),
    ("a condition more before it", ramp(segments=("early",)), "safe", "ramp: segments go from none to early"),
    ("another condition before it", ramp(when=IN_EARLY), "new_phase", "its condition changed"),
    ("a later start before it", ramp(starts=FRIDAY), "safe", "starts goes from none"),
    ("an end before it", ramp(until=FRIDAY), "safe", "until goes from none"),
    ("more of a rollout before it", rollout(percentage=30), "new_phase", "percentage goes from 20% to 30%"),
    ("less of a rollout before it", rollout(percentage=10), "safe", "percentage goes from 20% to 10%"),
    ("a schedule", rollout(schedule=(Step(at=FRIDAY, percentage=50),)), "new_phase", "50% at 2026-11-27"),
    ("a rollout of another variant", rollout(variant="spare"), "safe", "from treatment to spare"),
    ("a rollout of two", rollout(split={"spare": 1, "treatment": 1}), "safe", "as few units as can be"),
    ("a rollout on another unit", rollout(unit="accountId"), "new_phase", "unit goes from targetingKey"),
    ("a constant for a rollout", ramp(rollout=None, variant="spare"), "new_phase", "it is a variant instead"),
    # its flag
    ("another type", of(replace(FLAG, type="object")), "blocked", "make a new flag"),
    ("a new variant", of(replace(FLAG, variants={**FLAG.variants, "d": "d"})), "safe", "variant d is new"),
    ("a variant gone", of(replace(FLAG, variants={"control": "a", "treatment": "b"})), "safe", "spare is rem"),
    ("a value in use", of(replace(FLAG, variants={**FLAG.variants, "treatment": "B"})), "blocked", "of its own"),
    ("a value not in use", of(replace(FLAG, variants={**FLAG.variants, "spare": "C"})), "safe", "spare has"),
    ("another default", of(replace(FLAG, default="spare")), "safe", "units that no rule takes"),
    ("turned off", of(replace(FLAG, enabled=False)), "safe", "turned off, which is the same for all"),
    ("an override", of(replace(FLAG, overrides={"u1": "spare"})), "safe", "for testers"),
    ("no prerequisite", of(replace(FLAG, prerequisites=())), "safe", "only adds units"),
    ("a description", of(replace(FLAG, description="new")), "safe", "description changed"),
    ("an owner", of(replace(FLAG, owner="ann")), "safe", "owner changed"),
    ("an expiry", of(replace(FLAG, expires=date(2027, 1, 1))), "safe", "expires changed"),
    ("limits", of(replace(FLAG, monitoring=Monitoring(error_threshold=0.01))), "safe", "monitoring changed"),
    ("metadata", of(replace(FLAG, metadata={"ticket": "A-1"})), "safe", "metadata changed"),
    ("its flag removed", replace(BEFORE, flags={"release": RELEASE}), "safe", "EXP-1 stops"),
    ("another flag", replace(BEFORE, flags={**BEFORE.flags, "x": OTHER}), "safe", "flag x is new"),
    ("another experiment", rules(RAMP, EXP, SECOND), "safe", "rule second: it is new"),
    # the flag that it needs
    ("more of the release", opening(percentage=50), "safe", "from 10% to 50%"),
    ("less of the release", opening(percentage=5), "new_phase", "since it needs flag release"),
    ("more who do not get it", opening(variant="off"), "new_phase", "since it needs flag release"),
    ("another default of the release", release(default="on"), "new_phase", "since it needs flag release"),
    ("the release turned off", release(enabled=False), "safe", "the same for all variants"),
    # what flags share
    ("its segment", changed("segments", "early", when=CANADA), "new_phase", "segment early: its condition"),
    ("a segment of its segment", changed("segments", "beta", when=CANADA), "new_phase", "segment beta"),
    ("an unused segment", changed("segments", "unused", when=IN_EARLY), "safe", "segment unused: when"),
    ("a segment described", changed("segments", "early", description="x"), "safe", "description changed"),
    ("its layer on another unit", changed("layers", "page", unit="accountId"), "blocked", "make a new layer"),
    ("an idle layer", changed("layers", "idle", unit="accountId"), "safe", "layer idle: unit changed"),
    ("a layer described", changed("layers", "page", description="x"), "safe", "description changed"),
    ("more held out", changed("holdouts", "all", percentage=10), "new_phase", "takes units out of EXP-1"),
    ("fewer held out", changed("holdouts", "all", percentage=2), "safe", "only adds units"),
    ("held out by another unit", changed("holdouts", "all", unit="accountId"), "blocked", "a new holdout"),
    ("an idle holdout", changed("holdouts", "idle", percentage=9), "safe", "holdout idle: percentage changed"),
    ("a holdout described", changed("holdouts", "all", description="x"), "safe", "description changed"),
    ("nothing", BEFORE, "safe", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("after", "kind", "sentence"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_table_of_edits(after, kind, sentence):
    found = classify(BEFORE, after)
    if sentence is None:
        assert found == ()
        return
    assert {edit.kind for edit in found} - {"safe"} == {kind} - {"safe"}, found
    assert [edit for edit in found if edit.kind == kind and re.search(sentence, edit.sentence)], found


def only_new_phases():
    return [row for row in TABLE if row[2] == "new_phase"]


@pytest.mark.parametrize(
    "after", [row[1] for row in only_new_phases()], ids=[row[0] for row in only_new_phases()]
)
def test_a_raised_phase_accepts_what_wants_a_new_phase(after):
    flag = after.flags["checkout"]
    raised = tuple(
        replace(rule, experiment=replace(rule.experiment, phase=2)) if rule.experiment else rule
        for rule in flag.rules
    )
    with_phase = replace(after, flags={**after.flags, "checkout": replace(flag, rules=raised)})
    found = classify(BEFORE, with_phase)
    assert {edit.kind for edit in found} == {"safe"}
    assert any("EXP-1 starts phase 2 with it" in edit.sentence for edit in found)


@pytest.mark.parametrize(
    ("cls", "table"),
    [
        (Flag, edits.FLAG),
        (Rule, changes.RULE),
        (Rollout, changes.ROLLOUT),
        (Trial, changes.TRIAL),
        (Segment, shared.SEGMENT),
        (Layer, shared.LAYER),
        (Holdout, shared.HOLDOUT),
    ],
)
def test_no_field_is_without_a_class(cls, table):
    assert {field.name for field in fields(cls)} == set(table)


IDENTITIES = {(Flag, "key"), (Trial, "id"), (Segment, "name"), (Layer, "name"), (Holdout, "name")}


def test_every_field_has_its_row():
    """A field that nobody edits in the table is a field whose class nobody has looked at."""
    pairs = [pair for _, after, _, _ in TABLE for pair in pairs_of(after)]
    seen = {
        (type(old), field.name)
        for old, new in pairs
        for field in fields(old)
        if getattr(old, field.name) != getattr(new, field.name)
    }
    classes = (Flag, Rule, Rollout, Trial, Segment, Layer, Holdout)
    assert seen >= {(cls, field.name) for cls in classes for field in fields(cls)} - IDENTITIES


def pairs_of(after):
    """Everything that is there before and after an edit, state beside state."""
    for kind in ("flags", "segments", "layers", "holdouts"):
        old, new = getattr(BEFORE, kind), getattr(after, kind)
        yield from ((old[name], new[name]) for name in old.keys() & new.keys())
    for key in BEFORE.flags.keys() & after.flags.keys():
        for old, new in itertools.product(BEFORE.flags[key].rules, after.flags[key].rules):
            if old.id == new.id or (
                old.experiment and new.experiment and old.experiment.id == new.experiment.id
            ):
                yield old, new
                if old.rollout and new.rollout:
                    yield old.rollout, new.rollout
                if old.experiment and new.experiment:
                    yield old.experiment, new.experiment


def test_an_experiment_that_has_not_started_can_be_changed():
    before = exp(starts=FRIDAY)
    after = exp(
        starts=FRIDAY, experiment=replace(TRIAL, split={"control": 9, "treatment": 1}, unit="accountId")
    )
    assert {edit.kind for edit in classify(before, after, now=MONDAY)} == {"safe"}
    assert {edit.kind for edit in classify(before, after, now=FRIDAY)} == {"new_phase", "blocked"}
    assert classify(before, after) == classify(before, after, now=FRIDAY)


def test_a_new_phase_may_not_draw_with_the_salt_of_the_old_one():
    (edit,) = classify(trial(salt="imported"), trial(salt="imported", phase=2))
    assert (edit.kind, edit.flag, edit.rule) == ("blocked", "checkout", "exp")
    assert "leave its salt out" in edit.sentence
    assert {e.kind for e in classify(trial(salt="imported"), trial(phase=2))} == {"safe"}
    assert {e.kind for e in classify(trial(salt="imported"), trial())} == {"safe"}


def test_an_experiment_stays_in_its_flag():
    moved = replace(BEFORE, flags={**BEFORE.flags, "checkout": replace(FLAG, rules=(RAMP,)),
                                   "cart": replace(FLAG, key="cart")})  # fmt: skip
    blocked = [edit for edit in classify(BEFORE, moved) if edit.kind == "blocked"]
    sentence = (
        "flag checkout, rule exp: EXP-1 moves to flag cart, which asks another question: "
        "keep it in flag checkout, or give the experiment in cart a new id"
    )
    assert [edit.sentence for edit in blocked] == [sentence]


def test_what_an_experiment_takes_is_lost_to_the_ones_below():
    before = rules(RAMP, EXP, SECOND)
    found = classify(before, rules(RAMP, replace(EXP, experiment=replace(TRIAL, traffic=80)), SECOND))
    assert {(edit.rule, edit.kind) for edit in found} == {("exp", "safe"), ("second", "new_phase")}
    swapped = classify(before, rules(RAMP, SECOND, EXP))
    assert [(edit.rule, edit.kind) for edit in swapped] == [("exp", "new_phase")]
    assert "which puts EXP-2 before EXP-1" in swapped[0].sentence
    fewer = classify(before, rules(RAMP, SECOND))
    assert {edit.kind for edit in fewer} == {"safe"}


def test_a_flag_that_is_needed_by_one_that_is_needed():
    base = Flag(key="base", type="boolean", variants=RELEASE.variants, default="on")
    needing = replace(RELEASE, prerequisites=(Prerequisite(flag="base", variants=("on",)),))
    before = replace(BEFORE, flags={**BEFORE.flags, "release": needing, "base": base})
    after = replace(before, flags={**before.flags, "base": replace(base, default="off")})
    (edit,) = classify(before, after)
    assert (edit.flag, edit.rule, edit.kind) == ("checkout", "exp", "new_phase")
    assert edit.sentence == (
        "flag base: default goes from on to off, which changes to whom flag checkout is served, since it needs "
        "flag base: raise the phase of EXP-1 to 2"
    )


def test_a_tighter_prerequisite_takes_units_out():
    after = of(replace(FLAG, prerequisites=(*FLAG.prerequisites, Prerequisite(flag="x", variants=("on",)))))
    (edit,) = classify(BEFORE, after)
    assert (edit.rule, edit.kind) == ("exp", "new_phase")


SECOND_PHASE = replace(TRIAL, phase=2)
RETURNS = [
    (SECOND_PHASE, None, ""),
    (replace(SECOND_PHASE, traffic=80), None, ""),
    (replace(SECOND_PHASE, split={"control": 50, "treatment": 50, "spare": 0}), None, ""),
    (replace(TRIAL, phase=3, split={"control": 9, "treatment": 1}), None, ""),
    (
        replace(SECOND_PHASE, split={"control": 9, "treatment": 1}),
        "new_phase",
        "another split, which would mix.*to 3",
    ),
    (replace(SECOND_PHASE, traffic=10), "new_phase", "less traffic"),
    (replace(SECOND_PHASE, salt="imported"), "new_phase", "another salt"),
    (TRIAL, "blocked", "which opens phase 1 again: give phase 2 or more"),
]


@pytest.mark.parametrize(("back", "kind", "sentence"), RETURNS)
def test_nobody_sneaks_an_edit_past_by_taking_an_experiment_out(back, kind, sentence):
    ledger, numbers = Ledger(), itertools.count()
    for flags in (trial(), trial(phase=2), rules(RAMP)):
        _, ledger = compile_flags(flags, ledger, lambda: f"salt-{next(numbers)}")
    after = rules(RAMP, replace(EXP, experiment=back))
    found = [edit for edit in classify(rules(RAMP), after, ledger=ledger) if edit.kind != "safe"]
    assert [edit.kind for edit in found] == ([kind] if kind else [])
    assert all(re.search(sentence, edit.sentence) and edit.rule == "exp" for edit in found)
    assert not [edit for edit in classify(rules(RAMP), after) if edit.kind != "safe"]
