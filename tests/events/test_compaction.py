"""Each event is kept once, whatever came twice, died or was damaged on the way."""

import fcntl
import os
from datetime import UTC, datetime

import pytest

from upshot.errors import ConflictError
from upshot.events import compaction
from upshot.events.compaction import Report, compact
from upshot.events.frame import Frame, Source, encode
from upshot.events.reader import connect

NOON = 1_772_366_400_000_000
DAY = 86_400_000_000


def test_events_become_rows(kept, message):
    kept.accept(
        message(1, properties={"value": 2.5}, timestamp="2026-03-01T11:00:00Z"), message(2, user="u0")
    )
    assert compact(kept.path) == Report(segments=1, events=2)
    table = kept.table()
    assert table.schema.names[:2] == ["source", "message_id"]
    rows = {row["message_id"]: row for row in table.to_pylist()}
    assert rows["1"]["properties"] == '{"value":2.5}'
    assert rows["1"]["time"] == datetime(2026, 3, 1, 11, tzinfo=UTC).replace(tzinfo=None)
    assert rows["1"]["unit_number"] != rows["2"]["unit_number"]
    assert table["unit_number"].to_pylist() == sorted(table["unit_number"].to_pylist())
    assert [name for name in kept.on_disk() if name.endswith((".seg", ".part"))] == []


def test_ids_and_names_may_hold_anything(kept, message):
    odd = ["a\0b", "\0", "it's", '"', "\U0001f600", "ß" * 500, " ", "NULL", "\n"]
    kept.accept(*(message(f"m{text}", user=text, event=text) for text in odd))
    kept.accept(*(message(f"m{text}", user=text, event=text) for text in odd), received=NOON + DAY)
    assert compact(kept.path).duplicates == len(odd)
    assert sorted(kept.table()["unit"].to_pylist()) == sorted(odd)
    assert len(set(kept.table()["unit_number"].to_pylist())) == len(odd)
    with connect(kept.path) as database:
        found = database.execute(
            "SELECT unit FROM events WHERE event = unit AND message_id = 'm' || unit"
        ).fetchall()
    assert sorted(unit for (unit,) in found) == sorted(odd)


def test_nothing_to_do_is_done(kept):
    assert compact(kept.path) == Report()
    assert kept.on_disk() == []


def test_the_same_event_is_kept_once_wherever_it_comes_again(kept, message):
    kept.accept(message(1), message(1), message(2))
    kept.accept(message(2), message(3))
    assert compact(kept.path) == Report(segments=2, events=3, duplicates=2)
    kept.accept(message(3), message(4), received=NOON + DAY)
    assert compact(kept.path) == Report(segments=1, events=1, duplicates=1)
    kept.accept(message(1), message(2), message(3), message(4), received=NOON + 30 * DAY)
    assert compact(kept.path).events == 0
    assert kept.ids() == ["1", "2", "3", "4"]


def test_the_one_that_was_received_first_is_kept(kept, message):
    kept.accept(message(1, properties={"attempt": 2}), received=NOON + 5)
    kept.accept(message(1, properties={"attempt": 1}), received=NOON)
    compact(kept.path)
    assert kept.table()["properties"].to_pylist() == ['{"attempt":1}']


def test_two_sources_may_use_one_message_id(kept, message):
    kept.accept(message(1), source="web")
    kept.accept(message(1), source="app")
    kept.accept(message(":1"), source="web:")
    assert compact(kept.path).events == 3


def test_units_keep_their_numbers(kept, message):
    kept.accept(message(1, user="a"), message(2, user="b"))
    compact(kept.path)
    kept.accept(message(3, user="b"), message(4, user="c"))
    compact(kept.path)
    numbers = {(row["unit"], row["unit_number"]) for row in kept.table().to_pylist()}
    assert sorted(unit for unit, _ in numbers) == ["a", "b", "c"]
    assert len({number for _, number in numbers}) == 3


def test_later_compactions_have_higher_arrivals(kept, message):
    arrivals = []
    for number in range(3):
        kept.accept(message(number))
        compact(kept.path)
        arrivals.append(kept.files()[-1].last_arrival)
    assert arrivals == sorted(set(arrivals))


def test_what_a_dead_process_left_is_compacted_and_its_torn_tail_counted(kept, message):
    path = kept.accept(message(1), suffix=".open")
    with path.open("ab") as file:
        file.write(encode(Frame(Source("web"), 1, b'{"batch":[]}'))[:-3])
    assert compact(kept.path) == Report(segments=1, events=1, torn=path_torn())
    with kept.manifest() as manifest:
        assert manifest.tally() == {"events": 1, "segments": 1, "torn": path_torn()}


def path_torn():
    return len(encode(Frame(Source("web"), 1, b'{"batch":[]}'))) - 3


def test_an_open_segment_of_a_living_process_is_left_alone(kept, message):
    path = kept.accept(message(1), suffix=".open")
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert compact(kept.path) == Report()
    assert path.exists()


def test_damage_costs_the_frame_it_hit_and_is_kept_aside(kept, message):
    first = kept.accept(message(1)).read_bytes()
    second = kept.accept(message(2)).read_bytes()
    for name in kept.on_disk():
        (kept.place.log / name).unlink()
    damaged = bytearray(first + second + first.replace(b'"1"', b'"3"'))
    damaged[len(first) + 60] ^= 1
    kept.put(bytes(damaged[: len(first) + len(second)]) + second)
    report = compact(kept.path)
    assert (report.events, report.damaged, report.rejected) == (2, len(second), 1)


def test_only_one_process_compacts(kept):
    with compaction.alone(kept.place), pytest.raises(ConflictError, match="another process is compacting"):
        compact(kept.path)


def test_leftovers_of_a_crash_are_deleted_and_nothing_else(kept, message):
    kept.accept(message(1))
    compact(kept.path)
    before = kept.on_disk()
    (kept.place.events / "00000000000000000001-dead.parquet").write_bytes(b"not whole")
    (kept.place.events / "00000000000000000001-dead.parquet.part").write_bytes(b"not whole")
    (kept.place.rejected / "00000000000000000001-dead.rejected").write_bytes(b"")
    compact(kept.path)
    assert kept.on_disk() == before


def test_a_compacted_segment_that_could_not_be_deleted_is_not_taken_again(kept, message, monkeypatch):
    path = kept.accept(message(1))
    content = path.read_bytes()
    compact(kept.path)
    with kept.manifest() as manifest:
        manifest.commit(compaction.Change(segments=(path.name,)), 0)
    path.write_bytes(content)
    assert compact(kept.path) == Report()
    assert not path.exists()


def test_files_and_their_names_are_on_the_disk_before_they_count(kept, message, monkeypatch):
    """Pyarrow does not sync; whoever writes must."""
    steps = []
    watched(monkeypatch, steps)
    kept.accept(message(1), {"type": "track"})
    compact(kept.path)
    commit = steps.index("commit")
    assert steps[:commit].count("sync") == 3
    for suffix in ("parquet", "keys", "rejected"):
        renamed = steps.index(f"rename {suffix}")
        assert "sync" in steps[:renamed]
        assert "sync directory" in steps[renamed:commit]
    assert "unlink seg" in steps[commit:]
    assert "unlink seg" not in steps[:commit]


def watched(monkeypatch, steps):
    fdatasync, fsync, rename, unlink = os.fdatasync, os.fsync, os.rename, os.unlink
    commit = compaction.Manifest.commit

    def committing(self, change, now):
        commit(self, change, now)
        steps.append("commit")

    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (steps.append("sync"), fdatasync(descriptor)))
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("sync directory"), fsync(descriptor)))
    monkeypatch.setattr(
        os, "rename", lambda old, new: (steps.append(f"rename {new.suffix[1:]}"), rename(old, new))
    )
    monkeypatch.setattr(os, "unlink", lambda path: (steps.append(f"unlink {path.suffix[1:]}"), unlink(path)))
    monkeypatch.setattr(compaction.Manifest, "commit", committing)


def test_a_large_backlog_is_taken_piece_by_piece(kept, message, monkeypatch):
    monkeypatch.setattr(compaction, "AT_ONCE", 300)
    for number in range(6):
        kept.accept(message(number))
    assert compact(kept.path) == Report(segments=6, events=6)
    assert len(kept.files()) > 1
    assert kept.ids() == [str(number) for number in range(6)]
