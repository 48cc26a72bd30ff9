"""Following a real log: every event once and in time, through rotation, compaction and torn tails."""

import pytest

from upshot.events.compaction import compact
from upshot.events.following import Following, Recent
from upshot.events.frame import Frame, Source, encode
from upshot.events.layout import DataDirectory
from upshot.events.log import EventLog, Limits


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
