"""Flags that could go: told once each, with all their reasons, and not while they are needed."""

import pytest

from upshot.services.flags import publish
from upshot.services.stale_flags import StaleFlags
from upshot.store import experiments

FLAGS = """
flags:
  checkout:
    variants: {control: a, treatment: b}
    default: control
    owner: ann@example.org
    rules: [{id: exp, experiment: {id: EXP-2026-001, split: {control: 50, treatment: 50}}}]
  old: {enabled: true, expires: 2026-03-01}
  young: {enabled: true, expires: 2026-03-02}
"""


@pytest.fixture
def look(shop):
    (shop.flags._path / "flags.yaml").write_text(FLAGS)
    publish(shop.flags, lambda: "salt")
    watch = StaleFlags(shop.store, shop.flags, shop.data, shop.alerts)

    def told():
        watch.look(shop.now)
        return {key: finding.what for key, finding in shop.told().items()}

    return told


def test_what_is_needed_is_not_told_and_a_day_that_has_passed_is(shop, look):
    shop.visits(20)
    assert look() == {"stale/old": "flag old is stale: it was to be gone by 2026-03-01"}
    shop.pass_time(days=1)
    assert look()["stale/young"] == "flag young is stale: it was to be gone by 2026-03-02"


def test_what_nobody_meets_any_more_is_told_once_with_all_reasons(shop, look):
    shop.visits(20)
    shop.pass_time(days=30)
    assert look()["stale/checkout"] == "flag checkout is stale: no unit has met it since 2026-03-02"
    with shop.store.changing("ann") as change:
        for state in ("analyzing", "decided"):
            experiments.move(change, "EXP-2026-001", state)
    shop.pass_time(days=1)
    assert list(look()) == ["stale/checkout", "stale/old", "stale/young"]
    shop.visits(1)
    look()
    assert shop.told()["stale/checkout"].advice.startswith("ann@example.org: ")


def test_a_flag_that_nobody_ever_met_may_be_one_that_tells_nobody(shop, look):
    shop.pass_time(days=90)
    assert "stale/checkout" not in look()


def test_an_experiment_that_is_decided_needs_its_flag_no_more(shop, look):
    shop.visits(20)
    with shop.store.changing("ann") as change:
        for state in ("analyzing", "decided"):
            experiments.move(change, "EXP-2026-001", state)
    assert look()["stale/checkout"] == "flag checkout is stale: EXP-2026-001 is decided"
    (shop.flags._path / "flags.yaml").write_text("flags: {}")
    publish(shop.flags, lambda: "salt")
    shop.pass_time(days=1)
    assert look() == {}
