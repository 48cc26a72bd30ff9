"""SQL sees what was answered, at once and once, and can touch nothing else."""

import threading

import duckdb
import pytest

from upshot.errors import InputError, UnavailableError
from upshot.events import reader, segment
from upshot.events.compaction import compact
from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog, Limits
from upshot.events.merge import merge
from upshot.events.reader import connect, snapshot

NOON = 1_772_366_400_000_000
DAY = 86_400_000_000


def ids(path):
    with connect(path) as database:
        return [row[0] for row in database.execute("SELECT message_id FROM events ORDER BY 1").fetchall()]


def test_an_empty_directory_has_no_events(kept):
    assert ids(kept.path) == []
    with connect(kept.path) as database:
        assert database.execute("SELECT * FROM exposures").fetchall() == []


def test_what_was_answered_is_seen_before_it_is_sealed(kept):
    log = EventLog.open(kept.path, Limits(free_bytes=0))
    log.append(
        Frame(Source("web"), NOON, b'{"batch":[{"type":"track","event":"E","userId":"u","messageId":"1"}]}')
    ).result(5)
    assert ids(kept.path) == ["1"]
    log.close()
    assert ids(kept.path) == ["1"]
    compact(kept.path)
    assert ids(kept.path) == ["1"]


def test_an_event_is_seen_once_wherever_it_is(kept, message):
    kept.accept(message(1), message(2))
    compact(kept.path)
    merge(kept.path, after=0)
    kept.accept(message(2), message(3))
    compact(kept.path)
    kept.accept(message(1), message(3), message(4), received=NOON + DAY)
    kept.accept(message(4), message(5), suffix=".open")
    assert ids(kept.path) == ["1", "2", "3", "4", "5"]
    assert snapshot(kept.path).tail.num_rows == 2


def test_a_segment_that_is_sealed_while_segments_are_looked_for_is_seen_once(kept, message, monkeypatch):
    """Whichever kind is looked for first: the seal comes between the two."""
    kept.accept(message(1), suffix=".open")
    looked = []

    def then_sealed(look):
        def looking(directory):
            found = look(directory)
            if not looked:
                for path in segment.open_segments.__wrapped__(directory):
                    path.rename(path.with_suffix(segment.SEALED))
            looked.append(found)
            return found

        looking.__wrapped__ = look
        return looking

    for name in ("open_segments", "sealed_segments"):
        monkeypatch.setattr(segment, name, then_sealed(getattr(segment, name)))
    assert ids(kept.path) == ["1"]
    assert len(looked) >= 2


def test_a_segment_that_is_compacted_while_it_is_read_is_seen_once(kept, message, monkeypatch):
    kept.accept(message(1))
    opened = reader.open_manifest
    monkeypatch.setattr(reader, "open_manifest", lambda path: (compact(kept.path), opened(path))[1])
    assert ids(kept.path) == ["1"]


def test_a_segment_that_is_sealed_or_gone_while_it_is_read_is_found(kept, message, monkeypatch):
    path = kept.accept(message(1), suffix=".open")
    assert reader.read_bytes(path) == path.read_bytes()
    sealed = path.rename(path.with_suffix(".seg"))
    assert reader.read_bytes(path) == sealed.read_bytes()
    sealed.unlink()
    assert reader.read_bytes(path) is None


def test_units_have_one_number_in_files_and_tail(kept, message):
    kept.accept(message(1, user="a"))
    compact(kept.path)
    kept.accept(message(2, user="a"), message(3, user="b"), message(4, user="b"))
    with connect(kept.path) as database:
        found = database.execute(
            "SELECT unit, unit_number, count(*) FROM events GROUP BY ALL ORDER BY 1"
        ).fetchall()
    assert found == [("a", 1, 2), ("b", -1, 2)]


def test_only_what_arrived_since_can_be_asked_for(kept, message):
    kept.accept(message(1))
    compact(kept.path)
    with connect(kept.path) as database:
        (seen,) = database.execute("SELECT max(arrival) FROM events").fetchone()
    kept.accept(message(2))
    compact(kept.path)
    merge(kept.path, after=0)
    kept.accept(message(3))
    with connect(kept.path, after=seen) as database:
        new = database.execute("SELECT message_id, arrival IS NULL FROM events ORDER BY 1").fetchall()
    assert new == [("2", False), ("3", True)]


def test_a_directory_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(InputError, match=r"there is no directory .*/missing: name the one"):
        connect(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


def test_what_is_too_far_behind_is_not_read_into_memory(kept, message, monkeypatch):
    for number in range(3):
        kept.accept(message(number))
    monkeypatch.setattr(reader, "LONGEST_TAIL", 200)
    with pytest.raises(UnavailableError, match="are not compacted yet: try again when"):
        connect(kept.path)
    compact(kept.path)
    assert ids(kept.path) == ["0", "1", "2"]


def test_exposures_are_columns(kept, message):
    exposure = message(
        1,
        event="Experiment Viewed",
        properties={
            "experiment_id": "EXP-1",
            "phase": 2,
            "variant": "treatment",
            "flag": "checkout",
            "revision": "r1",
            "unit": "account",
            "unit_id": "acme",
            "attributes": {"plan": "pro"},
            "instance": "i",
            "seq": 7,
        },
    )
    foreign = message(2, event="Experiment Viewed", properties={"experiment_id": 5, "variation_id": 1})
    kept.accept(exposure, foreign, message(3, event="Experiment Viewed"), message(4))
    with connect(kept.path) as database:
        found = database.execute(
            "SELECT experiment_id, phase, variant, flag, revision, unit_kind, unit_id, attributes, instance, seq, unit "
            "FROM exposures ORDER BY message_id"
        ).fetchall()
    assert found == [
        ("EXP-1", 2, "treatment", "checkout", "r1", "account", "acme", '{"plan":"pro"}', "i", 7, "u1"),
        ("5", None, "1", None, None, None, "u1", None, None, None, "u1"),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_parquet('/tmp/x.parquet')",
        "COPY events TO '/tmp/upshot-leak.csv'",
        "ATTACH '/tmp/upshot-leak.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT * FROM secret",
    ],
)
def test_a_query_reads_events_and_nothing_else(kept, message, query):
    secret = [1]  # noqa: F841 - DuckDB would find it in the caller's frame
    kept.accept(message(1))
    compact(kept.path)
    with connect(kept.path) as database:
        assert database.execute("SELECT count(*) FROM events").fetchone() == (1,)
        with pytest.raises(duckdb.Error):
            database.execute(query)


def test_a_directory_may_have_a_quote_in_its_name(kept, message):
    kept.accept(message(1))
    compact(kept.path)
    assert ids(kept.path.rename(kept.path.with_name("it's"))) == ["1"]


def test_readers_see_all_that_was_answered_while_everything_goes_on(kept):
    """A log, a compactor, a merger and a reader at once: never an answered event missing, never one twice."""
    log = EventLog.open(kept.path, Limits(free_bytes=0, segment_bytes=2_000))
    answered, stop, wrong = [], threading.Event(), []

    def write():
        number = 0
        while not stop.is_set():
            body = b'{"batch":[{"type":"track","event":"E","userId":"u","messageId":"%09d"}]}' % number
            log.append(Frame(Source("web"), NOON, body)).result(10)
            answered.append(f"{number:09}")
            number += 1

    def tidy():
        while not stop.is_set():
            compact(kept.path)
            merge(kept.path, after=0)

    threads = [threading.Thread(target=write), threading.Thread(target=tidy)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            expected = set(answered)
            found = ids(kept.path)
            if len(found) != len(set(found)) or not expected <= set(found):
                wrong.append(sorted(expected - set(found)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        log.close()
    assert wrong == []
    assert ids(kept.path) == answered
