import pytest

from upshot.errors import InputError
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.services import audit, keys
from upshot.store import experiments


def test_a_whole_past_has_no_problems_and_a_head(store):
    keys.create(store, "server", "shop", actor="ann", reason="first")
    proof = audit.verify(store)
    assert (proof.rows, proof.problems) == (1, ())
    assert proof.head == audit.entries(store)[-1].hash
    keys.create(store, "client", "page", actor="ann")
    assert audit.verify(store, proof.head).problems == ()


def test_an_edit_of_the_chain_is_found_before_anything_that_rests_on_it(store):
    keys.create(store, "server", "shop", actor="ann")
    with store.changing("mallory") as change:
        change.connection.exec_driver_sql("UPDATE audit SET actor = 'bob'")
    (problem,) = audit.verify(store).problems
    assert problem.startswith("row 1 was edited")


def test_an_edit_of_a_plan_is_found_although_the_chain_is_whole(store):
    with store.changing("ann") as change:
        experiments.create(change, Plan(metrics=(Metric(name="a", column="a"),)))
    assert audit.verify(store).problems == ()
    with store.changing("mallory") as change:
        change.connection.exec_driver_sql("UPDATE plans SET body = replace(body, '0.05', '0.5')")
    (problem,) = audit.verify(store).problems
    assert problem.endswith("is not what was written")


@pytest.mark.parametrize("head", ["", "sha256:1", "f" * 71])
def test_what_is_no_head_is_refused(store, head):
    with pytest.raises(InputError, match="the head is"):
        audit.verify(store, head)


def test_entries_of_one_thing(store):
    key, _ = keys.create(store, "server", "shop", actor="ann")
    keys.create(store, "server", "shop", actor="ann")
    assert len(audit.entries(store, subject="key/")) == 2
    (entry,) = audit.entries(store, subject=f"key/{key.id}", limit=5)
    assert entry.actor == "ann"
