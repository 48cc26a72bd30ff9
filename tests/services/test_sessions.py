"""Coming in by password: real argon2, both stores where it is about concurrency."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher

from upshot.errors import InputError
from upshot.services import passwords, sessions, users
from upshot.services.audit import entries, verify

PASSWORD = "correct horse battery"
HERE = "10.0.0.1"


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """argon2 with little work, so that the suite need not wait."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64))
    passwords._nobodys.cache_clear()
    yield
    passwords._nobodys.cache_clear()


@pytest.fixture
def ann(store):
    users.create(store, "root", "admin", actor="root")
    users.create(store, "ann", "editor", PASSWORD, actor="root")
    return store


def refused(store, name="ann", password="wrong", address=HERE):
    with pytest.raises((sessions.LoginError, sessions.LockedError)) as raised:
        sessions.begin(store, name, password, address)
    return raised.value


def test_the_right_password_opens_a_session_which_logout_ends(ann):
    user, token = sessions.begin(ann, "ann", PASSWORD, HERE)
    assert (user.name, user.role) == ("ann", "editor")
    assert sessions.holder(ann, token) == user
    sessions.end(ann, "ann", token)
    assert sessions.holder(ann, token) is None
    assert sessions.holder(ann, "") is None


def test_a_session_is_never_taken_over(ann):
    _, first = sessions.begin(ann, "ann", PASSWORD, HERE)
    _, second = sessions.begin(ann, "ann", PASSWORD, HERE, old=first)
    assert first != second
    assert sessions.holder(ann, first) is None
    assert sessions.holder(ann, second) is not None


def test_a_wrong_name_and_a_wrong_password_are_told_alike(ann):
    said = {str(refused(ann)), str(refused(ann, "nobody", PASSWORD)), str(refused(ann, "a\x00", PASSWORD))}
    assert said == {"the name or the password is wrong"}


def test_the_work_is_the_same_for_who_is_not_there(ann, monkeypatch):
    asked = []
    monkeypatch.setattr(sessions, "matches", lambda given, kept: asked.append((given, kept)) or False)
    refused(ann)
    refused(ann, "nobody")
    assert [kept is None for _, kept in asked] == [False, True]
    assert not passwords.matches("nobody has this password", None)


def test_an_account_is_locked_even_for_the_right_password_and_an_admin_lifts_it(ann):
    for number in range(sessions.FOR_ACCOUNT):
        assert isinstance(refused(ann, address=f"10.0.0.{number}"), sessions.LoginError)
    locked = refused(ann, password=PASSWORD)
    assert isinstance(locked, sessions.LockedError)
    assert 0 < locked.retry_after <= 900
    assert "login.locked" in [entry.action for entry in entries(ann)]
    users.set_password(ann, "ann", PASSWORD, actor="root")
    assert sessions.begin(ann, "ann", PASSWORD, HERE)


def test_an_address_is_locked_whomever_it_tries(ann):
    for number in range(sessions.FOR_ADDRESS):
        assert isinstance(refused(ann, f"user{number}"), sessions.LoginError)
    assert isinstance(refused(ann, "ann", PASSWORD), sessions.LockedError)
    assert sessions.begin(ann, "ann", PASSWORD, "10.9.9.9")


def test_many_at_once_get_no_further_than_one_after_the_other(ann):
    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(lambda number: refused(ann, address=f"10.0.0.{number}"), range(16)))
    assert sum(isinstance(one, sessions.LoginError) for one in told) == sessions.FOR_ACCOUNT


def test_nothing_secret_is_in_the_chain(ann):
    _, token = sessions.begin(ann, "ann", PASSWORD, HERE)
    refused(ann, password="a-wrong-password-of-ann")
    told = str(entries(ann))
    for secret in (PASSWORD, "a-wrong-password-of-ann", token, "argon2"):
        assert secret not in told
    assert verify(ann).problems == ()


def test_a_hash_of_little_work_is_made_anew_when_its_owner_comes_in(ann, monkeypatch):
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=2, memory_cost=64))
    with ann.reading() as connection:
        before = users.users.with_hash(connection, "ann")[1]
    sessions.begin(ann, "ann", PASSWORD, HERE)
    with ann.reading() as connection:
        after = users.users.with_hash(connection, "ann")[1]
    assert before != after
    assert not passwords.is_weak(after)
    assert sessions.begin(ann, "ann", PASSWORD, HERE)


@pytest.mark.parametrize(
    "password", ["short", "a" * 12, "my name is Ann!!"[:11], "x" * 201, "I-am-ann-indeed"]
)
def test_passwords_that_can_be_guessed_are_refused_and_not_shown(store, password):
    with pytest.raises(InputError) as raised:
        users.create(store, "ann", "viewer", password, actor="root")
    assert password not in str(raised.value)


def test_what_is_kept_is_argon2id():
    assert PasswordHasher().hash(PASSWORD).startswith("$argon2id$")
    assert passwords.hashed(PASSWORD).startswith("$argon2id$")
