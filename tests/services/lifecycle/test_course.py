"""What people add to an experiment: broken seals, notes, what they accept."""

import json
from dataclasses import replace
from datetime import date

import pytest

from upshot.errors import ConflictError, InputError
from upshot.services.decisions import Choice, decide
from upshot.services.experiments import edit, found
from upshot.services.notes import acknowledge, add_note
from upshot.services.seal import break_seal


def sealed(lab):
    name = lab.started(plan={"monitoring": "fixed"})
    lab.visits(400, buy=(0.1, 0.3))
    lab.pass_time(days=2)
    assert lab.look(name).is_sealed
    return name


def test_what_is_behind_a_seal_is_seen_with_a_reason_and_everybody_hears_of_it(lab):
    name = sealed(lab)
    with pytest.raises(InputError, match="no reason"):
        break_seal(lab.workspace, name, "bob", "")
    findings = break_seal(lab.workspace, name, "bob", "the press asks")
    assert findings.analysis.metrics[0].comparisons[0].effect is not None
    course = found(lab.workspace, name).course
    assert (course.unsealed.actor, course.unsealed.reason, course.unsealings) == ("bob", "the press asks", 1)
    (row,) = [row for row in lab.rows(f"experiment/{name}") if row.action == "experiment.unsealed"]
    assert (row.actor, row.reason) == ("bob", "the press asks")
    assert "bob broke the seal" in lab.told()[f"seal/{name}"].what
    assert lab.look(name).is_sealed
    break_seal(lab.workspace, name, "eve", "me too")
    course = found(lab.workspace, name).course
    assert (course.unsealed.actor, course.unsealings) == ("bob", 2)


def test_what_is_not_sealed_has_no_seal_to_break(lab):
    name = lab.started()
    with pytest.raises(ConflictError, match="nobody looked"):
        break_seal(lab.workspace, name, "bob", "the press asks")
    lab.visits(400)
    lab.pass_time(days=2)
    lab.look(name)
    with pytest.raises(ConflictError, match="is not sealed"):
        break_seal(lab.workspace, name, "bob", "the press asks")


def test_after_a_seal_was_broken_later_notes_count_no_more(lab):
    name = sealed(lab)
    add_note(lab.workspace, name, "positive", "three of five liked it", "ann")
    break_seal(lab.workspace, name, "bob", "the press asks")
    lab.pass_time(days=1)
    add_note(lab.workspace, name, "positive", "all liked it", "ann")
    lab.visits(100)
    lab.pass_time(days=1)
    lab.look(name)
    situation = lab.store_look(name).situation
    assert len(situation.notes) == 2
    assert situation.effects_seen == date(2026, 3, 4)
    assert situation.leaning == 0  # both are dated on or after the day on which effects were seen


def test_a_note_is_kept_with_its_day(lab):
    name = lab.started()
    kept = add_note(lab.workspace, name, "negative", "support: many lost", "ann", dated=date(2026, 3, 1))
    (note,) = kept.course.situation.notes
    assert (note.sign, note.text, note.dated) == ("negative", "support: many lost", date(2026, 3, 1))
    with pytest.raises(InputError, match="has not come"):
        add_note(lab.workspace, name, "positive", "x", "ann", dated=date(2026, 3, 3))
    with pytest.raises(InputError, match="says nothing"):
        add_note(lab.workspace, name, "positive", " ", "ann")


def test_what_is_accepted_reaches_the_next_look(lab):
    name = lab.started()
    with pytest.raises(InputError, match="nothing is named"):
        acknowledge(lab.workspace, name, {}, "ann")
    with pytest.raises(InputError, match="sample_ratio is accepted without a reason"):
        acknowledge(lab.workspace, name, {"sample_ratio": ""}, "ann")
    acknowledge(lab.workspace, name, {"sample_ratio": "a cache, mended"}, "ann")
    lab.visits(200)
    lab.pass_time(days=1)
    lab.look(name)
    assert lab.store_look(name).situation.acknowledged == {"sample_ratio": "a cache, mended"}
    decide(lab.workspace, name, Choice(verdict="KILL", reason="enough"), "ann")
    with pytest.raises(ConflictError, match="is completed"):
        acknowledge(lab.workspace, name, {"outliers": "x"}, "ann")


def test_a_look_at_what_was_not_started_is_refused_and_says_how(lab):
    name = lab.proposed()
    with pytest.raises(ConflictError, match=f"upshot experiment start {name}"):
        lab.look(name)


def test_looks_say_what_makes_results_exploratory(lab):
    name = lab.started()
    before = found(lab.workspace, name)
    other = replace(before.design, plan=replace(before.plan, minimum_effect=0.4))
    lab.visits(200)
    lab.pass_time(days=1)
    lab.look(name)
    edit(lab.workspace, name, other, "ann", "we were wrong", knowingly=True)
    lab.visits(200)
    lab.pass_time(days=1)
    assert lab.look(name).course.exploratory[0].startswith("minimum_effect goes from 0.5 to 0.4")


def test_the_chain_tells_what_each_was_before_and_after(lab):
    name = lab.started()
    add_note(lab.workspace, name, "positive", "three of five liked it", "ann")
    row = lab.rows(f"experiment/{name}")[-1]
    assert json.loads(row.before)["course"]["situation"]["notes"] == []
    assert json.loads(row.after)["course"]["situation"]["notes"][0]["text"] == "three of five liked it"
