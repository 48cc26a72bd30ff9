import logging

import pytest

from upshot.errors import UnavailableError
from upshot.services import keys
from upshot.services.key_ring import FRESH, KeyRing


class Ticks:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def ticks():
    return Ticks()


def test_a_key_opens_within_a_second_after_it_was_given_out_and_no_longer_after_it_was_revoked(store, ticks):
    ring = KeyRing(store, ticks)
    key, secret = keys.create(store, "server", "shop", actor="ann")
    assert ring.holder(secret) is None
    ticks.now += FRESH
    assert ring.holder(secret) == key
    keys.revoke(store, key.id, actor="ann")
    assert ring.holder(secret) == key
    ticks.now += FRESH
    assert ring.holder(secret) is None


def test_the_store_is_asked_once_a_second_and_not_at_each_request(store, ticks, monkeypatch):
    ring = KeyRing(store, ticks)
    asked = []
    reading = store.reading
    monkeypatch.setattr(store, "reading", lambda: asked.append(ticks.now) or reading())
    for _ in range(100):
        ring.holder("unknown")
        ticks.now += 0.05
    assert len(asked) == 4


def test_keys_stay_known_while_the_store_cannot_answer(store, ticks, monkeypatch, caplog):
    _, secret = keys.create(store, "client", "page", actor="ann")
    ring = KeyRing(store, ticks)

    def broken():
        raise UnavailableError("the disk is gone")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(store, "reading", broken)
        ticks.now += FRESH
        assert ring.holder(secret).source == "page"
    assert "keys stay as they were: the disk is gone" in caplog.text
    ticks.now += FRESH
    assert ring.holder(secret).source == "page"
