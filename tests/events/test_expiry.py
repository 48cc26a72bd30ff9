"""What is older than an age goes, and nothing newer does; kills at each of its steps are in the durability proofs."""

import random

import pytest

from upshot.events.compaction import compact
from upshot.events.expiry import Expired, expire
from upshot.events.merge import merge
from upshot.events.reader import connect
from upshot.events.replay import rejections

NOON = 1_772_366_400_000_000
DAY = 86_400_000_000


def received(kept):
    with connect(kept.path) as database:
        rows = database.execute("SELECT message_id, epoch_us(received_at) FROM events").fetchall()
    return dict(rows)


@pytest.mark.parametrize("seed", range(5))
def test_exactly_what_came_before_goes_wherever_it_lies(kept, message, seed):
    """In merged files, in loose ones, in segments; happened whenever; rejected messages alike."""
    chance = random.Random(seed)
    sent = {}
    for part in range(6):
        for number in range(8):
            at = NOON + chance.randrange(20 * DAY)
            one = f"{part}-{number}"
            happened = f"2026-02-{chance.randrange(1, 28):02}T10:00:00Z"
            kept.accept(
                message(one, user=f"u{chance.randrange(5)}", timestamp=happened), {"userId": one}, received=at
            )
            sent[one] = at
        if part < 4:
            compact(kept.path)
        if part == 1:
            merge(kept.path, after=0)
    before = NOON + chance.randrange(20 * DAY)
    young = {one: at for one, at in sent.items() if at >= before}
    done = expire(kept.path, before)
    assert received(kept) == young
    assert {one.received_at for one in rejections(kept.path)} == set(young.values())
    assert (done.events, done.rejections) == (len(sent) - len(young),) * 2
    assert expire(kept.path, before) == Expired()
    assert received(kept) == young


def test_of_who_is_gone_not_even_the_name_is_left(kept, message):
    kept.accept(message(1, user="old@example.org"), message(2, user="both@example.org"))
    kept.accept(message(3, user="both@example.org"), message(4, user="new@example.org"), received=NOON + DAY)
    compact(kept.path)
    assert expire(kept.path, NOON + DAY) == Expired(events=2, units=1)
    with kept.manifest() as manifest:
        assert set(manifest.units()) == {"both@example.org", "new@example.org"}
        assert manifest.tally()["expired"] == 2


def test_what_went_and_is_sent_again_is_not_new(kept, message):
    kept.accept(message(1))
    expire(kept.path, NOON + 1)
    kept.accept(message(1), message(2), received=NOON + DAY)
    compact(kept.path)
    assert kept.ids() == ["2"]


def test_damaged_bytes_count_as_when_their_file_was_made(kept, message):
    kept.put(b"rubbish")
    compact(kept.path)
    assert expire(kept.path, NOON) == Expired()
    assert expire(kept.path, 10**17) == Expired(rejections=1)


def test_files_that_are_young_are_not_read(kept, message, monkeypatch):
    kept.accept(message(1, timestamp="2026-03-01T12:00:00Z"))
    compact(kept.path)
    monkeypatch.setattr("upshot.events.expiry._rewrite", None)
    assert expire(kept.path, NOON) == Expired()


def test_who_reads_meanwhile_can_go_on(kept, message):
    kept.accept(message(1))
    compact(kept.path)
    with connect(kept.path) as database:
        assert expire(kept.path, NOON + 1).events == 1
        assert database.execute("SELECT count(*) FROM events").fetchone() == (1,)
    assert received(kept) == {}
