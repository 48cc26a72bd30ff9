"""`upshot events` over a directory that a log has filled, as people call it."""

import io
import json
import os
import subprocess
import sys
import time
from contextlib import closing

import duckdb
import pytest
from pyarrow import parquet

from upshot.doors.cli.main import main
from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog

NOW = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z
SECOND = 1_000_000


def track(message_id, user="u1", event="Bought", **members):
    return {"type": "track", "event": event, "userId": user, "messageId": message_id, **members}


def append(log, *messages, source="server", received=NOW):
    log.append(Frame(Source(source), received, json.dumps({"batch": messages}).encode())).result(10)


@pytest.fixture
def data(tmp_path):
    """Three events of two people, one of them sent twice, and two messages that are no events."""
    path = tmp_path / "data"
    with closing(EventLog.open(path)) as log:
        append(log, track("m1", properties={"value": 2.5}), track("m2", "u2"))
        append(log, track("m2", "u2"), received=NOW + SECOND)
        append(log, {"type": "page", "anonymousId": "a1", "userId": "u1", "messageId": "m3", "name": "Home"},
               source="client", received=NOW + 2 * SECOND)  # fmt: skip
        append(log, {"type": "track", "userId": "u1", "messageId": "r1"}, {"type": "buy", "userId": "u3"},
               source="client", received=NOW + 3 * SECOND)  # fmt: skip
    return path


@pytest.fixture
def run(data, capsys):
    """Run a command; its output, read as JSON where it was asked for."""

    def run(*args, code=0):
        with pytest.raises(SystemExit) as ended:
            main(["events", *args, "--data", str(data)])
        out, err = capsys.readouterr()
        assert ended.value.code == code, err
        return err if code else json.loads(out) if "--json" in args else out

    return run


@pytest.mark.parametrize("compacted", [False, True])
def test_stats(run, compacted):
    if compacted:
        run("compact")
    found = run("stats", "--json")
    stock = found["stock"]
    assert (found["units"], found["rejected"]) == (2, 2)
    assert {name: source["events"] for name, source in stock["sources"].items()} == {"client": 1, "server": 2}
    assert [(kind["event"], kind["events"], kind["units"]) for kind in found["kinds"]] == [
        ("Bought", 2, 2),
        ("Home", 1, 1),
    ]
    assert found["kinds"][1]["last"] == "2026-03-01T12:00:02+00:00"
    assert (stock["files"], stock["segments"]) == ((1, 0) if compacted else (0, 1))
    told = run("stats")
    assert "3 events of 2 units" in told
    assert "page Home, 1 unit, last 2026-03-01 12:00:02" in told
    assert "2 messages rejected" in told


def test_compact(run):
    assert "1 segment: 3 events kept, 1 of them sent twice and kept once, 2 rejected" in run("compact")
    assert run("compact", "--json")["compacted"]["segments"] == 0


def test_tail_shows_the_newest_as_they_were_received(run):
    assert run("tail").splitlines() == [
        '2026-03-01 12:00:00  server  u1  Bought  {"value": 2.5}',
        "2026-03-01 12:00:00  server  u2  Bought",
        "2026-03-01 12:00:02  client  u1  page Home",
    ]
    assert len(run("tail", "--lines", "1").splitlines()) == 1
    assert run("tail", "--event", "Home").splitlines() == ["2026-03-01 12:00:02  client  u1  page Home"]
    assert run("tail", "-n", "0") == ""


def test_tail_follows_within_seconds_also_what_was_received_before_the_last(data):
    """Two processes write: the one that received first may be the last to have it on the disk."""
    command = [sys.executable, "-u", "-m", "upshot", "events", "tail", "-f", "-n", "1", "--json"]
    command += ["--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            assert json.loads(process.stdout.readline())["message_id"] == "m3"
            with closing(EventLog.open(data)) as log:
                began = time.monotonic()
                append(log, track("m9"), received=NOW + 9 * SECOND)
                assert json.loads(process.stdout.readline())["message_id"] == "m9"
                assert time.monotonic() - began < 20
                append(log, track("m8"), received=NOW + 8 * SECOND)
                append(log, track("m10"), received=NOW + 10 * SECOND)
                assert [json.loads(process.stdout.readline())["message_id"] for _ in range(2)] == [
                    "m8",
                    "m10",
                ]
        finally:
            process.kill()


def test_what_was_rejected_is_shown_mended_and_kept(run, data, tmp_path):
    told = run("rejected")
    assert "2 messages rejected" in told
    assert "1  event is missing: give the name of what happened" in told
    assert '"messageId": "r1"' in told
    assert run("replay") == "0 messages accepted, 2 still rejected\n"
    printed = run("rejected", "--json")
    first, second = printed["rejected"]
    assert (first["source"], first["index"], first["message_id"]) == ("client", 0, "r1")
    first["body"]["batch"][0]["event"] = "Shared"
    second["body"]["batch"][0]["type"] = "nonsense"
    mended = tmp_path / "mended.json"
    mended.write_text(json.dumps(printed), encoding="utf-8")
    assert run("replay", str(mended)) == "1 message accepted, 1 still rejected\n"
    assert [one["reason"] for one in run("rejected", "--json")["rejected"]] == [second["reason"]]
    shared = run("tail", "--event", "Shared").splitlines()
    assert shared == ["2026-03-01 12:00:03  client  u1  Shared"], "received when it was received first"
    assert run("replay", "--json") == {"accepted": 0, "left": 1}


@pytest.mark.parametrize("text", ["", "[]", '{"rejected": [1]}', '{"rejected": [{"id": 1}]}'])
def test_what_is_no_list_of_rejected_messages_is_refused(run, tmp_path, text):
    file = tmp_path / "mended.json"
    file.write_text(text, encoding="utf-8")
    assert "give that, with bodies mended" in run("replay", str(file), code=2)
    assert "cannot be read" in run("replay", str(tmp_path / "nothing.json"), code=2)


def test_a_persons_events_are_deleted_for_good(run, data):
    told = run("delete-user", "u1", "--yes")
    assert "2 events and 1 rejected message deleted" in told
    assert "the same person's, perhaps: a1" in told
    assert [line.split("  ")[2] for line in run("tail").splitlines()] == ["u2"]
    with closing(EventLog.open(data)) as log:
        append(log, track("late"), received=NOW + 5 * SECOND)
    run("compact")
    assert len(run("tail").splitlines()) == 1
    left = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert b'"u1"' not in left


def test_nothing_is_deleted_without_a_yes(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    run("delete-user", "u1", code=130)
    assert len(run("tail").splitlines()) == 3


def test_what_is_old_is_removed_and_what_is_not_stays(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    run("expire", "--older-than", "30d", code=130)
    assert "give a day or more" in run("expire", "--older-than", "5h", "--yes", code=2)
    assert "give a whole number and w, d or h" in run("expire", "--older-than", "old", "--yes", code=2)
    assert run("expire", "--older-than", "9999d", "--yes", "--json") == {
        "events": 0,
        "rejections": 0,
        "units": 0,
    }
    assert len(run("tail").splitlines()) == 3
    told = run("expire", "--older-than", "30d", "--yes", "--reason", "our policy")
    assert told == "3 events and 2 rejected messages removed; nothing is left of 2 units\n"
    assert run("tail") == ""


def test_export(run, tmp_path):
    table, lines = tmp_path / "all.parquet", tmp_path / "his.jsonl"
    assert run("export", str(table)) == f"3 events in {table}\n"
    assert parquet.read_table(table)["message_id"].to_pylist() == ["m1", "m2", "m3"]
    assert run("export", str(lines), "--unit", "u1", "--json") == {"events": 2, "target": str(lines)}
    assert [json.loads(line)["messageId"] for line in lines.read_text().splitlines()] == ["m1", "m3"]
    assert duckdb.sql(f"SELECT count(*) FROM '{table}'").fetchall() == [(3,)]
    assert "give a name that ends in .parquet or .jsonl" in run("export", str(tmp_path / "all.csv"), code=2)


@pytest.mark.parametrize(
    "args",
    [["stats"], ["tail"], ["rejected"], ["replay"], ["compact"], ["delete-user", "u", "--yes"], ["export", "x.jsonl"],
     ["expire", "--older-than", "9d", "--yes"]],
)  # fmt: skip
def test_a_directory_without_events_is_told_and_left_alone(tmp_path, capsys, args):
    with pytest.raises(SystemExit) as ended:
        main(["events", *args, "--data", str(tmp_path / "nothing")])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"upshot: {tmp_path / 'nothing'} is no data directory of upshot serve: name it with --data\n"
    )
    assert list(tmp_path.iterdir()) == []
