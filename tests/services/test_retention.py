"""What is older than is kept goes by an order that the audit chain has, before and after."""

import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from upshot.bootstrap import open_jobs, open_store
from upshot.errors import InputError, UnavailableError
from upshot.events.compaction import compact
from upshot.events.frame import Frame, Source, encode
from upshot.events.layout import DataDirectory
from upshot.events.reader import connect
from upshot.services import retention
from upshot.services.retention import Retention, remove_older
from upshot.settings import Settings
from upshot.store import audit
from upshot.store.control import ControlStore
from upshot.store.flags import StoredFlags

NOW = datetime.now(UTC)


@pytest.fixture
def data(tmp_path):
    """A data directory with an event of each of the last ten days."""
    place = DataDirectory(tmp_path)
    place.make()
    frames = []
    for ago in range(10):
        at = NOW - timedelta(days=ago, hours=1)
        body = {"batch": [{"type": "track", "event": "Seen", "userId": f"u{ago}", "messageId": f"m{ago}"}]}
        frames.append(encode(Frame(Source("web"), round(at.timestamp() * 1e6), json.dumps(body).encode())))
    (place.log / "0001-1-x.seg").write_bytes(b"".join(frames))
    return tmp_path


@pytest.fixture
def store(data):
    with closing(open_store(data, made=True)) as found:
        yield found


def left(data):
    with connect(data) as database:
        return {one for (one,) in database.execute("SELECT message_id FROM events").fetchall()}


def rows(store):
    with store.reading() as connection:
        return [(row.action, row.actor, row.after) for row in audit.entries(connection, subject="events")]


def test_the_chain_has_what_was_ordered_and_what_was_done(data, store):
    done = remove_older(store, data, timedelta(days=4), NOW, actor="ann", reason="our policy")
    assert (done.events, done.units) == (6, 6)
    assert left(data) == {"m0", "m1", "m2", "m3"}
    (first, actor, begun), (second, _, ended) = rows(store)
    assert (first, second, actor) == ("events.expiring", "events.expired", "ann")
    assert json.loads(ended) == {**json.loads(begun), "events": 6, "rejections": 0, "units": 6}


def test_nothing_is_removed_that_cannot_be_recorded(data, store, monkeypatch):
    def refused(*_):
        raise UnavailableError("others have been writing")

    monkeypatch.setattr(ControlStore, "changing", refused)
    with pytest.raises(UnavailableError):
        remove_older(store, data, timedelta(days=4), NOW, actor="ann")
    assert len(left(data)) == 10


def test_a_removal_that_is_cut_off_is_done_by_the_next(data, store, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(retention, "expire", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_older(store, data, timedelta(days=4), NOW, actor="ann")
    compact(data)
    Retention(store, data, timedelta(days=4)).work(NOW)
    assert len(left(data)) == 4
    assert [row[0] for row in rows(store)] == ["events.expiring", "events.expiring", "events.expired"]


def test_a_server_orders_nothing_where_nothing_is_due(data, store):
    compact(data)
    keeping = Retention(store, data, timedelta(days=20))
    keeping.work(NOW)
    assert rows(store) == []
    keeping.work(NOW + timedelta(days=15))
    assert len(rows(store)) == 2
    assert len(left(data)) == 5
    keeping.work(NOW + timedelta(days=15))
    assert len(rows(store)) == 2


def test_a_server_with_the_setting_does_it(data, store):
    compact(data)
    settings = Settings(keep_days=4)
    with open_jobs(store, StoredFlags(store, "upshot"), data, settings, clock=lambda: NOW) as jobs:
        until = time.monotonic() + 10
        while jobs.run("retention") is None:
            assert time.monotonic() < until
            time.sleep(0.05)
    assert len(left(data)) == 4


def test_what_is_young_is_never_asked_for(data, store):
    with pytest.raises(InputError, match="give a day or more"):
        remove_older(store, data, timedelta(hours=23), NOW, actor="ann")
    with pytest.raises(InputError, match="give a day or more"):
        Retention(store, data, timedelta(hours=1))
