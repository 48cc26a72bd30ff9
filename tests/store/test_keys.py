import base64
import hashlib

import pytest
from sqlalchemy import select

from upshot.errors import InputError, NotFoundError
from upshot.model.access import ROLES
from upshot.store import keys
from upshot.store.audit import entries, verify
from upshot.store.tables import KEYS


def create(store, kind="server", source="shop"):
    with store.changing("ann", "for the test") as change:
        return keys.create(change, kind, source)


def revoke(store, name):
    with store.changing("bob", "it leaked") as change:
        return keys.revoke(change, name)


def holder(store, secret):
    with store.reading() as connection:
        found = keys.by_digest(connection).get(keys.digest(secret))
        assert keys.by_secret(connection, secret) == found
    return found


@pytest.mark.parametrize("kind", ROLES)
def test_who_shows_a_key_is_known(store, kind):
    key, secret = create(store, kind, " shop ")
    assert (key.kind, key.source, key.revoked_at) == (kind, "shop", None)
    assert secret.startswith(f"upshot_{kind}_")
    assert holder(store, secret) == key
    assert holder(store, secret + "x") is None
    assert holder(store, "") is None
    assert holder(store, "\udcff") is None


def test_a_secret_has_32_random_bytes_and_is_kept_nowhere(store):
    _, secret = create(store)
    assert len(base64.urlsafe_b64decode(secret.removeprefix("upshot_server_") + "=")) == 32
    with store.reading() as connection:
        (row,) = connection.execute(select(KEYS)).all()
        (entry,) = entries(connection)
    assert row.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in f"{row}{entry}"
    assert row.digest not in f"{entry}"


def test_no_two_secrets_are_the_same(store):
    assert len({create(store)[1] for _ in range(20)}) == 20


def test_a_revoked_key_opens_nothing_and_stays_in_the_list(store):
    first, secret = create(store)
    second, other = create(store, "client")
    revoked = revoke(store, first.id)
    assert revoked.revoked_at is not None
    assert holder(store, secret) is None
    assert holder(store, other) == second
    with store.reading() as connection:
        assert keys.listed(connection) == (revoked, second)


def test_revoking_again_changes_nothing(store):
    key, _ = create(store)
    assert revoke(store, key.id) == revoke(store, key.id)
    with store.reading() as connection:
        assert verify(connection).rows == 2


def test_each_change_is_in_the_chain(store):
    key, _ = create(store)
    revoke(store, key.id)
    with store.reading() as connection:
        first, second = entries(connection, subject=f"key/{key.id}")
        assert verify(connection).broken is None
    assert (first.action, first.actor, first.before) == ("key.created", "ann", None)
    assert first.after == '{"kind":"server","revoked_at":null,"source":"shop"}'
    assert (second.action, second.actor, second.reason) == ("key.revoked", "bob", "it leaked")
    assert second.before == first.after
    assert second.after == '{"kind":"server","revoked_at":"2026-12-01T09:00:02.000000Z","source":"shop"}'


@pytest.mark.parametrize(
    ("kind", "source", "said"),
    [
        ("root", "shop", "key's role is 'root'"),
        ("server", " ", "the source is ''"),
        ("server", "a\x00b", "of at most 100 characters"),
        ("server", "a" * 101, "of at most 100 characters"),
    ],
)
def test_what_cannot_be_a_key_is_refused(store, kind, source, said):
    with pytest.raises(InputError, match=said):
        create(store, kind, source)


def test_an_unknown_key_cannot_be_revoked(store):
    with pytest.raises(NotFoundError, match="no key 0123"):
        revoke(store, "0123")
