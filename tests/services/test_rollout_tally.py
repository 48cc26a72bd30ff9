"""Counting against a plain recount of the same events in any order of arrival."""

import json
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.analysis.rollout import Counts, Subject
from upshot.model.flag import Monitoring
from upshot.services import rollout_tally
from upshot.services.rollout_tally import Happened, Met, Signals, Tally, read_met

SUBJECT = Subject(
    flag="nav",
    limits=Monitoring(error_threshold=0.01, latency_threshold=200),
    variants=("on",),
    control="off",
)


def event(name, properties=None, unit="u1", kind="track", time=0):
    return Happened(kind, name, unit, time, json.dumps(properties or {}))


def met(variant="on", drawn=True):
    return Met(flag="nav", variant=variant, round=1, drawn=drawn)


# What is read of an event


@pytest.mark.parametrize(
    ("name", "properties", "told"),
    [
        ("Error", {}, (True, None)),
        ("Checkout", {"error": True}, (True, None)),
        ("Checkout", {"error": "true"}, (False, None)),
        ("Checkout", {"error": False, "latency_ms": 12}, (False, 12.0)),
        ("Error", {"latency_ms": 0.5}, (True, 0.5)),
        ("Checkout", {"latency_ms": True}, (False, None)),
        ("Checkout", {"latency_ms": -1}, (False, None)),
        ("Checkout", {"latency_ms": "12"}, (False, None)),
        ("Checkout", {"deep": {"error": True, "latency_ms": 3}}, (False, None)),
        ("error", {}, (False, None)),
    ],
)
def test_errors_and_latencies(name, properties, told):
    assert Signals().read(event(name, properties)) == told


def test_they_may_be_called_otherwise():
    signals = Signals(error_event="Crash", error_property="failed", latency_property="took")
    assert signals.read(event("Crash")) == (True, None)
    assert signals.read(event("Page", {"failed": True, "took": 7})) == (True, 7.0)
    assert signals.read(event("Error", {"error": True, "latency_ms": 7})) == (False, None)


def test_exposures():
    viewed = {"flag": "nav", "variant": "on", "round": 2, "reason": "DEFAULT"}
    assert read_met(event("Flag Viewed", viewed)) == Met(flag="nav", variant="on", round=2, drawn=False)
    assert read_met(event("Flag Viewed", viewed | {"reason": "SPLIT"})).drawn
    exposure = {"experiment_id": "E", "flag": "nav", "variant": "b", "phase": 1}
    assert read_met(event("Experiment Viewed", exposure)) == Met(flag="nav", variant="b", round=1, drawn=True)
    assert read_met(event("Experiment Viewed", {"experiment_id": "E", "variant": "b"})) is None
    assert read_met(event("Flag Viewed", {"flag": "nav", "variant": 1})) is None
    assert read_met(event("Flag Viewed", viewed, kind="page")) is None
    assert read_met(event("Error", viewed)) is None


# What is counted


def now(tally, variant="on"):
    return tally.seen()[variant].now


def test_a_unit_fails_once_and_only_after_it_met_the_flag():
    tally = Tally(SUBJECT)
    tally.meet("u1", met(), 100)
    tally.meet("u2", met(), 100)
    for time in (99, 100, 101):
        tally.happen("u1", time, error=True, latency=None)
    tally.happen("u2", 99, error=True, latency=None)
    tally.happen("nobody", 200, error=True, latency=None)
    assert now(tally) == Counts(units=2, failed=1)
    assert tally.since == 100


def test_news_that_overtakes_the_exposure_counts():
    tally = Tally(SUBJECT)
    tally.happen("u1", 150, error=True, latency=300)
    tally.happen("u1", 50, error=True, latency=300)
    tally.meet("u1", met(), 100)
    assert (now(tally).failed, now(tally).requests, now(tally).slow) == (1, 1, 1)


def test_what_waits_for_an_exposure_is_bounded(monkeypatch):
    monkeypatch.setattr(rollout_tally, "HELD", 10)
    tally = Tally(SUBJECT)
    for number in range(1000):
        tally.happen(f"u{number}", 150, error=True, latency=None)
    assert len(tally._early) + len(tally._earlier) <= 20
    tally.meet("u999", met(), 100)
    tally.meet("u0", met(), 100)
    assert now(tally) == Counts(units=2, failed=1)


def test_a_unit_that_moves_counts_for_both_and_is_compared_as_it_came():
    """Ramping up: it failed after it moved; the draw gave it to control first."""
    tally = Tally(SUBJECT)
    tally.meet("u1", met("off"), 100)
    tally.meet("u1", met("on"), 200)
    tally.meet("u1", met("on"), 250)
    tally.happen("u1", 300, error=True, latency=900)
    seen = tally.seen()
    assert (seen["off"].now, seen["on"].now.failed) == (Counts(units=1), 1)
    assert (seen["off"].first.failed, seen["off"].first.slow) == (1, 1)
    assert seen["on"].first == Counts()


def test_those_left_out_of_the_draw_do_not_count_where_a_split_has_its_own_control():
    tally = Tally(
        Subject(flag="nav", limits=SUBJECT.limits, variants=("on",), control="off", drawn_only=True)
    )
    tally.meet("u1", met("off", drawn=False), 100)
    assert tally.seen() == {}
    tally.meet("u1", met("off"), 100)
    assert now(tally, "off").units == 1


units = st.sampled_from(["u1", "u2", "u3", "u4"])
things = st.lists(st.tuples(units, st.booleans(), st.none() | st.sampled_from([50, 500])), max_size=40)


@given(st.dictionaries(units, st.sampled_from(["on", "off"])), things, st.randoms())
def test_it_counts_as_a_recount_does(variants, happened, chance):
    """Exposures at time 0 and what happened after it, in any order of arrival."""
    tally = Tally(SUBJECT)
    steps = [("meet", unit) for unit in variants] + [("happen", thing) for thing in happened]
    chance.shuffle(steps)
    for kind, what in steps:
        if kind == "meet":
            tally.meet(what, met(variants[what]), 0)
        else:
            tally.happen(what[0], 1, what[1], what[2])
    of = defaultdict(lambda: [False, 0, 0])
    for unit, error, latency in happened:
        of[unit][0] |= error
        of[unit][1] += latency is not None
        of[unit][2] += latency == 500
    for variant in set(variants.values()):
        mine = [of[unit] for unit, given in variants.items() if given == variant]
        expected = Counts(
            units=len(mine), failed=sum(f for f, _, _ in mine), requests=sum(n for _, n, _ in mine),
            slow=sum(k for _, _, k in mine), requests_squared=sum(n * n for _, n, _ in mine),
            slow_squared=sum(k * k for _, _, k in mine), slow_requests=sum(n * k for _, n, k in mine),
        )  # fmt: skip
        assert tally.seen()[variant].now == tally.seen()[variant].first == expected
