"""That a decision writes down what its experiment taught, in its own transaction."""

from upshot.services import learnings
from upshot.services.decisions import Choice, decide


def test_a_decision_writes_down_what_was_learnt(any_lab):
    lab = any_lab
    name = lab.started()
    for _ in range(9):
        lab.visits(700, buy=(0.1, 0.3))
        lab.pass_time(days=1)
    lab.look(name)
    assert learnings.listed(lab.workspace) == ()
    decide(lab.workspace, name, Choice(verdict="SHIP"), "bob")
    (found,) = learnings.listed(lab.workspace, name)
    kept = found.learning
    assert (kept.experiment, kept.type, kept.verdict, kept.actor) == (name, "ui", "SHIP", "bob")
    assert "treatment improved bought" in kept.text
    assert [one.learning for one in learnings.search(lab.workspace, "each field loses")] == [kept]
