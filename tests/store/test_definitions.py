import pytest

from upshot.errors import ConflictError, NotFoundError
from upshot.store import definitions
from upshot.store.audit import entries, verify

BOUGHT = {"kind": "proportion", "event": "Order", "window": "7d"}


def put(store, *arguments, **fields):
    with store.changing("ann", "the test") as change:
        return definitions.put(change, *arguments, **fields)


def listed(store, section=None):
    with store.reading() as connection:
        return definitions.listed(connection, section)


def rows(store):
    with store.reading() as connection:
        assert verify(connection).broken is None
        return [(entry.action, entry.subject) for entry in entries(connection)]


def test_a_definition_is_kept_as_it_was_written(store):
    put(store, "metrics", "bought", BOUGHT)
    put(store, "alerts", "growth", {"to": "$SLACK"})
    first, second = listed(store)
    assert (first.section, first.name, first.version) == ("alerts", "growth", 1)
    assert (second.name, dict(second.body)) == ("bought", BOUGHT)
    assert listed(store, "metrics") == (second,)
    assert rows(store) == [("definition.written", "metrics/bought"), ("definition.written", "alerts/growth")]


def test_the_same_again_changes_nothing_and_an_edit_counts(store):
    put(store, "metrics", "bought", BOUGHT)
    assert put(store, "metrics", "bought", dict(BOUGHT)).version == 1
    assert put(store, "metrics", "bought", {**BOUGHT, "window": "14d"}).version == 2
    assert len(rows(store)) == 2


def test_of_two_who_edit_the_second_is_told(store):
    put(store, "metrics", "bought", BOUGHT, expected=0)
    put(store, "metrics", "bought", {**BOUGHT, "window": "1d"}, expected=1)
    with pytest.raises(
        ConflictError, match=r"metrics/bought was changed meanwhile \(version 2, you edited 1\)"
    ):
        put(store, "metrics", "bought", {**BOUGHT, "window": "2d"}, expected=1)
    assert listed(store)[0].body["window"] == "1d"


def test_what_is_removed_is_gone_and_in_the_chain(store):
    put(store, "metrics", "bought", BOUGHT)
    with store.changing("ann") as change:
        definitions.remove(change, "metrics", "bought", expected=1)
    assert listed(store) == ()
    assert rows(store)[-1] == ("definition.removed", "metrics/bought")
    with (
        pytest.raises(NotFoundError, match="there is no bought among the metrics"),
        store.changing("ann") as change,
    ):
        definitions.remove(change, "metrics", "bought")


def test_what_files_said_last_is_remembered_without_a_row(store):
    with store.changing("ann") as change:
        definitions.file(change, {("metrics", "bought"): BOUGHT, ("flags", "shop"): {"on": True}})
        definitions.file(change, {("flags", "shop"): None})
    with store.reading() as connection:
        found = definitions.filed(connection)
    assert list(found) == [("metrics", "bought")]
    assert found["metrics", "bought"].startswith("sha256:")
    assert rows(store) == []
