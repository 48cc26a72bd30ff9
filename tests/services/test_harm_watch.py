"""Harm of running experiments, in real files: turned off at once, and whole however its process dies."""

import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from upshot.errors import InputError
from upshot.services import harm_watch
from upshot.services.alerts import ACTOR as ROLLOUTS
from upshot.services.defined import Defined
from upshot.services.flag_switch import switch
from upshot.services.flags import publish
from upshot.services.harm_watch import ACTOR, HarmWatch
from upshot.services.live import given_again
from upshot.store import experiments
from upshot.store.audit import entries, verify
from upshot.store.flags import StoredFlags, put
from upshot.store.kill_file import Switching


@pytest.fixture
def watch(shop):
    return HarmWatch(
        shop.store, shop.flags, shop.data, lambda: Defined(metrics=shop.definitions), shop.alerts
    )


def look(shop, watch):
    watch.look(shop.now)
    return shop.state(), [one.number for one in shop.looks()], sorted(shop.off())


ALIVE = ("running", [], [])
DEAD = ("killed", [1], ["checkout"])


def plan_of(shop):
    with shop.store.reading() as connection:
        return experiments.find(connection, "EXP-2026-001").plan


def harm_done(shop):
    """Crashes of 12% where 1% are allowed, and 0.2% in control; they count when an hour has passed."""
    shop.visits(1000, crash=(0.002, 0.12))
    shop.pass_time(hours=2)


def test_what_is_proven_to_harm_is_off_killed_kept_and_told(shop, watch):
    assert look(shop, watch) == ALIVE
    shop.visits(1000)
    shop.pass_time(hours=2)
    assert look(shop, watch) == ALIVE
    harm_done(shop)
    assert look(shop, watch) == DEAD
    entry = shop.off()["checkout"]
    assert (entry.actor, entry.action) == (ACTOR, "kill")
    assert entry.reason.startswith("EXP-2026-001: treatment: Turn it off: crashed is ")
    ruleset = publish(shop.flags, lambda: "salt").ruleset
    assert ruleset.evaluate("checkout", {"targetingKey": "u1"}).reason == "DISABLED"
    (kept,) = shop.looks()
    assert (kept.verdict.verdict, kept.verdict.cause) == ("KILL", "harm")
    assert given_again(shop.store, "EXP-2026-001", 1).differs == ()
    ((key, finding),) = shop.told().items()
    assert (key, finding.severity) == ("harm/EXP-2026-001/killed", "critical")
    assert finding.evidence["said"].startswith("treatment: Turn it off: crashed is ")
    assert "above its limit of 1%" in finding.evidence["said"]
    assert "bought" not in str(finding), "no other effect is told"
    assert look(shop, watch) == DEAD


def test_bad_news_is_acted_upon_when_it_comes_and_not_when_a_window_is_over(shop, watch):
    shop.visits(1000, crash=(0.002, 0.12))
    assert look(shop, watch) == DEAD
    assert "crashed: units count before their windows are over, by what they did so far" in (
        shop.looks()[0].evidence.understood
    )
    assert given_again(shop.store, "EXP-2026-001", 1).differs == ()


def test_good_news_that_does_not_come_yet_is_no_harm(shop, watch):
    shop.visits(1500, buy=(0.4, 0.05))
    assert look(shop, watch) == ALIVE  # a day is theirs to buy
    shop.pass_time(days=2)
    assert look(shop, watch) == DEAD


def test_it_costs_no_look_and_says_nothing_where_nothing_is_proven(shop, watch, caplog):
    for _ in range(10):
        shop.visits(300)
        shop.pass_time(hours=2)
        assert look(shop, watch) == ALIVE
    assert (shop.told(), caplog.text) == ({}, "")
    with shop.store.reading() as connection:
        assert not [one for one in entries(connection) if one.actor == ACTOR]


def test_a_harmed_primary_kills_too(shop, watch):
    shop.visits(1500, buy=(0.4, 0.05))
    shop.pass_time(days=2)
    assert look(shop, watch) == DEAD
    assert "bought" in shop.told()["harm/EXP-2026-001/killed"].evidence["said"]


def test_nothing_is_read_again_where_nothing_came(shop, watch, monkeypatch):
    read = []
    monkeypatch.setattr(harm_watch, "find_harm", lambda *_: read.append(shop.now))
    shop.visits(10)
    for _ in range(3):
        look(shop, watch)
    assert len(read) == 1
    shop.visits(10)
    look(shop, watch)
    assert len(read) == 2
    shop.pass_time(minutes=59)
    look(shop, watch)
    assert len(read) == 2
    shop.pass_time(minutes=2)  # units mature by time alone
    look(shop, watch)
    assert len(read) == 3


STEPS = {
    "before anything": "harm_watch.switch",
    "after the flag": "harm_watch.close_harmed",
    "within the transaction": "harm.keep_look",
    "before its end": "harm.experiments.move",
    "before it is told": "harm_watch.Alerts.report",
}
KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from upshot.bootstrap import open_store
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.services import harm, harm_watch
from upshot.services.alerts import Alerts
from upshot.services.defined import Defined
from upshot.services.harm_watch import HarmWatch
from upshot.store.flag_files import FlagDirectory

place, step, now = Path(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3])
*path, name = step.split(".")
holder = {"harm": harm, "harm_watch": harm_watch}[path[0]]
for one in path[1:]:
    holder = getattr(holder, one)
setattr(holder, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
clock = lambda: now
store = open_store(place / "data", clock=clock)
metrics = metrics_from_yaml(sys.argv[4])
flags, alerts = FlagDirectory(place / "flags"), Alerts(store, (), clock)
watch = HarmWatch(store, flags, place / "data", lambda: Defined(metrics=metrics), alerts)
watch.look(now)
print("it was not killed")
"""
METRICS = """
metrics:
  bought: {kind: proportion, event: Bought, window: 1d}
  crashed: {kind: proportion, event: Crashed, window: 1h, better: lower}
"""


@pytest.mark.parametrize("step", list(STEPS))
def test_it_is_whole_after_kill_9_at_any_step(shop, watch, step):
    harm_done(shop)
    place = shop.data.parent
    done = subprocess.run(
        [sys.executable, "-c", KILLED, place, STEPS[step], shop.now.isoformat(), METRICS],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    began = step != "before anything"
    assert sorted(shop.off()) == (["checkout"] if began else [])
    assert len(shop.looks()) == (shop.state() == "killed"), "the look and the end are one"
    shop.visits(1000)  # later events take nothing back
    shop.pass_time(hours=2)
    assert look(shop, watch) == DEAD
    assert shop.looks()[0].verdict.cause == "harm"
    assert list(shop.told()) == ["harm/EXP-2026-001/killed"]
    assert len(shop.flags.read().kills.history) == 1
    with shop.store.reading() as connection:
        assert verify(connection).broken is None


def test_what_cannot_be_turned_off_is_told_and_tried_again(shop, watch, monkeypatch):
    harm_done(shop)

    def full(*_):
        raise InputError("kills.json cannot be written (No space left on device)")

    with monkeypatch.context() as patched:
        patched.setattr(harm_watch, "switch", full)
        assert look(shop, watch) == ALIVE
    finding = shop.told()["harm/EXP-2026-001/trouble"]
    assert "cannot be turned off (kills.json cannot be written" in finding.what
    assert look(shop, watch) == DEAD
    shop.pass_time(hours=1)
    look(shop, watch)
    assert list(shop.told()) == ["harm/EXP-2026-001/killed"]


def test_harm_without_a_flag_of_ours_is_told(shop, watch):
    (shop.flags._path / "flags.yaml").write_text("flags: {}")
    publish(shop.flags, lambda: "salt")
    harm_done(shop)
    assert look(shop, watch) == ALIVE
    finding = shop.told()["harm/EXP-2026-001/trouble"]
    assert finding.what == "experiment EXP-2026-001 harms, and no flag of ours carries it"
    assert "crashed is" in finding.evidence["said"]


def test_one_that_cannot_be_watched_is_told_and_hinders_no_other(shop, watch):
    shop.plan(replace(plan_of(shop), id="EXP-2026-002"))
    with shop.store.changing("ann") as change:
        plan = replace(plan_of(shop), metrics=(replace(plan_of(shop).metrics[0], column="gone"),))
        experiments.save_plan(change, "EXP-2026-002", replace(plan, id="EXP-2026-002"))
    harm_done(shop)
    assert look(shop, watch) == DEAD
    assert "gone" in shop.told()["harm/EXP-2026-002/trouble"].evidence["said"]


def test_a_flag_that_people_turned_off_is_left_to_them(shop, watch):
    entry = Switching(flag="checkout", action="kill", at=shop.now, actor="ann", reason="a holiday")
    switch(shop.flags, entry)
    harm_done(shop)
    assert look(shop, watch) == ("running", [], ["checkout"])


def test_an_experiment_whose_rollout_was_turned_off_for_harm_ends_with_it(shop, watch):
    shop.visits(100)
    shop.pass_time(hours=1)
    entry = Switching(flag="checkout", action="kill", at=shop.now, actor=ROLLOUTS, reason="errors: harmed")
    switch(shop.flags, entry)
    assert look(shop, watch) == ("killed", [], ["checkout"])
    with shop.store.reading() as connection:
        assert list(entries(connection))[-1].reason == "errors: harmed"


def test_a_kill_of_before_its_start_is_no_kill_of_it(shop, watch):
    before = shop.now - timedelta(days=1)
    switch(shop.flags, Switching(flag="checkout", action="kill", at=before, actor=ROLLOUTS, reason="old"))
    assert look(shop, watch) == ("running", [], ["checkout"])


def test_a_look_of_the_day_that_says_harm_is_acted_upon(shop, watch):
    """The running p of that look counts, whatever came since."""
    from upshot.services.live import Asked, live_look

    harm_done(shop)
    asked = Asked(data=shop.data, experiment="EXP-2026-001", as_of=shop.now, definitions=shop.definitions)
    assert live_look(shop.store, asked, "ann").findings.verdict.cause == "harm"
    shop.visits(3000, crash=(0.12, 0.002))
    shop.pass_time(hours=2)
    assert look(shop, watch) == ("killed", [1, 2], ["checkout"])


def test_a_phase_that_nobody_met_yet_is_not_judged_by_the_one_before(shop, watch):
    harm_done(shop)
    with shop.store.changing("ann") as change:
        experiments.begin_phase(change, "EXP-2026-001")
    assert look(shop, watch) == ALIVE
    assert shop.told() == {}


def test_flags_of_the_store_are_turned_off_with_their_row_in_the_chain(shop):
    flags = StoredFlags(shop.store, "upshot")
    with shop.store.changing("ann") as change:
        put(change, shop.flags.read().flags)
    publish(flags, lambda: "salt")
    watch = HarmWatch(shop.store, flags, shop.data, lambda: Defined(metrics=shop.definitions), shop.alerts)
    shop.visits(1000, crash=(0.002, 0.12))
    watch.look(shop.now)
    assert shop.state() == "killed"
    assert list(flags.read().kills.off) == ["checkout"]
    with shop.store.reading() as connection:
        done = [(one.actor, one.action) for one in entries(connection) if one.actor == ACTOR]
        assert verify(connection).broken is None
    assert [action for _, action in done] == ["flag.killed", "look.taken", "experiment.killed"]
