import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot_sdk.spool import SEGMENT_BYTES, DiskSpool, MemorySpool, SpoolFullError


def message(number, size=20):
    return json.dumps({"n": number, "x": "x" * size}).encode()


def drained(spool):
    found = []
    spool.seal()
    while segment := spool.take():
        found += [json.loads(text)["n"] for text in segment.messages]
        spool.done(segment)
    return found


@pytest.fixture(params=["disk", "memory"])
def spool(request, tmp_path):
    made = MemorySpool(5_000_000) if request.param == "memory" else DiskSpool(tmp_path, "one", 5_000_000)
    yield made
    made.close()


@given(counts=st.lists(st.integers(0, 30), max_size=8))
def test_what_is_appended_is_taken_in_order_and_once(counts, tmp_path_factory):
    disk = DiskSpool(tmp_path_factory.mktemp("spool"), "one", 5_000_000)
    for spool in (MemorySpool(5_000_000), disk):
        numbers = iter(range(10_000))
        for count in counts:
            spool.append([message(next(numbers)) for _ in range(count)])
        assert drained(spool) == list(range(sum(counts)))
        assert spool.empty
    disk.close()


def test_a_segment_fits_into_a_batch(spool):
    spool.append([message(number, 30_000) for number in range(50)])
    spool.seal()
    segments = []
    while segment := spool.take():
        segments.append(segment)
        spool.done(segment)
    assert len(segments) > 1
    assert all(sum(map(len, segment.messages)) <= SEGMENT_BYTES for segment in segments)
    assert sum(len(segment.messages) for segment in segments) == 50


def test_a_segment_stays_until_it_is_done(spool):
    spool.append([message(1)])
    spool.seal()
    assert spool.take() == spool.take()
    assert not spool.empty


def test_more_than_may_wait_is_refused_whole_and_room_comes_back(tmp_path):
    disk = DiskSpool(tmp_path, "one", 100)
    for spool in (MemorySpool(100), disk):
        spool.append([message(1)])
        with pytest.raises(SpoolFullError):
            spool.append([message(2), message(3)])
        assert drained(spool) == [1]
        spool.append([message(4)])
        assert drained(spool) == [4]
    disk.close()


def test_a_refused_segment_is_kept_on_disk_and_not_sent_again(tmp_path):
    spool = DiskSpool(tmp_path, "one", 1000)
    spool.append([message(1)])
    spool.seal()
    spool.set_aside(spool.take())
    assert spool.empty
    spool.close()
    assert [path.read_bytes() for path in tmp_path.rglob("*.set-aside")] == [message(1) + b"\n"]
    later = DiskSpool(tmp_path, "two", 1000)
    assert later.take() is None
    later.close()


def test_what_is_set_aside_is_bounded(tmp_path):
    spool = DiskSpool(tmp_path, "one", 100)
    for number in range(10):
        spool.append([message(number)])
        spool.seal()
        spool.set_aside(spool.take())
    assert 0 < sum(path.stat().st_size for path in tmp_path.rglob("*.set-aside")) <= 100
    spool.close()


def test_what_a_closed_spool_leaves_is_adopted_once(tmp_path):
    first = DiskSpool(tmp_path, "one", 1000)
    first.append([message(1), message(2)])
    first.close()
    second, third = DiskSpool(tmp_path, "two", 1000), DiskSpool(tmp_path, "three", 1000)
    assert drained(second) + drained(third) == [1, 2]
    second.close()
    third.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_process_has_is_not_adopted(tmp_path):
    living = DiskSpool(tmp_path, "one", 1000)
    living.append([message(1)])
    living.seal()
    other = DiskSpool(tmp_path, "two", 1000)
    assert other.adopt() == 0
    assert drained(living) == [1]
    living.close()
    other.close()


KILLED = """
import os, sys
from pathlib import Path
from upshot_sdk.spool import DiskSpool
spool = DiskSpool(Path(sys.argv[1]), "killed", 10_000)
spool.append([b'{"n": 1, "x": ""}', b'{"n": 2, "x": ""}'])
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_wrote_is_adopted(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert done.returncode == -9
    spool = DiskSpool(tmp_path, "next", 10_000)
    assert drained(spool) == [1, 2]
    spool.close()


@pytest.mark.parametrize("cut", [1, 5, len(message(2))])
def test_a_line_that_was_being_written_is_no_message(tmp_path, cut):
    home = tmp_path / "dead"
    home.mkdir()
    (tmp_path / "dead.lock").touch()
    (home / "00000001.jsonl").write_bytes(message(1) + b"\n" + message(2)[:cut])
    spool = DiskSpool(tmp_path, "next", 10_000)
    assert drained(spool) == ([1, 2] if cut == len(message(2)) else [1])
    spool.close()


def test_a_segment_that_cannot_be_read_does_not_stop_the_others(tmp_path, caplog):
    spool = DiskSpool(tmp_path, "one", 10_000)
    for number in (1, 2):
        spool.append([message(number)])
        spool.seal()
    spool.take().path.unlink()
    assert drained(spool) == [2]
    assert "cannot read the events" in caplog.text
    spool.close()


def test_a_name_that_is_taken_is_an_error_and_leaves_the_other_alone(tmp_path):
    spool = DiskSpool(tmp_path, "one", 10_000)
    spool.append([message(1)])
    with pytest.raises(OSError, match="unavailable"):
        DiskSpool(tmp_path, "one", 10_000)
    assert drained(spool) == [1]
    spool.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full: a disk that is always full")
def test_a_full_disk_is_an_error(tmp_path):
    spool = DiskSpool(tmp_path, "one", 10_000)
    (spool._home / "00000001.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        spool.append([message(1)])
    spool.close()
