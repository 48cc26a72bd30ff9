"""Flags that ask nothing get a draft, once; the draft passes the reader of experiments."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from upshot.formats.experiments import design_from_mapping, design_to_mapping
from upshot.formats.flags import flags_from_yaml
from upshot.model.flag import Monitoring
from upshot.services.alerts import Alerts
from upshot.services.flags import publish
from upshot.services.new_flags import NewFlags, draft_of, is_unasked
from upshot.store import alerts, experiments, flags
from upshot.store.flags import StoredFlags

NOW = datetime(2026, 12, 1, 7, tzinfo=UTC)
FLAGS = flags_from_yaml("""
flags:
  search: {variants: {"on": true, "off": false}, default: "off", owner: ann@example.org, description: A new search}
  banner: {variants: {control: none, treatment: large}, default: control, expires: 2027-01-01}
  limit: {type: number, variants: {only: 5}, default: only}
  checkout:
    variants: {control: a, treatment: b}
    default: control
    rules: [{id: exp, experiment: {id: EXP-2026-077, split: {control: 50, treatment: 50}}}]
""")


@pytest.fixture
def watch(store):
    with store.changing("ann") as change:
        flags.put(change, FLAGS)
    kept = StoredFlags(store, "upshot")
    publish(kept, iter(("s1", "s2", "s3")).__next__, NOW)
    return NewFlags(store, kept, Alerts(store, (), lambda: NOW))


def known(store):
    with store.reading() as connection:
        return {one.id: one for one in experiments.listed(connection)}, alerts.lasting(connection)


def test_a_flag_that_asks_nothing_gets_a_draft_once(store, watch):
    watch.look(NOW)
    watch.look(NOW)
    found, [told] = known(store)
    [(name, draft)] = found.items()
    assert (draft.state, draft.design.flag, draft.design.tags) == ("planned", "search", ("drafted",))
    assert (draft.plan.control, draft.design.owner) == ("off", "ann@example.org")
    assert dict(draft.design.variants) == {"off": "False", "on": "True"}
    assert told.finding.what == "flag search asks no question and has no end"
    assert told.finding.advice.startswith(f"ann@example.org: mend and start its draft, {name}")


def test_one_that_is_asked_about_is_left_alone(store, watch):
    watch.look(NOW)
    [name] = known(store)[0]
    with store.changing("ann") as change:
        experiments.move(change, name, "implemented")
    watch.look(NOW)
    assert list(known(store)[0]) == [name], "no second draft"


def test_what_is_unasked():
    assert {key for key, flag in FLAGS.flags.items() if is_unasked(flag)} == {"search"}
    assert not is_unasked(replace(FLAGS.flags["search"], enabled=False))
    assert not is_unasked(replace(FLAGS.flags["search"], expires=date(2027, 1, 1)))
    watched = Monitoring(error_threshold=0.05)
    assert not is_unasked(replace(FLAGS.flags["search"], monitoring=watched)), (
        "a guarded rollout is an answer, too"
    )


def test_a_draft_reads_back():
    draft = draft_of(FLAGS.flags["search"])
    assert design_from_mapping(design_to_mapping(draft)) == draft
