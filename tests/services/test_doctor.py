"""What `upshot doctor` says of a sound data directory, and of each kind of damage."""

import json
from contextlib import closing
from datetime import UTC, datetime

import pytest
import sqlalchemy

from upshot.doors.cli.main import main
from upshot.errors import InputError
from upshot.events.disk import free_bytes
from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog
from upshot.events.upkeep import tidy
from upshot.services import doctor
from upshot.services.doctor import examine
from upshot.store import keys
from upshot.store.control import ControlStore
from upshot.store.engine import sqlite_url


@pytest.fixture
def data(tmp_path):
    """Events in a file and in a sealed segment, a rejection, and a control store with two rows of audit."""
    path = tmp_path / "data"
    body = {"batch": [{"type": "track", "event": "Bought", "userId": "u"}, {"type": "buy"}]}
    for _ in range(2):
        tidy(path) if path.exists() else None
        with closing(EventLog.open(path)) as log:
            log.append(Frame(Source("web"), 1, json.dumps(body).encode())).result(10)
    with (
        closing(ControlStore.open(sqlite_url(path / "upshot.db"), lambda: datetime.now(UTC))) as store,
        store.changing("ann") as change,
    ):
        keys.create(change, "server", "shop")
        keys.create(change, "client", "shop")
    return path


def found(path):
    return {one.name: (one.status, one.detail) for one in examine(path)}


def only(path, name, status):
    """The sentence about one thing; all else must be well."""
    said = found(path)
    others = {name: status for name, (status, _) in said.items() if status != "pass"}
    others.pop("place", None)  # where the tests run may be a container's own file system
    assert others == {name: status}
    return said[name][1]


def test_a_sound_directory(data):
    said = found(data)
    assert {name for name, (status, _) in said.items() if status != "pass"} <= {"place"}
    assert said["files"][1] == "1 files with 1 events, all whole"
    assert said["rejected"][1] == "1 rejected messages, all whole"
    assert said["audit"][1] == "2 rows, each follows from the one before"
    assert set(said) == {
        *(
            "place",
            "space",
            "privacy",
            "log",
            "manifest.db",
            "upshot.db",
            "files",
            "damage",
            "rejected",
            "audit",
        )
    }


def spoil(path, place=-20):
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def test_a_damaged_segment(data):
    spoil(next((data / "log").glob("*.seg")))
    assert "damaged, and kept as rejected" in only(data, "log", "fail")
    tidy(data)
    assert "bytes of segments were damaged when they were compacted" in only(data, "damage", "warn")


def test_a_damaged_or_missing_file_of_events(data):
    file = next((data / "events").glob("*.parquet"))
    spoil(file, file.stat().st_size // 3)
    assert "restore a backup" in only(data, "files", "fail")
    file.unlink()
    assert "cannot be read" in only(data, "files", "fail")


def test_missing_keys_of_events(data):
    next((data / "events").glob("*.keys")).unlink()
    assert "is missing: restore a backup" in only(data, "files", "fail")


def test_damaged_rejections(data):
    spoil(next((data / "rejected").iterdir()))
    assert "restore a backup" in only(data, "rejected", "fail")


def test_a_manifest_that_is_none(data):
    (data / "manifest.db").write_bytes(b"no database" * 1_000)
    said = found(data)
    assert {name for name, (status, _) in said.items() if status == "fail"} == {
        "manifest.db",
        "files",
        "rejected",
    }


def test_a_past_that_was_changed(data):
    engine = sqlalchemy.create_engine(f"sqlite:///{data / 'upshot.db'}")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE audit SET actor = 'eve' WHERE number = 1"))
    engine.dispose()
    assert "1" in only(data, "audit", "fail")


def test_others_may_look(data):
    data.chmod(0o755)
    assert f"chmod 700 {data}" in only(data, "privacy", "warn")


@pytest.mark.parametrize(("factor", "status"), [(0.6, "warn"), (1.1, "fail")])
def test_little_space(data, monkeypatch, factor, status):
    from upshot.events.log import Limits

    floor = int(free_bytes(data) * factor)
    monkeypatch.setattr(doctor, "Limits", lambda: Limits(free_bytes=floor))
    assert "make room" in only(data, "space", status)


def test_a_network_file_system(data, monkeypatch):
    def refused(path):
        raise InputError(f"{path} lies on a network file system")

    monkeypatch.setattr(doctor, "check_place", refused)
    assert found(data)["place"][0] == "fail"


@pytest.mark.parametrize("spoilt", [False, True])
def test_the_command(data, capsys, spoilt):
    if spoilt:
        spoil(next((data / "log").glob("*.seg")))
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--data", str(data)])
    assert ended.value.code == int(spoilt)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("BAD")] == [
        line for line in lines if "  log: " in line
    ][: int(spoilt)]
    with pytest.raises(SystemExit):
        main(["doctor", "--data", str(data), "--json"])
    assert len(json.loads(capsys.readouterr().out)) == len(lines)


def test_backup_and_restore_by_command(data, tmp_path, capsys):
    for command in (["backup", str(tmp_path / "b.tar"), "--data", str(data)],
                    ["restore", str(tmp_path / "b.tar"), "--data", str(tmp_path / "back"), "--json"]):  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 0
    told, plain = capsys.readouterr().out.splitlines()
    assert f"bytes in {tmp_path / 'b.tar'}" in told
    assert json.loads(plain)["data"] == str(tmp_path / "back")
    assert {name for name, (status, _) in found(tmp_path / "back").items() if status != "pass"} <= {"place"}
