import itertools
import json
import multiprocessing
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from upshot.assignment.ledger import Ledger
from upshot.errors import ConflictError, InputError, NotFoundError, PlanError, UnavailableError
from upshot.formats.flags import flags_from_yaml
from upshot.model.flag import FlagSet
from upshot.services.flags import Flags, publish
from upshot.store import flags
from upshot.store.audit import entries, verify
from upshot.store.control import ControlStore
from upshot.store.engine import writing
from upshot.store.flags import StoredFlags
from upshot.store.kill_file import Switching

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
SET = flags_from_yaml("""
flags:
  checkout:
    type: boolean
    rules:
      - {id: ramp, segments: [beta], rollout: {variant: on, percentage: 10}}
    monitoring: {errorThreshold: 0.01}
  price:
    type: number
    variants: {control: 1.0, high: 2}
    default: control
    rules:
      - {id: trial, experiment: {id: EXP-2026-001, split: {control: 1, high: 1}, layer: shop, layer_share: 50}}
segments:
  beta: {when: {attr: plan, op: eq, value: beta}}
layers:
  shop: {}
""")
CHECKOUT = ("flags", "checkout")


def salts():
    numbers = itertools.count(1)
    return lambda: f"salt-{next(numbers)}"


def put(store, things=SET, expected=None):
    with store.changing("ann", "an idea") as change:
        flags.put(change, things, expected)


def remove(store, place, expected=None):
    with store.changing("ann", "done with it") as change:
        flags.remove(change, place, expected)


def versions(store):
    with store.reading() as connection:
        return flags.versions(connection)


def stored(store):
    return StoredFlags(store, "server")


def chain(store):
    with store.reading() as connection:
        assert verify(connection).broken is None
        return entries(connection)


def only(key, **fields):
    return FlagSet(flags={key: replace(SET.flags[key], **fields)})


def test_an_empty_store_has_no_flags_and_none_in_force(store):
    found = stored(store).read()
    assert (found.flags, found.ledger, found.applied) == (FlagSet(), Ledger(), None)
    assert publish(stored(store), salts()).ruleset.flag_keys == ()
    assert stored(store).read().applied == FlagSet()


def test_what_is_put_is_read_back_to_the_letter(store):
    put(store)
    found = stored(store).read()
    assert found.flags == SET
    assert isinstance(found.flags.flags["price"].variants["control"], float)
    assert isinstance(found.flags.flags["price"].variants["high"], int)
    assert found.problems == ()


def test_putting_one_flag_leaves_the_others(store):
    put(store)
    put(store, only("checkout", enabled=False))
    assert stored(store).read().flags == replace(
        SET, flags={**SET.flags, "checkout": replace(SET.flags["checkout"], enabled=False)}
    )


def test_each_change_has_its_row_and_what_is_the_same_has_none(store):
    put(store)
    assert [entry.subject for entry in chain(store)] == [
        "flag/checkout", "flag/price", "segment/beta", "layer/shop",
    ]  # fmt: skip
    put(store, only("checkout", enabled=False))
    put(store, only("checkout", enabled=False))
    last = chain(store)[-1]
    assert (last.number, last.action, last.actor, last.reason) == (5, "flag.written", "ann", "an idea")
    assert "enabled" not in json.loads(last.before)
    assert json.loads(last.after)["enabled"] is False


def test_the_second_of_two_editors_is_told(store):
    put(store)
    read = versions(store)
    put(store, only("checkout", description="first"), {CHECKOUT: read[CHECKOUT]})
    with pytest.raises(ConflictError, match="flag/checkout was changed meanwhile"):
        put(store, only("checkout", description="second"), {CHECKOUT: read[CHECKOUT]})
    with pytest.raises(ConflictError, match="flag/checkout was changed meanwhile"):
        remove(store, CHECKOUT, read[CHECKOUT])
    with pytest.raises(ConflictError, match="you edited 0"):
        put(store, only("checkout", description="third"), {CHECKOUT: 0})
    assert stored(store).read().flags.flags["checkout"].description == "first"
    put(store, only("price", description="other"), {("flags", "price"): read["flags", "price"]})


def test_a_version_never_returns_with_the_name(store):
    put(store)
    old = versions(store)[CHECKOUT]
    remove(store, CHECKOUT)
    assert CHECKOUT not in versions(store)
    put(store, only("checkout"), {CHECKOUT: 0})
    assert versions(store)[CHECKOUT] > old


def test_a_change_that_leaves_a_mistake_is_refused_whole(store):
    put(store)
    with pytest.raises(PlanError, match="beta"):
        remove(store, ("segments", "beta"))
    gone = replace(SET.flags["checkout"].rules[0], segments=("gone",))
    with pytest.raises(PlanError, match="gone"):
        put(store, replace(only("checkout", rules=(gone,)), layers={"new": SET.layers["shop"]}))
    with pytest.raises(NotFoundError, match="no other among the layers"):
        remove(store, ("layers", "other"))
    assert stored(store).read().flags == SET
    assert len(chain(store)) == 4


# In force


def test_publishing_remembers_the_draws_and_writes_them_into_the_chain(store):
    put(store)
    first = publish(stored(store), salts())
    found = stored(store).read()
    assert found.applied == found.flags == SET
    assert len(found.ledger.salts) == 3
    assert found.ledger.layers["shop"]["EXP-2026-001"]
    last = chain(store)[-1]
    assert (last.action, last.actor) == ("flags.applied", "server")
    draws = json.loads(last.after)["draws"]
    assert [draws[f"salts/{path}"] for path in found.ledger.salts] == list(found.ledger.salts.values())
    again = publish(stored(store), salts())
    assert again.body == first.body
    assert chain(store)[-1] == last


def test_the_ledger_is_the_same_after_it_was_read(store):
    put(store)
    publish(stored(store), salts())
    ledger = stored(store).read().ledger
    stored(store).write(ledger, SET)
    assert stored(store).read().ledger == ledger


def test_draws_outlive_the_flag(store):
    put(store)
    publish(stored(store), salts())
    before = stored(store).read().ledger
    remove(store, CHECKOUT)
    publish(stored(store), salts())
    assert CHECKOUT not in {("flags", key) for key in stored(store).read().applied.flags}
    put(store, only("checkout"))
    publish(stored(store), lambda: pytest.fail("a salt was drawn anew"))
    assert stored(store).read().ledger == before


def test_servers_hear_of_edits_and_kills(store):
    put(store)
    served = Flags(stored(store), salts(), lambda: NOW)
    first = served.current.revision
    served.refresh()
    assert not served.refresh()
    put(store, only("checkout", enabled=False))
    assert served.refresh()
    assert served.current.revision != first


def kill(flag="checkout", action="kill"):
    return Switching(flag=flag, action=action, at=NOW, actor="guardrail", reason="errors 1.8 times control")


def test_a_kill_is_in_force_and_in_the_chain_until_it_is_revived(store):
    put(store)
    served = Flags(stored(store), salts(), lambda: NOW)
    beta = {"targetingKey": "u", "plan": "beta"}
    assert served.current.ruleset.evaluate("checkout", beta).reason != "DISABLED"
    assert stored(store).switch(kill())
    assert not stored(store).switch(kill())
    assert served.refresh()
    assert served.current.ruleset.evaluate("checkout", beta).reason == "DISABLED"
    last = chain(store)[-1]
    assert (last.action, last.subject) == ("flag.killed", "flag/checkout")
    assert (last.actor, last.reason) == ("guardrail", "errors 1.8 times control")
    assert stored(store).read().kills.off == {"checkout": kill()}
    assert stored(store).switch(kill(action="revive"))
    assert served.refresh()
    assert served.current.ruleset.evaluate("checkout", beta).reason != "DISABLED"
    assert stored(store).read().kills.rounds == {"checkout": 2}


def test_a_kill_is_in_force_although_an_edit_is_refused(store):
    put(store)
    served = Flags(stored(store), salts(), lambda: NOW)
    trial = SET.flags["price"].rules[0]
    resplit = replace(trial, experiment=replace(trial.experiment, split={"control": 1, "high": 3}))
    put(store, only("price", rules=(resplit,)))
    served.refresh()
    assert served.problems
    stored(store).switch(kill())
    assert served.refresh()
    assert served.current.ruleset.evaluate("checkout", {"targetingKey": "u"}).reason == "DISABLED"
    assert served.problems


def test_two_servers_draw_one_salt(store):
    put(store)
    drawn = []

    def new_salt():
        drawn.append(f"salt-{len(drawn)}")
        return drawn[-1]

    bodies = []
    threads = [
        threading.Thread(target=lambda: bodies.append(publish(stored(store), new_salt).body))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bodies) == 4
    assert len(set(bodies)) == 1
    assert len(drawn) == len(stored(store).read().ledger.salts)


def _edit(url, key, times):
    store = ControlStore.open(url, lambda: NOW)
    for n in range(times):
        put(store, FlagSet(flags={f"{key}-{n}": replace(SET.flags["price"], key=f"{key}-{n}", rules=())}))
    store.close()


def test_editors_in_several_processes_lose_nothing(store, url):
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_edit, args=(url, f"flag{who}", 8)) for who in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(stored(store).read().flags.flags) == 24
    assert len(chain(store)) == 24
    assert len(set(versions(store).values())) == 24


def test_a_publish_that_fails_leaves_nothing(store):
    put(store)

    def fail():
        raise RuntimeError("no more salts")

    with pytest.raises(RuntimeError):
        publish(stored(store), fail)
    found = stored(store).read()
    assert (found.ledger, found.applied) == (Ledger(), None)
    publish(stored(store), salts())


def test_a_store_that_cannot_answer_is_asked_again(store, monkeypatch):
    put(store)
    known = stored(store)
    before = known.version()

    def broken(*_):
        raise UnavailableError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "reading", broken)
        assert known.version() == before
        with pytest.raises(InputError, match="the disk is full"):
            known.read()
    assert known.version() != before
    assert known.read().flags == SET


def test_mistakes_that_somebody_wrote_into_the_table_are_told(store):
    put(store)
    with writing(store._engine) as connection:
        connection.execute(text("UPDATE flags SET written = :body"), {"body": '{"type": "colour"}'})
    with pytest.raises(PlanError, match="colour"):
        stored(store).read()
