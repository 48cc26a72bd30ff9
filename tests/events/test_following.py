"""Following a real log: every event once and in time, through rotation, compaction and torn tails."""

from time import sleep

import pytest

from upshot.events.compaction import compact
from upshot.events.following import Following, Recent
from upshot.events.frame import Frame, Source, encode
from upshot.events.layout import DataDirectory
from upshot.events.log import EventLog, Limits
from upshot.events.manifest import open_manifest


@pytest.fixture
def opened(tmp_path):
    logs = []

    def start(**limits):
        logs.append(EventLog.open(tmp_path, Limits(free_bytes=0, **limits)))
        return logs[-1]

    yield start
    for log in logs:
        log.close()


def body(*ids):
    events = ",".join(
        f'{{"type":"track","messageId":"{one}","event":"Seen","userId":"u","sentAt":"2026-11-24T10:00:00Z"}}'
        for one in ids
    )
    return f'{{"batch":[{events}]}}'.encode()


def frame(*ids, source="web"):
    return Frame(Source(source), 1_700_000_000_000_000, body(*ids))


def ids(events):
    return [event.message_id for event in events]


def test_each_call_reads_what_came_since(opened, tmp_path):
    log, following = opened(), Following(tmp_path)
    assert following.more() == []
    log.append(frame("a", "b")).result(10)
    assert ids(following.more()) == ["a", "b"]
    assert following.more() == []
    log.append(frame("c")).result(10)
    assert ids(following.more()) == ["c"]
    following.close()


def test_what_comes_twice_is_told_once(opened, tmp_path):
    log, following = opened(), Following(tmp_path)
    log.append(frame("a")).result(10)
    log.append(frame("a", "b")).result(10)
    assert ids(following.more()) == ["a", "b"]
    log.append(frame("b")).result(10)
    log.append(frame("b", source="app")).result(10)
    assert [event.source for event in following.more()] == ["app"]
    following.close()


def test_nothing_is_lost_where_segments_rotate_and_are_compacted(opened, tmp_path):
    log, following = opened(segment_bytes=400), Following(tmp_path)
    sent, told = [], []
    for number in range(60):
        sent.append(f"m{number}")
        log.append(frame(sent[-1])).result(10)
        if number % 5 == 4:
            told += ids(following.more())
        if number % 7 == 6:
            compact(tmp_path)
    told += ids(following.more())
    log.close()
    told += ids(following.more())
    assert sorted(told) == sorted(sent)
    compact(tmp_path)
    assert following.more() == []
    assert not following._reading


def test_a_frame_that_is_half_written_is_read_when_it_is_whole(tmp_path):
    place = DataDirectory(tmp_path)
    place.make()
    data = encode(frame("a")) + encode(frame("b"))
    path = place.log / "0001-1-x.open"
    following, told = Following(tmp_path), []
    for end in range(0, len(data) + 1, 7):
        path.write_bytes(data[:end])
        told += ids(following.more())
    path.write_bytes(data)
    told += ids(following.more())
    assert told == ["a", "b"]
    following.close()


def test_damage_in_a_sealed_segment_is_passed_over(tmp_path):
    place = DataDirectory(tmp_path)
    place.make()
    data = bytearray(encode(frame("a")) + encode(frame("b")) + encode(frame("c")))
    data[len(encode(frame("a"))) + 30] ^= 1
    (place.log / "0001-1-x.seg").write_bytes(bytes(data) + b"torn")
    following = Following(tmp_path)
    assert ids(following.more()) == ["a", "c"]
    assert following.more() == []


def test_memory_is_bounded():
    recent = Recent(kept=3)
    assert [recent.first("s", str(number % 3)) for number in range(6)] == [True] * 3 + [False] * 3
    assert all(recent.first("s", f"m{number}") for number in range(20))
    assert not recent.first("s", "m19")
    assert recent.first("s", "0")


def passed_by(log, directory, *ids, source="web"):
    """A segment that is made, sealed and compacted while nobody looks."""
    log.append(frame(*ids, source=source)).result(10)
    log._segment_end = 0.0
    log._wake.set()
    while list(directory.glob("log/*.open")):
        sleep(0.002)
    compact(directory)
    assert not list(directory.glob("log/*"))


def test_a_segment_that_was_compacted_before_it_was_seen_is_read_from_the_files(opened, tmp_path):
    log, following = opened(), Following(tmp_path)
    assert following.more() == []
    passed_by(log, tmp_path, "a", "b")
    assert sorted(ids(following.more())) == ["a", "b"]
    assert following.more() == []
    log.append(frame("c")).result(10)
    assert ids(following.more()) == ["c"]
    passed_by(log, tmp_path, "d")  # with it goes the segment that was seen, which is told once
    assert ids(following.more()) == ["d"]
    assert following.more() == []
    following.close()


def test_a_missed_segment_is_the_same_from_a_file_as_from_the_log(opened, tmp_path):
    log, seen, missed = opened(), Following(tmp_path), Following(tmp_path)
    assert seen.more() == []
    log.append(frame("a", "b")).result(10)
    from_log = seen.more()
    passed_by(log, tmp_path, "a")
    assert missed.more() == from_log
    for following in (seen, missed):
        following.close()


def test_what_is_missed_beside_what_was_seen_is_told_once_without_memory_of_it(opened, tmp_path):
    """Two processes' segments, compacted at once: one was seen, the other never; and `Recent` has forgotten."""
    log, following = opened(), Following(tmp_path, Recent(kept=1))
    log.append(frame(*(f"s{number}" for number in range(20)))).result(10)
    assert len(following.more()) == 20
    other = EventLog.open(tmp_path, Limits(free_bytes=0))
    other.append(frame("m1", "m2", source="other")).result(10)
    other.close()
    log.close()
    compact(tmp_path)
    assert sorted(ids(following.more())) == ["m1", "m2"]
    assert following.more() == []
    assert not following._reading


def test_names_that_are_forgotten_by_then_hide_nothing(opened, tmp_path, monkeypatch):
    """As after a night in which the machine slept."""
    log, following = opened(), Following(tmp_path)
    assert following.more() == []
    passed_by(log, tmp_path, "a")
    monkeypatch.setattr("upshot.events.compaction.GRACE", 0)
    compact(tmp_path)
    with open_manifest(tmp_path / "manifest.db") as manifest:
        assert manifest.retired() == {}
    assert ids(following.more()) == ["a"]
    following.close()


def test_segments_that_wait_for_compaction_do_not_use_up_the_files_of_a_process(tmp_path, monkeypatch):
    monkeypatch.setattr("upshot.events.following.HELD", 3)
    place = DataDirectory(tmp_path)
    place.make()
    for number in range(20):
        (place.log / f"{number:04}-1-x.seg").write_bytes(encode(frame(f"m{number}")))
    following = Following(tmp_path)
    assert len(following.more()) == 20
    assert len(following._reading) == 3
    assert following.more() == []
    compact(tmp_path)
    assert following.more() == []
    assert not following._reading
