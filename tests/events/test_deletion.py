"""After a deletion the id is nowhere in the data directory, and does not come back."""

import pytest

from upshot.errors import InputError
from upshot.events import deletion
from upshot.events.compaction import compact
from upshot.events.deletion import Deleted, delete_unit, finish_deletions
from upshot.events.merge import merge
from upshot.events.reader import connect
from upshot.events.replay import rejections

NOON = 1_772_366_400_000_000
DAY = 86_400_000_000
HIM = "petra.müller@example.org"


def everything(kept):
    """All bytes below the data directory."""
    return b"".join(path.read_bytes() for path in sorted(kept.path.rglob("*")) if path.is_file())


def traces(kept, unit=HIM):
    """Ways in which an id may be written; Parquet is read as rows, since it is compressed."""
    rows = [repr(kept.table().to_pylist()), repr(list(rejections(kept.path)))]
    data = everything(kept)
    escaped = repr(unit.encode())[2:-1]
    written = {unit.encode(), escaped.encode(), unit.encode("ascii", "backslashreplace")}
    return [one for one in written if one in data] + [one for one in rows if unit in one or escaped in one]


@pytest.fixture
def filled(kept, message):
    """Events of two people in merged and loose files, in an open segment, and among the rejected."""
    kept.accept(message(1, user=HIM), *(message(f"o{unit}", user=f"u{unit}") for unit in range(40)))
    compact(kept.path)
    merge(kept.path, after=0)
    kept.accept(
        message(2, user="u1", anonymousId=HIM), message(3, user=HIM), {"userId": HIM}, {"userId": "u1"}
    )
    kept.accept(
        message(4, user="u2", event="Experiment Viewed", properties={"experiment_id": "E", "unit_id": HIM})
    )
    compact(kept.path)
    kept.accept(message(5, user=HIM), message(6, user="u1"), {"type": "track", "anonymousId": HIM})
    return kept


def test_nothing_is_left_of_him_and_nothing_is_gone_of_others(filled):
    assert traces(filled)
    done = delete_unit(filled.path, HIM)
    assert done == Deleted(events=5, rejections=2, linked=("u1", "u2"), open_segments=0)
    assert traces(filled) == []
    assert filled.ids() == sorted(["6", *(f"o{unit}" for unit in range(40))])
    assert [b'"u1"' in one.body for one in rejections(filled.path)] == [True]
    with filled.manifest() as manifest:
        assert HIM not in manifest.numbers([HIM])
        assert [one.done for one in manifest.deletions()] == [True]


def test_what_comes_late_is_not_kept_and_what_happens_later_is(filled, message):
    delete_unit(filled.path, HIM, until=NOON + DAY)
    before = filled.ids()
    late = message(7, user=HIM, timestamp="2026-03-01T12:00:00Z")
    filled.accept(late, message(8, user="u1", anonymousId=HIM), {"userId": HIM}, received=NOON + DAY)
    with connect(filled.path) as database:
        assert database.execute("SELECT count(*) FROM events WHERE user_id = ?", [HIM]).fetchone() == (0,)
    report = compact(filled.path)
    assert (report.events, report.deleted, report.rejected) == (0, 2, 0)
    assert traces(filled) == []
    filled.accept(message(9, user=HIM), received=NOON + DAY + 1)
    compact(filled.path)
    assert filled.ids() == sorted([*before, "9"])


def test_files_without_him_are_not_touched(filled):
    merge(filled.path, after=0)
    before = {file.name for file in filled.files()}
    compact(filled.path)
    delete_unit(filled.path, "u7")
    assert len(before - {file.name for file in filled.files()}) == 1


def test_who_reads_meanwhile_finds_the_keys_that_were_merged(filled, message):
    for number in range(10, 18):
        filled.accept(message(number))
        compact(filled.path)
    before = set(filled.place.events.glob("*.keys"))
    merge(filled.path, after=0)
    delete_unit(filled.path, HIM)
    with filled.manifest() as manifest:
        assert len(manifest.key_files()) < len(before)
    assert before <= set(filled.place.events.glob("*.keys"))


def test_a_deletion_that_was_cut_off_is_finished(filled, monkeypatch):
    """One file is rewritten, the others are not; only a hash tells what was meant."""
    with monkeypatch.context() as patched:
        patched.setattr(deletion, "write_events", fail_at_second())
        with pytest.raises(OSError, match="cut off"):
            delete_unit(filled.path, HIM)
    assert traces(filled)
    done = finish_deletions(filled.path)
    assert done.events > 0
    assert traces(filled) == []
    assert len(filled.ids()) == 41
    assert finish_deletions(filled.path) == Deleted()


def fail_at_second():
    write, calls = deletion.write_events, []

    def fail(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise OSError("cut off")
        return write(*arguments, **options)

    return fail


def test_somebody_who_is_not_there_is_remembered_all_the_same(kept, message):
    assert delete_unit(kept.path, HIM) == Deleted()
    kept.accept(message(1, user=HIM))
    assert compact(kept.path).deleted == 1
    assert traces(kept) == []


def test_an_empty_id_is_refused(kept):
    with pytest.raises(InputError, match="the id is empty: give the userId or anonymousId"):
        delete_unit(kept.path, "")
