"""A stored decision is made again, and a changed past is found out."""

import dataclasses

import numpy as np
import pytest

from upshot.analysis.analyze import analyze
from upshot.decide.policy import decide
from upshot.decide.replay import differences, is_intact, record, replay
from upshot.model.decision import Note, Situation
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.simulate.units import Truth
from upshot.simulate.world import World, evidences

PLAN = Plan(
    metrics=(Metric(name="converted", column="converted"),),
    split={"control": 1.0, "treatment": 1.0},
    monitoring="group_sequential",
    planned_units=4000,
)
WORLD = World(
    truths={"converted": Truth(shape="binary", baseline=0.2, lifts={"treatment": 0.15})}, daily_units=300
)


@pytest.fixture(scope="module")
def course():
    """Each look of a course: the looks before it, its evidence, its day, and the verdict that was stored."""
    looks, stored = (), []
    for day, evidence in evidences(WORLD, PLAN, np.random.default_rng(5)):
        analysis = analyze(PLAN, evidence, looks, day)
        stored.append((looks, evidence, day, decide(PLAN, analysis)))
        looks = (*looks, analysis.look)
    return stored


def test_every_verdict_of_a_course_is_given_again(course) -> None:
    for looks, evidence, day, verdict in course:
        assert differences(verdict, replay(PLAN, evidence, looks, day=day)) == ()


def test_what_a_replay_says_otherwise_is_named(course) -> None:
    looks, evidence, day, verdict = course[-1]
    assert verdict.verdict == "SHIP"
    strict = dataclasses.replace(PLAN, ship_threshold=0.9)
    found = differences(verdict, replay(strict, evidence, looks, day=day))
    assert any(text.startswith("verdict was 'SHIP' and is now 'DISCUSS'") for text in found)


def test_the_chain_breaks_where_the_past_was_changed(course) -> None:
    situation = Situation(notes=(Note(sign="positive", text="liked"),))
    chain, previous = [], ""
    for _, evidence, _, verdict in course[-4:]:
        chain.append(record(PLAN, evidence, situation, verdict, previous))
        previous = chain[-1].hash
    assert is_intact(chain)
    assert is_intact([])
    changed = record(
        dataclasses.replace(PLAN, alpha=0.1), course[-3][1], situation, course[-3][3], chain[0].hash
    )
    assert not is_intact([chain[0], changed, *chain[2:]])
    assert not is_intact(chain[1:])
    assert not is_intact([dataclasses.replace(chain[0], verdict="sha256:0"), *chain[1:]])
