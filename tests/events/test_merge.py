"""Merging moves events and changes none."""

import pytest

from upshot.events import compaction
from upshot.events import merge as merge_module
from upshot.events.compaction import compact
from upshot.events.merge import BUCKETS, Merged, merge

NOON = 1_772_366_400_000_000
DAY = 86_400_000_000


@pytest.fixture
def filled(kept, message):
    """Three days of 60 units, as six compactions left them."""
    for number in range(6):
        kept.accept(
            *(message(f"{number}-{unit}", user=f"u{unit}") for unit in range(60)),
            received=NOON + number // 2 * DAY + number,
        )
        compact(kept.path)
    return kept


def rows(kept):
    return sorted(map(repr, kept.table().to_pylist()))


def test_events_come_into_their_partition_sorted_by_unit(filled):
    before = rows(filled)
    assert merge(filled.path, after=0).read == 6
    assert rows(filled) == before
    files = filled.files()
    assert len(files) == 3 * BUCKETS
    assert sorted({file.day for file in files}) == [NOON // DAY, NOON // DAY + 1, NOON // DAY + 2]
    for file in files:
        assert file.first_time // DAY == file.last_time // DAY == file.day
        table = compaction.parquet.read_table(filled.place.events / file.name)
        numbers = table["unit_number"].to_pylist()
        assert numbers == sorted(numbers)
        assert {number % BUCKETS for number in numbers} == {file.bucket}
        assert table.num_rows == file.rows


def test_files_wait_for_others(filled):
    assert merge(filled.path) == Merged()
    assert merge(filled.path, after=0).read == 6
    assert merge(filled.path, after=0) == Merged()


def test_files_of_a_partition_are_joined_when_they_are_many(kept, message, monkeypatch):
    monkeypatch.setattr(merge_module, "FILES_OF_PARTITION", 3)
    for number in range(5):
        kept.accept(message(number, user="u1"))
        compact(kept.path)
        merge(kept.path, after=0)
    assert len(kept.files()) <= 3
    assert kept.ids() == [str(number) for number in range(5)]


def test_large_files_are_left_alone(kept, message, monkeypatch):
    """Or else every new event would have its whole partition rewritten."""
    monkeypatch.setattr(merge_module, "FILES_OF_PARTITION", 2)
    monkeypatch.setattr(merge_module, "ROWS_AT_ONCE", 20)
    kept.accept(*(message(f"first-{number}", user="u1") for number in range(12)))
    compact(kept.path)
    merge(kept.path, after=0)
    (large,) = kept.files()
    for number in range(4):
        kept.accept(message(number, user="u1"))
        compact(kept.path)
        merge(kept.path, after=0)
    merge(kept.path, after=0)
    assert large.name in {file.name for file in kept.files()}
    assert len(kept.files()) <= 3
    assert len(kept.ids()) == 16


def test_many_rows_do_not_wait(filled, monkeypatch):
    monkeypatch.setattr(merge_module, "ROWS_AT_ONCE", 300)
    assert merge(filled.path).read == 6


def test_large_lots_are_split(filled, monkeypatch):
    monkeypatch.setattr(merge_module, "ROWS_AT_ONCE", 130)
    before = rows(filled)
    merge(filled.path, after=0)
    assert rows(filled) == before


def test_duplicates_are_known_after_their_keys_were_merged(kept, message):
    for number in range(10):
        kept.accept(message(number))
        compact(kept.path)
    done = merge(kept.path, after=0)
    assert (done.keys_read, done.keys_written) == (10, 1)
    kept.accept(*(message(number) for number in range(12)), received=NOON + DAY)
    assert compact(kept.path).duplicates == 10
    assert len(kept.ids()) == 12


def test_who_reads_what_was_replaced_may_go_on_for_a_while(filled, monkeypatch):
    old = [filled.place.events / file.name for file in filled.files()]
    merge(filled.path, after=0)
    compact(filled.path)
    assert all(path.exists() for path in old)
    monkeypatch.setattr(compaction, "GRACE", 0)
    compact(filled.path)
    assert not any(path.exists() for path in old)
    with filled.manifest() as manifest:
        assert manifest.retired() == {}
