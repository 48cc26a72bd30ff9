from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import inspect, text

from upshot.errors import InputError, NotFoundError
from upshot.model.learning import LearnedEffect, Learning
from upshot.store import learnings
from upshot.store.audit import entries, verify

EFFECT = LearnedEffect(
    metric="activation", role="primary", better="higher", variant="treatment", lift=0.081, low=0.012, high=0.15,
    expected=0.052, moved="better",
)  # fmt: skip
LEARNING = Learning(
    experiment="EXP-2026-001",
    name="Onboarding in three steps",
    hypothesis="If we ask for less, then more are activated, because forms cost patience",
    type="onboarding",
    tags=("first-run",),
    at=None,
    actor="",
    verdict="SHIP",
    text="treatment improved activation from 30% to 32%.\nInvitations were not touched.",
    effects=(EFFECT,),
)


def add(store, **named):
    with store.changing("ann", "decided") as change:
        return learnings.add(change, replace(LEARNING, **named))


def search(store, asked, **named):
    with store.reading() as connection:
        return [found.id for found in learnings.search(connection, asked, **named)]


def test_a_learning_is_read_as_it_was_written(store):
    kept = add(store)
    assert (kept.id, kept.actor) == (1, "ann")
    assert kept.effects == (EFFECT,)
    with store.reading() as connection:
        assert learnings.find(connection, 1) == kept
        assert learnings.listed(connection) == (kept,)
        with pytest.raises(NotFoundError, match="no learning 2"):
            learnings.find(connection, 2)


def test_the_newest_come_first_and_those_of_one_experiment_can_be_asked_for(store):
    first, second, third = add(store), add(store, experiment="EXP-2026-002"), add(store)
    with store.reading() as connection:
        assert learnings.listed(connection) == (third, second, first)
        assert learnings.listed(connection, "EXP-2026-002") == (second,)


def test_each_is_a_row_of_the_chain(store):
    kept = add(store)
    with store.reading() as connection:
        assert verify(connection).broken is None
        row = entries(connection)[-1]
    assert (row.action, row.subject, row.reason) == ("learning.added", f"learning/{kept.id}", "decided")


@pytest.mark.parametrize(
    "asked",
    [
        "onboarding", "Onboarding STEPS", "invitation", "invitations improving", "activation", "forms of patience",
        "EXP-2026-001", "first run", "ship", "activated 32%", "the three steps",
    ],
)  # fmt: skip
def test_it_is_found_by_its_words_in_any_form(store, asked):
    add(store)
    add(store, experiment="EXP-2026-002", name="Other", hypothesis="", type="pricing", tags=(), text="Prices.",
        effects=(), verdict=None)  # fmt: skip
    assert search(store, asked) == [1]


@pytest.mark.parametrize("asked", ["retention", "onboarding retention", "onboarding NOT activation prices"])
def test_all_words_must_be_there(store, asked):
    add(store)
    assert search(store, asked) == []


@pytest.mark.parametrize(
    "asked", ['" OR *', "steps'); DROP TABLE learnings; --", "a:b* NEAR(c)", "-steps", "^x"]
)
def test_what_means_something_to_a_database_is_only_words(store, asked):
    add(store)
    with suppress(InputError):  # where no word is left
        assert search(store, asked) in ([], [1])
    assert search(store, "steps") == [1]


def test_accents_and_case_do_not_matter(store):
    add(store, text="Der Einkaufswagen überzeugt in Österreich. Ça marche.")
    for asked in ("uberzeugt", "ÜBERZEUGT", "osterreich", "ca marche"):
        assert search(store, asked) == [1]


def test_the_one_that_says_it_most_comes_first_and_no_more_than_asked(store):
    long = "Nothing else was seen in all these weeks. " * 5
    add(store, name="A", text=f"{long} checkout.")
    add(store, name="B", text="Checkout: the checkout of checkouts.")
    add(store, name="C", text="Prices.")
    assert search(store, "checkout") == [2, 1]
    assert search(store, "checkout", limit=1) == [2]


def test_nothing_said_and_nothing_asked_is_refused(store):
    with pytest.raises(InputError, match="says nothing"):
        add(store, text=" \n")
    with pytest.raises(InputError, match="no word to look for"):
        search(store, "the of ?!")
    with pytest.raises(InputError, match="cannot be stored"):
        add(store, text="a\ud800b")


def test_what_a_change_that_failed_wrote_is_not_found(store):
    with suppress(RuntimeError), store.changing("ann") as change:
        learnings.add(change, LEARNING)
        raise RuntimeError
    assert search(store, "onboarding") == []


def test_postgresql_searches_by_its_index(postgres_store, clock):
    from upshot.store.control import ControlStore

    opened = ControlStore.open(postgres_store, clock)
    with opened.reading() as connection:
        assert "learning_words" in {found["name"] for found in inspect(connection).get_indexes("learnings")}
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        wanted = "to_tsvector('english', words) @@ plainto_tsquery('english', 'checkout')"
        plan = "\n".join(
            connection.execute(text(f"EXPLAIN SELECT 1 FROM learnings WHERE {wanted}")).scalars()
        )
    opened.close()
    assert "learning_words" in plan
