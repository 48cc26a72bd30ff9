"""Changes are whole, and of a version that is understood."""

import sqlite3

import pytest

from upshot.errors import UpshotError
from upshot.events.manifest import Change, Deletion, EventFile, RejectedFile, open_manifest


def file(name):
    return EventFile(
        name=name,
        day=None,
        bucket=None,
        rows=1,
        bytes=9,
        first_time=1,
        last_time=2,
        last_arrival=1,
        made_at=3,
    )


def test_a_change_is_whole_or_not_made(tmp_path):
    with open_manifest(tmp_path / "manifest.db") as manifest:
        manifest.commit(Change(files=(file("a"),), segments=("s1",)), 0)
        with pytest.raises(sqlite3.IntegrityError):
            manifest.commit(Change(dropped=("a",), files=(file("b"),), segments=("s1",)), 0)
        assert [found.name for found in manifest.event_files()] == ["a"]
        assert manifest.retired() == {"s1": 0}


def test_everything_comes_back(tmp_path):
    deletion = Deletion(id=b"x", until=5, done=False)
    rejected = RejectedFile(name="r", events=2)
    with open_manifest(tmp_path / "manifest.db") as manifest:
        manifest.commit(
            Change(files=(file("a"),), rejected=(rejected,), deletions=(deletion,), tally={"events": 2}), 0
        )
        manifest.commit(Change(dropped=("a",), tally={"events": 3}), 7)
    with open_manifest(tmp_path / "manifest.db") as manifest:
        assert manifest.event_files() == ()
        assert manifest.retired() == {"a": 7}
        assert manifest.rejected_files() == (rejected,)
        assert manifest.deletions() == (deletion,)
        assert manifest.tally() == {"events": 5}
        assert manifest.names() == {"r"}
        manifest.forget([], ["a"])
        assert manifest.retired() == {}


def test_numbers_are_given_once_and_never_again(tmp_path):
    with open_manifest(tmp_path / "manifest.db") as manifest:
        first = manifest.intern(["b", "a"])
        assert manifest.intern(["a", "c"]) == {"a": first["a"], "c": 3}
        manifest.commit(Change(forgotten=("c",)), 0)
        assert manifest.numbers(["a", "c"]) == {"a": first["a"]}
        assert manifest.intern(["d"]) == {"d": 4}


def test_a_commit_reaches_the_disk(tmp_path):
    with open_manifest(tmp_path / "manifest.db") as manifest:
        ask = manifest._connection.execute
        assert ask("PRAGMA synchronous").fetchone() == (3,)
        assert ask("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_newer_manifest_is_refused(tmp_path):
    path = tmp_path / "manifest.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(UpshotError, match=r"is of format 2, and this Upshot reads 1"), open_manifest(path):
        pass
