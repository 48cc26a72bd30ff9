"""What was rejected is kept with its reason, and is an event once it is mended."""

import pytest

from upshot.errors import UnavailableError
from upshot.events.compaction import compact
from upshot.events.log import EventLog, Limits
from upshot.events.replay import Replayed, rejections, replay

NOON = 1_772_366_400_000_000


@pytest.fixture
def log(kept):
    opened = EventLog.open(kept.path, Limits(free_bytes=0))
    yield opened
    opened.close()


def bought(rejection):
    return rejection.body.replace(b'"userId": "u1"', b'"userId": "u1", "event": "Bought"')


def test_what_was_rejected_is_kept_in_the_log_and_after_it(kept, message):
    kept.accept(message(1), {"type": "track", "userId": "u1", "messageId": "2"}, 7)
    reasons = ["event is missing: give the name of what happened", "Expected `object`, got `int`"]
    assert [one.reason for one in rejections(kept.path)] == reasons
    compact(kept.path)
    assert [one.reason for one in rejections(kept.path)] == reasons
    assert [(one.source, one.received_at, one.index) for one in rejections(kept.path)] == [
        ("web", NOON, 1),
        ("web", NOON, 2),
    ]


def test_mended_messages_are_events_as_of_when_they_came(kept, message, log):
    kept.accept(
        {"type": "track", "userId": "u1", "messageId": "2"}, {"type": "track"}, sentAt="2026-03-01T12:00:00Z"
    )
    compact(kept.path)
    assert replay(kept.path, log) == Replayed(accepted=0, left=2)
    assert replay(kept.path, log, bought) == Replayed(accepted=1, left=1)
    assert [one.index for one in rejections(kept.path)] == [1]
    log.close()
    compact(kept.path)
    (row,) = kept.table().to_pylist()
    assert (row["message_id"], row["event"]) == ("2", "Bought")
    assert kept.files()[0].first_time == NOON


def test_a_replay_that_is_cut_off_before_it_drops_counts_nothing_twice(kept, log, monkeypatch):
    kept.accept({"type": "track", "userId": "u1"})
    compact(kept.path)
    with monkeypatch.context() as patched:
        patched.setattr("upshot.events.replay.without", broken)
        with pytest.raises(OSError, match="cut off"):
            replay(kept.path, log, bought)
    assert replay(kept.path, log, bought).accepted == 1
    log.close()
    assert compact(kept.path).events == 1


def broken(*_):
    raise OSError("cut off")


def test_a_log_that_does_not_take_it_drops_nothing(kept, log):
    kept.accept({"type": "track", "userId": "u1"})
    compact(kept.path)
    log.close()
    with pytest.raises(UnavailableError):
        replay(kept.path, log, bought)
    assert len(list(rejections(kept.path))) == 1


def test_damaged_bytes_are_kept_too(kept):
    kept.put(b"\xffUP1 is not enough")
    compact(kept.path)
    (one,) = rejections(kept.path)
    assert (one.reason, one.body) == ("bytes of a segment that are damaged", b"\xffUP1 is not enough")
