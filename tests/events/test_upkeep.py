"""Upkeep goes on by itself, in one process at a time, and says what keeps it from it."""

import threading

import pytest

from upshot.events import upkeep
from upshot.events.compaction import alone
from upshot.events.deletion import delete_unit
from upshot.events.upkeep import Upkeep, UpkeepState, tidy


@pytest.fixture
def running(kept):
    keeper = Upkeep(kept.path, every=0.01)
    keeper.start()
    yield keeper
    keeper.close()


def eventually(condition):
    pause = threading.Event()
    return any(condition() or pause.wait(0.02) for _ in range(500))


def test_what_is_sealed_is_compacted_by_and_by(kept, message, running):
    kept.accept(message(1))
    assert eventually(lambda: kept.ids() == ["1"])
    kept.accept(message(2))
    assert eventually(lambda: kept.ids() == ["1", "2"])
    assert eventually(lambda: running.state.rounds > 0)
    assert running.state.fault is None


def test_a_round_does_all_there_is_to_do(kept, message, monkeypatch):
    kept.accept(message(1, user="u1"), message(2, user="u2"))
    done = tidy(kept.path)
    assert (done.compacted.events, done.deleted.events, done.merged.read) == (2, 0, 0)
    with monkeypatch.context() as patched:
        patched.setattr("upshot.events.deletion._finish", broken)
        with pytest.raises(OSError, match="cut off"):
            delete_unit(kept.path, "u1")
    assert tidy(kept.path).deleted.events == 1
    assert kept.ids() == ["2"]


def broken(*_):
    raise OSError("cut off")


def test_a_failure_is_told_and_tried_again(kept, message, running, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(upkeep, "compact", broken)
        assert eventually(lambda: running.state.fault == "events cannot be compacted: cut off")
    kept.accept(message(1))
    assert eventually(lambda: kept.ids() == ["1"] and running.state.fault is None)


def test_another_process_that_is_at_it_is_no_fault(kept):
    keeper = Upkeep(kept.path, every=0.01)
    with alone(kept.place):
        keeper.start()
        threading.Event().wait(0.1)
        assert keeper.state == UpkeepState()
    assert eventually(lambda: keeper.state.rounds > 0)
    keeper.close()
