import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot.errors import InputError
from upshot.store import audit
from upshot.store.audit import entries, record, verify
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url

COLUMNS = ["number", "at", "actor", "action", "subject", "before", "after", "reason", "previous", "hash"]


def fill(store, rows=3):
    for n in range(rows):
        with store.changing("ann", f"because of ä {n}") as change:
            record(change, "key.created", f"key/{n}", before=None if n == 0 else {"n": n - 1}, after={"n": n})


def fail_after(store, work):
    with store.changing("ann") as change:
        work(change)
        raise ZeroDivisionError


def verified(store, noted=None):
    with store.reading() as connection:
        return verify(connection, noted)


def test_a_row_says_who_when_what_and_why(store):
    with store.changing("ann", "first") as change:
        record(change, "key.created", "key/1", after={"b": 1, "a": [1.0]})
    with store.reading() as connection:
        (entry,) = entries(connection)
    assert (entry.number, entry.at) == (1, "2026-12-01T09:00:01.000000Z")
    assert (entry.actor, entry.action, entry.subject, entry.reason) == (
        "ann",
        "key.created",
        "key/1",
        "first",
    )
    assert (entry.before, entry.after) == (None, '{"a":[1],"b":1}')
    assert entry.previous == audit.START


def test_rows_are_chained_and_the_chain_is_whole(store):
    assert verified(store) == audit.Verified(rows=0, head=audit.START)
    fill(store)
    with store.reading() as connection:
        found = entries(connection)
    assert [entry.previous for entry in found[1:]] == [entry.hash for entry in found[:-1]]
    assert verified(store) == audit.Verified(rows=3, head=found[-1].hash)


def test_several_changes_of_one_transaction_have_a_row_each_or_none(store):
    with store.changing("ann") as change:
        record(change, "a.b", "a/1")
        record(change, "a.b", "a/2")
    with pytest.raises(ZeroDivisionError):
        fail_after(store, lambda change: record(change, "a.b", "a/3"))
    assert verified(store).rows == 2


def test_entries_of_one_thing_or_one_kind(store):
    with store.changing("ann") as change:
        for subject in ("key/1", "key/2", "flag/1", "key_/1"):
            record(change, "a.b", subject)
    with store.reading() as connection:
        assert [entry.subject for entry in entries(connection, subject="key/")] == ["key/1", "key/2"]
        assert [entry.subject for entry in entries(connection, subject="key/2")] == ["key/2"]
        assert [entry.number for entry in entries(connection, limit=2)] == [3, 4]


def test_a_head_that_was_noted_is_found_as_long_as_the_chain_is_the_same(store):
    fill(store, 2)
    noted = verified(store).head
    fill(store, 1)
    assert verified(store, noted).broken is None
    assert "written anew" in verified(store, "sha256:" + "f" * 64).broken


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM audit WHERE number = 3", "ends at row 2, and its head speaks of row 3"),
        ("DELETE FROM audit WHERE number = 2", "row 2 is missing"),
        ("DELETE FROM audit", "ends at row 0"),
        ("DELETE FROM audit_head", "speaks of row 0"),
        ("UPDATE audit_head SET number = 4", "speaks of row 4"),
        ("UPDATE audit SET before = '' WHERE number = 1", "row 1 was edited"),
        ("UPDATE audit SET before = NULL WHERE number = 2", "row 2 was edited"),
        ("UPDATE audit SET number = 9 WHERE number = 3", "row 3 is missing"),
        ("UPDATE audit SET previous = hash WHERE number = 2", "row 2 does not follow row 1"),
    ],
)
def test_what_is_cut_out_or_moved_is_found(store, statement, said):
    fill(store)
    with store.changing("mallory") as change:
        change.connection.exec_driver_sql(statement)
    assert said in verified(store).broken


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    from datetime import UTC, datetime

    path = tmp_path_factory.mktemp("audit") / "upshot.db"
    store = ControlStore.open(sqlite_url(path), lambda: datetime(2026, 12, 1, 9, tzinfo=UTC))
    fill(store, 4)
    yield path, store
    store.close()


@settings(max_examples=200)
@given(
    row=st.integers(1, 4),
    column=st.sampled_from(COLUMNS[1:]),
    place=st.integers(0, 10_000),
    flipped=st.integers(1, 255),
)
def test_any_flipped_byte_of_any_column_is_found(filled, row, column, place, flipped):
    path, store = filled
    with sqlite3.connect(path) as connection:
        (old,) = connection.execute(
            f"SELECT CAST({column} AS BLOB) FROM audit WHERE number = ?", (row,)
        ).fetchone()
        if not old:
            return
        place %= len(old)
        new = old[:place] + bytes([old[place] ^ flipped]) + old[place + 1 :]
        edit = f"UPDATE audit SET {column} = CAST(? AS TEXT) WHERE number = ?"
        connection.execute(edit, (new, row))
        connection.commit()
        found = verified(store)
        connection.execute(edit, (old, row))
        connection.commit()
    assert found.broken is not None
    assert f"row {row} " in found.broken
    assert found.rows == row - 1
    assert verified(store).broken is None


@pytest.mark.parametrize("column", ["number", "hash"])
@pytest.mark.parametrize("flipped", [1, 2, 4, 8, 16, 32, 64, 128, 255])
def test_any_flipped_byte_of_the_head_is_found(filled, column, flipped):
    path, store = filled
    with sqlite3.connect(path) as connection:
        (old,) = connection.execute(f"SELECT {column} FROM audit_head").fetchone()
        raw = str(old).encode()
        new = raw[:-1] + bytes([raw[-1] ^ flipped])
        connection.execute(f"UPDATE audit_head SET {column} = CAST(? AS TEXT)", (new,))
        connection.commit()
        found = verified(store)
        connection.execute(f"UPDATE audit_head SET {column} = ?", (old,))
        connection.commit()
    assert found.broken is not None


@pytest.mark.parametrize("value", [b"ann", 5, None])
def test_a_value_of_another_type_is_found(filled, value):
    path, store = filled
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE audit SET before = ? WHERE number = 4", (value,))
        connection.commit()
        found = verified(store)
        connection.execute("UPDATE audit SET before = ? WHERE number = 4", ('{"n":2}',))
        connection.commit()
    assert found.broken == "row 4 was edited: its columns give another hash than the one it has"
    assert verified(store).broken is None


@pytest.mark.parametrize(
    ("actor", "reason", "said"),
    [
        ("  ", "", "nobody is named"),
        ("a\x00", "", "the actor is 'a\\x00'"),
        ("a", "\udcff", "the reason"),
    ],
)
def test_what_cannot_be_stored_is_refused(store, actor, reason, said):
    with pytest.raises(InputError) as raised, store.changing(actor, reason):
        pass
    assert said in str(raised.value)


def test_a_time_without_its_zone_is_a_fault(store):
    with store.changing("ann") as change:
        naive = replace(change, at=change.at.replace(tzinfo=None))
        with pytest.raises(ValueError, match="time zone"):
            record(naive, "a.b", "a/1")
