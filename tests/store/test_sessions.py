from datetime import timedelta

import pytest
from sqlalchemy import select

from upshot.store import attempts, sessions, users
from upshot.store.audit import entries
from upshot.store.tables import ATTEMPTS, SESSIONS

TOKEN = "a-token-of-32-random-bytes"


@pytest.fixture
def known(store):
    with store.changing("root") as change:
        users.create(change, "root", "admin", "hash")
        users.create(change, "ann", "editor", "hash")
    begin(store)
    return store


def begin(store, token=TOKEN):
    with store.changing("ann") as change:
        sessions.begin(change, "ann", token)


def found(store, token=TOKEN):
    with store.reading() as connection:
        return sessions.find(connection, token, store.now())


def test_a_token_opens_the_session_of_its_user(known):
    user, is_to_note = found(known)
    assert (user.name, user.role, is_to_note) == ("ann", "editor", False)
    assert found(known, TOKEN + "x") is None


def test_only_a_digest_is_kept(known):
    with known.reading() as connection:
        row = connection.execute(select(SESSIONS)).one()
        assert TOKEN not in f"{row}{entries(connection)}"
        assert row.digest not in f"{entries(connection)}"


def test_an_idle_session_ends(known, clock):
    clock.now += sessions.IDLE - timedelta(minutes=1)
    assert found(known)[1]
    clock.now += timedelta(minutes=1)
    assert found(known) is None


def test_use_keeps_it_until_it_is_old(known, clock):
    for _ in range(int(sessions.LONGEST / timedelta(hours=6)) - 1):
        clock.now += timedelta(hours=6)
        assert found(known) is not None
        with known.changing("ann") as change:
            sessions.note(change, TOKEN)
    clock.now += timedelta(hours=6)
    assert found(known) is None


def test_it_ends_by_logout_password_and_disabling(known):
    for end in (
        lambda change: sessions.end(change, TOKEN),
        lambda change: users.set_password(change, "ann", "other"),
        lambda change: users.disable(change, "ann"),
    ):
        begin(known, "another")
        assert found(known, "another") is not None
        with known.changing("ann") as change:
            sessions.end(change, "another")
            sessions.begin(change, "ann", "another")
            end(change)
            sessions.end(change, "another")
        assert found(known, "another") is None
    assert found(known) is None


def test_those_that_ended_are_swept_away(known, clock):
    clock.now += sessions.LONGEST
    begin(known, "another")
    with known.reading() as connection:
        assert len(connection.execute(select(SESSIONS)).all()) == 1


def count(store, who="user/ann", most=3):
    with store.changing("upshot login") as change:
        return attempts.count(change, who, most)


def test_attempts_are_let_through_up_to_a_number_and_then_wait(store, clock):
    assert [count(store) for _ in range(3)] == [0, 0, 0]
    left = count(store)
    assert attempts.WINDOW.total_seconds() - 10 < left < attempts.WINDOW.total_seconds()
    assert count(store) < left
    assert count(store, "user/bob") == 0
    with store.reading() as connection:
        (told,) = entries(connection)
    assert (told.action, told.subject) == ("login.locked", "user/ann")
    clock.now += attempts.WINDOW
    assert count(store) == 0
    with store.reading() as connection:
        assert len(connection.execute(select(ATTEMPTS)).all()) == 1


def test_who_came_in_is_forgiven(store):
    assert [count(store) for _ in range(3)] == [0, 0, 0]
    with store.changing("ann") as change:
        attempts.forgive(change, "user/ann")
    assert count(store) == 0
