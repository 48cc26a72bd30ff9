"""A backup that is taken while a server writes, and what comes back of it."""

import json
import tarfile
import threading
from contextlib import closing, suppress

import pytest

from upshot.errors import ConflictError, InputError
from upshot.events.compaction import alone
from upshot.events.frame import Frame, Source
from upshot.events.layout import DataDirectory
from upshot.events.log import EventLog, Limits
from upshot.events.reader import connect
from upshot.events.replay import rejections
from upshot.events.upkeep import tidy
from upshot.services import backup
from upshot.services.backup import back_up, restore
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url


def append(log, *ids):
    messages = [{"type": "track", "event": "Bought", "userId": "u", "messageId": id_} for id_ in ids]
    log.append(Frame(Source("web"), 1_772_366_400_000_000, json.dumps({"batch": messages}).encode())).result(
        10
    )


def ids(directory):
    with connect(directory) as database:
        return sorted(id_ for (id_,) in database.sql("SELECT message_id FROM events").fetchall())


@pytest.fixture
def data(tmp_path):
    """Events in files, in a sealed segment and in an open one; a rejection; other files."""
    path = tmp_path / "data"
    with closing(EventLog.open(path)) as log:
        append(log, "compacted-1", "compacted-2")
        log.append(Frame(Source("web"), 0, b'{"batch": [{"type": "buy"}]}')).result(10)
    tidy(path)
    with closing(EventLog.open(path)) as log:
        append(log, "sealed")
    (path / "note.json").write_text('{"kept": true}')
    (path / "live").mkdir()
    (path / "live" / "state.bin").write_bytes(b"\x00\x01")
    with closing(EventLog.open(path)) as log:
        append(log, "open")
        yield path


ALL = ["compacted-1", "compacted-2", "open", "sealed"]


def test_everything_comes_back(data, tmp_path):
    target, back = tmp_path / "backup.tar", tmp_path / "back"
    written = back_up(data, target)
    read = restore(target, back)
    assert written == read
    assert {path.stat().st_mode & 0o777 for path in back.rglob("*") if path.is_file()} == {0o600}
    assert ids(back) == ids(data) == ALL
    tidy(back)
    assert ids(back) == ALL, "the log that came back is compacted"
    assert [one.body for one in rejections(back)] == [one.body for one in rejections(data)]
    assert (back / "note.json").read_text() == '{"kept": true}'
    assert (back / "live" / "state.bin").read_bytes() == b"\x00\x01"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "backup.tar", "data"]


def test_the_control_store_comes_back_while_it_is_open(data, tmp_path):
    from datetime import UTC, datetime

    from upshot.store import keys

    def opened(directory):
        return closing(ControlStore.open(sqlite_url(directory / "upshot.db"), lambda: datetime.now(UTC)))

    with opened(data) as store:
        with store.changing("ann") as change:
            made, _ = keys.create(change, "server", "shop")
        back_up(data, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", tmp_path / "back")
    with opened(tmp_path / "back") as store, store.reading() as connection:
        assert keys.listed(connection) == (made,)


def test_what_was_answered_before_a_backup_began_is_in_it_whatever_runs_meanwhile(tmp_path):
    data, stop, answered = tmp_path / "data", threading.Event(), []

    def write(log):
        while not stop.is_set():
            append(log, f"m{len(answered)}")
            answered.append(f"m{len(answered)}")
            stop.wait(0.005)

    def compact():
        while not stop.is_set():
            with suppress(ConflictError):
                tidy(data)
            stop.wait(0.1)

    with closing(EventLog.open(data, Limits(segment_seconds=0.1))) as log:
        threads = [threading.Thread(target=write, args=(log,)), threading.Thread(target=compact)]
        for thread in threads:
            thread.start()
        try:
            for number in range(3):
                stop.wait(0.2)
                before = list(answered)
                back_up(data, tmp_path / f"{number}.tar")
                restore(tmp_path / f"{number}.tar", tmp_path / str(number))
                found = ids(tmp_path / str(number))
                assert set(before) <= set(found)
                assert len(found) == len(set(found))
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def test_a_spoilt_backup_is_refused_and_leaves_nothing(data, tmp_path):
    good = tmp_path / "backup.tar"
    back_up(data, good)
    content = good.read_bytes()
    with tarfile.open(good) as tar:
        places = {member.name: member.offset_data for member in tar if member.size}
    spoilt = {
        "a byte of a file": flipped(content, places["note.json"]),
        "a byte of the log": flipped(
            content, next(at for name, at in places.items() if name.startswith("log/")) + 40
        ),
        "a byte of a Parquet file": flipped(
            content, next(at for name, at in places.items() if "parquet" in name)
        ),
        "half": content[: len(content) // 2],
        "nothing": b"",
        "no backup": b"x" * 10_000,
    }
    for what, data_ in spoilt.items():
        bad = tmp_path / "bad.tar"
        bad.write_bytes(data_)
        with pytest.raises(InputError, match=r"take another"):
            restore(bad, tmp_path / "back")
        assert not list(tmp_path.glob("back*[!r]")), what


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_a_backup_writes_nowhere_else(tmp_path, name):
    bad = tmp_path / "bad.tar"
    with tarfile.open(bad, "w") as tar:
        backup._add(tar, name, b"evil")
        backup._add(tar, "upshot-backup.json", b'{"format": 1, "sha256": {}}')
    with pytest.raises(InputError, match="outside"):
        restore(bad, tmp_path / "back")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tar"]


def test_nothing_is_overwritten(data, tmp_path):
    back_up(data, tmp_path / "backup.tar")
    with pytest.raises(InputError, match="is there already"):
        restore(tmp_path / "backup.tar", data)
    assert ids(data) == ALL


@pytest.mark.parametrize("target", ["backup.zip", "missing/backup.tar"])
def test_a_target_that_cannot_be(data, tmp_path, target):
    with pytest.raises(InputError, match=r"give a name that ends in \.tar"):
        back_up(data, tmp_path / target)


def test_a_compaction_that_does_not_end_is_told(data, tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "PATIENCE", 0.3)
    with alone(DataDirectory(data)), pytest.raises(ConflictError, match="another process"):
        back_up(data, tmp_path / "backup.tar")
    assert not (tmp_path / "backup.tar").exists()
