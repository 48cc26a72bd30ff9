import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import text

from upshot.analysis.analyze import analyze
from upshot.analysis.contract import analysis_to_dict
from upshot.decide.policy import decide
from upshot.errors import ConflictError, InputError, NotFoundError
from upshot.formats.values import write_value
from upshot.model.decision import Note, Situation
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.simulate.units import Truth
from upshot.simulate.world import World, evidences
from upshot.store import experiments, looks
from upshot.store.audit import entries, verify
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url

PLAN = Plan(
    metrics=(
        Metric(name="converted", column="converted"),
        Metric(name="crashed", column="crashed", role="guardrail", better="lower", margin=0.2),
    ),
    split={"control": 1.0, "treatment": 1.0},
    monitoring="group_sequential",
    planned_units=3000,
    looks=10,
    minimum_days=3,
    maximum_days=10,
)
WORLD = World(
    truths={
        "converted": Truth(shape="binary", baseline=0.2, lifts={"treatment": 0.1}),
        "crashed": Truth(shape="binary", baseline=0.02, lifts={"treatment": 0.1}),
    },
    daily_units=600,
)
SITUATION = Situation(
    notes=(Note(sign="positive", text="liked it"),), acknowledged={"outliers": "a known client"}
)


def begin(store, plan=PLAN):
    with store.changing("ann", "the test") as change:
        made = experiments.create(change, plan)
        experiments.move(change, made.id, "running")
    return made.id


def look(store, experiment, evidence, day, situation=None):
    """What a service does: analyse with the looks before, decide, keep."""
    with store.reading() as connection:
        found = experiments.find(connection, experiment)
        before = looks.history(connection, experiment, found.phase)
    analysis = analyze(found.plan, evidence, before, day)
    verdict = decide(found.plan, analysis, situation)
    with store.changing("scheduler", "daily look") as change:
        return looks.keep(
            change, experiment, evidence=evidence, analysis=analysis, verdict=verdict, situation=situation
        ), analysis


def run(store, experiment, plan=PLAN, seed=1, days=None):
    course = list(evidences(WORLD, plan, np.random.default_rng(seed)))[:days]
    return [look(store, experiment, evidence, day, SITUATION) for day, evidence in course]


def changes(store, sql):
    with store.changing("mallory") as change:
        change.connection.execute(text(sql))


def found_edits(store):
    with store.reading() as connection:
        assert verify(connection).broken is None
        return list(looks.edited(connection))


def test_a_look_is_read_as_it_was_kept(store):
    experiment = begin(store)
    (day, evidence), *_ = evidences(WORLD, PLAN, np.random.default_rng(1))
    kept, analysis = look(store, experiment, evidence, day, SITUATION)
    with store.reading() as connection:
        found = looks.find(connection, experiment, 1, 1)
        assert looks.last(connection, experiment).number == 1
    assert write_value(found.evidence) == write_value(evidence)
    assert (found.situation, found.look) == (SITUATION, analysis.look)
    assert dict(found.analysis) == analysis_to_dict(analysis)
    assert found.verdict == kept.verdict
    assert (found.experiment, found.phase, found.number, found.at) == (experiment, 1, 1, kept.at)


@pytest.mark.parametrize("monitoring", ["fixed", "group_sequential", "always_valid"])
def test_every_verdict_of_a_course_is_given_again_from_the_store(store, monitoring):
    plan = replace(PLAN, monitoring=monitoring)
    experiment = begin(store, plan)
    run(store, experiment, plan, seed=3, days=10)
    with store.reading() as connection:
        kept = looks.listed(connection, experiment)
        assert len({one.verdict.headline for one in kept}) > 3
        assert [looks.replayed(connection, one) for one in kept] == [()] * 10


def test_a_look_is_replayed_with_the_plan_of_its_time(store):
    experiment = begin(store)
    run(store, experiment, days=2)
    with store.changing("ann", "a smaller effect is enough") as change:
        experiments.save_plan(change, experiment, replace(PLAN, floor=100_000, maximum_days=20))
    with store.reading() as connection:
        assert [looks.replayed(connection, one) for one in looks.listed(connection, experiment)] == [(), ()]


def test_what_a_replay_says_otherwise_is_named(store):
    experiment = begin(store)
    run(store, experiment, days=1)
    with store.reading() as connection:
        kept = looks.last(connection, experiment)
        wrong = replace(kept, verdict=replace(kept.verdict, headline="Ship it"))
        (sentence,) = looks.replayed(connection, wrong)
    assert sentence.startswith("headline was 'Ship it' and is now")


def test_each_look_has_its_row_in_the_chain_without_a_number_of_an_effect(store):
    experiment = begin(store)
    run(store, experiment, days=2)
    with store.reading() as connection:
        found = entries(connection, subject=f"experiment/{experiment}")[-1]
    assert (found.action, found.actor, found.reason) == ("look.taken", "scheduler", "daily look")
    assert set(json.loads(found.after)) == {"phase", "number", "plan_hash", "hash"}


def test_the_second_who_looks_at_the_same_time_is_told(store):
    experiment = begin(store)
    (day, evidence), *_ = evidences(WORLD, PLAN, np.random.default_rng(1))
    analysis = analyze(PLAN, evidence, (), day)
    verdict = decide(PLAN, analysis)
    look(store, experiment, evidence, day)
    with pytest.raises(ConflictError, match="has 1 looks in phase 1, and this one is number 1"):  # noqa: SIM117
        with store.changing("other") as change:
            looks.keep(change, experiment, evidence=evidence, analysis=analysis, verdict=verdict)


def test_a_new_phase_counts_its_own_looks(store):
    experiment = begin(store)
    run(store, experiment, days=2)
    with store.changing("ann", "other weights") as change:
        experiments.begin_phase(change, experiment)
    run(store, experiment, days=1)
    with store.reading() as connection:
        numbers = [(one.phase, one.number) for one in looks.listed(connection, experiment)]
        assert (looks.last(connection, experiment).phase, len(looks.history(connection, experiment, 1))) == (
            2,
            2,
        )
    assert numbers == [(1, 1), (1, 2), (2, 1)]


def test_only_what_runs_is_looked_at(store):
    experiment = begin(store)
    with store.changing("ann", "enough") as change:
        experiments.move(change, experiment, "killed")
    with pytest.raises(ConflictError, match="is killed"):
        run(store, experiment, days=1)


def test_what_is_not_there_is_said(store):
    experiment = begin(store)
    with store.reading() as connection:
        assert looks.last(connection, experiment) is None
        assert looks.listed(connection, experiment) == ()
        with pytest.raises(NotFoundError, match="no look 4 in phase 1"):
            looks.find(connection, experiment, 1, 4)


# Edits


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "UPDATE looks SET verdict = replace(verdict, 'CONTINUE', 'SHIP') WHERE number = 1",
            "look 1 in phase 1",
        ),
        ("UPDATE looks SET hash = replace(hash, 'a', 'b')", "look 1 in phase 1"),
        ("UPDATE looks SET number = 9 WHERE number = 2", "look 9 in phase 1"),
        ("DELETE FROM looks WHERE number = 2", "look 2 in phase 1 of EXP-2026-001 is gone"),
        ("UPDATE plans SET body = replace(body, '0.05', '0.5')", "plan sha256:"),
    ],
)
def test_an_edit_of_a_look_or_a_plan_is_found(store, sql, said):
    run(store, begin(store), days=2)
    assert found_edits(store) == []
    changes(store, sql)
    assert said in found_edits(store)[0]


def test_any_flipped_byte_of_a_look_is_found(tmp_path, clock):
    path = tmp_path / "upshot.db"
    store = ControlStore.open(sqlite_url(path), clock)
    run(store, begin(store), days=1)
    random = np.random.default_rng(20261201)
    columns = ["at", "plan", "evidence", "situation", "look", "analysis", "verdict", "hash"]
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        for column in columns * 10:
            (old,) = connection.execute(f"SELECT CAST({column} AS BLOB) FROM looks").fetchone()
            new = bytearray(old)
            new[random.integers(len(old))] ^= 1  # stays text: what the driver cannot read is found by reading
            connection.execute(f"UPDATE looks SET {column} = CAST(? AS TEXT)", (bytes(new),))
            connection.commit()
            assert found_edits(store) != [], column
            connection.execute(f"UPDATE looks SET {column} = CAST(? AS TEXT)", (old,))
            connection.commit()
    assert found_edits(store) == []
    store.close()


def test_a_look_that_cannot_be_read_is_told(store):
    experiment = begin(store)
    run(store, experiment, days=1)
    changes(store, "UPDATE looks SET evidence = '{}'")
    with (
        store.reading() as connection,
        pytest.raises(InputError, match="look 1 of EXP-2026-001 is not what was"),
    ):
        looks.last(connection, experiment)
