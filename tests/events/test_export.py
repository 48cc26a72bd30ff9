"""What is exported can be read by others, and sent to Upshot again."""

import json

import pytest
from pyarrow import parquet

from upshot.errors import InputError
from upshot.events.compaction import compact
from upshot.events.export import export, messages
from upshot.events.frame import Frame, Source
from upshot.events.message import read_batch

NOON = 1_772_366_400_000_000


@pytest.fixture
def filled(kept, message):
    kept.accept(message(1, user="a", properties={"value": 1.5}, context={"ip": "::1"}), message(2, user="b"))
    compact(kept.path)
    kept.accept(
        {"type": "identify", "userId": "b", "anonymousId": "x", "messageId": "3", "traits": {"plan": "pro"}},
        {"type": "page", "name": "Home", "anonymousId": "x", "messageId": "4"},
        {"type": "group", "userId": "a", "groupId": "g", "messageId": "5"},
        {"type": "alias", "userId": "b", "previousId": "x", "messageId": "6"},
        sentAt="2026-03-01T12:00:00Z",
    )
    return kept


def test_parquet_has_all_columns_of_all_events(filled, tmp_path):
    assert export(filled.path, tmp_path / "all.parquet") == 6
    table = parquet.read_table(tmp_path / "all.parquet")
    assert sorted(table["message_id"].to_pylist()) == list("123456")


def test_messages_come_back_as_the_events_they_were(filled, tmp_path):
    assert export(filled.path, tmp_path / "all.jsonl") == 6
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    events, rejections = read_batch(Frame(Source("web"), NOON + 10**6, json.dumps({"batch": lines}).encode()))
    assert rejections == ()
    again = {event.message_id: event for event in events}
    assert [again[number].type for number in "123456"] == [
        "track",
        "track",
        "identify",
        "page",
        "group",
        "alias",
    ]
    assert (again["1"].properties, again["1"].context, again["1"].time) == (
        '{"value":1.5}',
        '{"ip":"::1"}',
        NOON,
    )
    assert (again["3"].properties, again["4"].event) == ('{"plan":"pro"}', "Home")
    assert (again["5"].group_id, again["6"].anonymous_id) == ("g", "x")


def test_a_clock_that_was_off_by_ages_is_no_hindrance(kept, message, tmp_path):
    kept.accept(message(1, timestamp="0001-01-01T00:00:00+10:00"), sentAt="0001-01-01T00:00:05+10:00")
    assert export(kept.path, tmp_path / "all.jsonl") == export(kept.path, tmp_path / "all.parquet") == 1
    assert [found["timestamp"] for found in messages(kept.path)] == ["2026-03-01T11:59:55+00:00"]


def test_one_person_is_exported_by_any_of_the_ids(filled, tmp_path):
    assert export(filled.path, tmp_path / "x.jsonl", unit="x") == 3
    assert {found["messageId"] for found in messages(filled.path, unit="b")} == {"2", "3", "6"}


@pytest.mark.parametrize(
    ("target", "says"), [("events.csv", "ends in .csv"), ("missing/all.jsonl", "there is no directory")]
)
def test_a_target_that_cannot_be_is_refused(filled, tmp_path, target, says):
    with pytest.raises(InputError, match=says):
        export(filled.path, tmp_path / target)
