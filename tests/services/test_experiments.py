"""Experiments from the first idea on."""

from dataclasses import replace

import pytest

from upshot.bootstrap import new_salt
from upshot.errors import ConflictError, InputError, NotFoundError
from upshot.formats.catalogue import catalogue
from upshot.formats.experiments import design_from_yaml
from upshot.model.standards import Standards
from upshot.services.experiments import edit, found, listed, propose
from upshot.services.workspace import Workspace
from upshot.store import experiments
from upshot.store.audit import entries
from upshot.store.flags import StoredFlags

DESIGN = design_from_yaml("""
name: Shorter onboarding
flag: onboarding
owner: ann
hypothesis: fewer questions, more people who finish
plan: {metrics: [conversion_rate], split: {control: 1, short: 1}, monitoring: always_valid}
""")


@pytest.fixture
def workspace(store, store_clock, tmp_path):
    return Workspace(
        store=store,
        flags=StoredFlags(store, "upshot"),
        data=tmp_path,
        definitions=catalogue(),
        standards=Standards(),
        clock=store_clock,
        new_salt=new_salt,
    )


def started(workspace, experiment_id):
    with workspace.store.changing("ann") as change:
        return experiments.move(change, experiment_id, "running")


def test_what_is_proposed_is_found(workspace):
    made = propose(workspace, DESIGN, "ann", "the second question loses half")
    assert (made.id, made.state, made.design.flag) == ("EXP-2026-001", "planned", "onboarding")
    assert found(workspace, made.id) == made
    assert listed(workspace) == listed(workspace, "planned") == (made,)
    assert listed(workspace, "running") == ()
    with workspace.store.reading() as connection:
        (row,) = entries(connection)
    assert (row.actor, row.reason) == ("ann", "the second question loses half")


def test_nobody_proposes_nothing(workspace):
    with pytest.raises(InputError, match="nobody is named"):
        propose(workspace, DESIGN, " ")
    with pytest.raises(NotFoundError, match="no experiment EXP-1"):
        edit(workspace, "EXP-1", DESIGN, "ann")


def test_before_the_start_all_can_be_changed(workspace):
    made = propose(workspace, DESIGN, "ann")
    other = replace(DESIGN, flag="signup", plan=replace(DESIGN.plan, minimum_effect=0.1))
    changed = edit(workspace, made.id, other, "bob", expected=made.version)
    assert (changed.design.flag, changed.plan.minimum_effect, changed.version) == ("signup", 0.1, 2)
    with pytest.raises(ConflictError, match="changed meanwhile"):
        edit(workspace, made.id, DESIGN, "ann", expected=made.version)


def test_after_the_start_words_can_be_changed_and_what_binds_cannot(workspace):
    made = propose(workspace, DESIGN, "ann")
    before = started(workspace, made.id)
    words = replace(before.design, background="more of it", plan=replace(before.plan, name="another"))
    assert edit(workspace, made.id, words, "ann").design == words
    with pytest.raises(ConflictError, match=r"its plan binds: minimum_effect goes from 0\.05 to 0\.1"):
        edit(workspace, made.id, replace(DESIGN, plan=replace(DESIGN.plan, minimum_effect=0.1)), "ann")
    with pytest.raises(ConflictError, match="flag goes from onboarding to signup"):
        edit(workspace, made.id, replace(DESIGN, flag="signup"), "ann")


def test_what_is_over_is_not_rewritten(workspace):
    made = propose(workspace, DESIGN, "ann")
    started(workspace, made.id)
    with workspace.store.changing("ann") as change:
        experiments.move(change, made.id, "killed")
    with pytest.raises(ConflictError, match="is killed: what is decided is not rewritten"):
        edit(workspace, made.id, DESIGN, "ann")
