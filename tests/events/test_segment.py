"""A segment is one process's until it is sealed; recovery takes those of the dead, and only those."""

import fcntl
import os
import subprocess
import sys

import pytest

from upshot.events import recovery
from upshot.events.frame import Frame, Source, encode
from upshot.events.recovery import recover
from upshot.events.segment import OpenSegment, open_segments, sealed_segments

ONE = encode(Frame(Source("web"), 1, b'{"batch":[]}'))


def test_what_was_appended_is_in_the_sealed_file(tmp_path):
    segment = OpenSegment.create(tmp_path)
    segment.append(ONE)
    segment.append(ONE)
    assert sealed_segments(tmp_path) == []
    segment.seal()
    assert [path.read_bytes() for path in sealed_segments(tmp_path)] == [ONE * 2]
    assert open_segments(tmp_path) == []


def test_an_empty_segment_leaves_nothing(tmp_path):
    OpenSegment.create(tmp_path).seal()
    OpenSegment.create(tmp_path).abandon()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_sync_is_cut_off_and_what_was_synced_before_is_recovered(tmp_path, monkeypatch):
    segment = OpenSegment.create(tmp_path)
    segment.append(ONE)
    with monkeypatch.context() as patched:
        patched.setattr("upshot.events.segment.sync", broken)
        with pytest.raises(OSError, match="Input/output"):
            segment.append(ONE)
    segment.abandon()
    assert [path.stat().st_size for path in open_segments(tmp_path)] == [len(ONE)]
    assert [(found.kept, found.torn) for found in recover(tmp_path)] == [(len(ONE), 0)]


def broken(*_):
    raise OSError(5, "Input/output error")


def test_a_write_may_be_taken_in_pieces(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:7]))
    segment = OpenSegment.create(tmp_path)
    segment.append(ONE)
    segment.seal()
    assert sealed_segments(tmp_path)[0].read_bytes() == ONE


def test_the_segment_of_a_living_process_is_left_alone(tmp_path):
    segment = OpenSegment.create(tmp_path)
    segment.append(ONE)
    assert recover(tmp_path) == ()
    program = (
        "import sys, pathlib; from upshot.events.recovery import *; print(recover(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "()"
    segment.seal()


@pytest.mark.parametrize(
    ("content", "kept", "torn"),
    [
        (ONE * 3, 3, 0),
        (ONE * 2 + ONE[:-1], 2, len(ONE) - 1),
        (ONE + bytes(5000), 1, 5000),
        (ONE[:10], 0, 10),
        (b"", 0, 0),
    ],
)
def test_a_torn_tail_is_cut_and_counted(tmp_path, content, kept, torn):
    (tmp_path / "1-1-a.open").write_bytes(content)
    (found,) = recover(tmp_path)
    assert (found.kept, found.torn) == (kept * len(ONE), torn)
    assert [path.read_bytes() for path in sealed_segments(tmp_path)] == ([ONE * kept] if kept else [])
    assert open_segments(tmp_path) == []


def test_damage_in_the_middle_costs_nothing_behind_it(tmp_path):
    (tmp_path / "1-1-a.open").write_bytes(ONE + b"?" * 9 + ONE)
    (found,) = recover(tmp_path)
    assert found.kept == 2 * len(ONE) + 9


def test_a_segment_that_recovery_took_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    """Between making a file and locking it, another process may take it for a dead one's."""
    flock = fcntl.flock
    raced = []

    def slow(descriptor, operation):
        if not raced:
            raced.append(descriptor)
            assert [found.path for found in recovery.recover(tmp_path)] == [None]
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", slow)
    segment = OpenSegment.create(tmp_path)
    segment.append(ONE)
    segment.seal()
    assert [path.read_bytes() for path in sealed_segments(tmp_path)] == [ONE]
