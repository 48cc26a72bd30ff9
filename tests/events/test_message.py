"""Every message gets its verdict: an event as its sender meant it, or a reason."""

import json
import random
from datetime import UTC, datetime, timedelta

import duckdb
import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.events.frame import Frame, Source
from upshot.events.message import (
    MAX_BATCH,
    MAX_EVENT,
    BatchTooLargeError,
    UnreadableError,
    as_batch,
    corrected,
    read_batch,
)
from upshot_sdk.messages import Messages, batch

RECEIVED = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
TRACK = {"type": "track", "event": "Bought", "userId": "u1", "messageId": "m1"}


def microseconds(time):
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def read(*messages, **members):
    body = json.dumps({"batch": messages, **members}).encode()
    return read_batch(Frame(Source("web"), microseconds(RECEIVED), body))


def one(message, **members):
    events, rejections = read(message, **members)
    assert rejections == ()
    return events[0]


def reason(message, **members):
    events, rejections = read(message, **members)
    assert events == ()
    return rejections[0].reason


def test_a_whole_message_comes_through():
    event = one(
        {
            **TRACK,
            "anonymousId": "a1",
            "timestamp": "2026-03-01T11:00:00.250+00:00",
            "properties": {"value": 3.5, "näme": [1, None]},
            "context": {"groupId": "acme", "ip": "10.0.0.1"},
            "integrations": {"All": True},
            "writeKey": "k",
        },
        sentAt="2026-03-01T11:59:00Z",
    )
    assert (event.source, event.message_id, event.hashed_id) == ("web", "m1", False)
    assert (event.type, event.event, event.unit) == ("track", "Bought", "u1")
    assert (event.user_id, event.anonymous_id, event.group_id) == ("u1", "a1", "acme")
    assert event.time - event.timestamp == 60_000_000
    assert json.loads(event.properties) == {"value": 3.5, "näme": [1, None]}
    assert json.loads(event.context) == {"groupId": "acme", "ip": "10.0.0.1"}


def test_the_sdk_is_understood():
    messages = Messages()
    body = batch((messages.track("Bought", {"targetingKey": "u1", "account": "acme"}, {"value": 1}),))
    (event,), rejections = read_batch(Frame(Source("web"), microseconds(datetime.now(UTC)), body))
    assert rejections == ()
    assert (event.unit, event.group_id, event.message_id) == ("u1", "acme", f"{messages.instance}-1")


@pytest.mark.parametrize(
    ("kind", "members", "event", "properties"),
    [
        ("identify", {"traits": {"plan": "pro"}}, None, {"plan": "pro"}),
        ("page", {"name": "Home", "properties": {"path": "/"}}, "Home", {"path": "/"}),
        ("screen", {}, None, {}),
        ("group", {"groupId": 7, "traits": {"size": 3}}, None, {"size": 3}),
        ("alias", {"previousId": "a1"}, None, {}),
    ],
)
def test_the_other_kinds(kind, members, event, properties):
    read = one({"type": kind, "userId": "u1", **members})
    assert (read.type, read.event, json.loads(read.properties)) == (kind, event, properties)
    assert read.group_id == ("7" if kind == "group" else None)
    assert read.anonymous_id == ("a1" if kind == "alias" else None)


def test_an_alias_names_the_id_that_is_replaced_whatever_else_the_browser_sends():
    event = one({"type": "alias", "userId": "u1", "previousId": "u0", "anonymousId": "a1"})
    assert (event.user_id, event.anonymous_id) == ("u1", "u0")


def test_a_single_call_tells_its_kind_by_its_path():
    body = as_batch(b'{"userId": 1, "event": "Bought", "sentAt": "2026-03-01T11:59:00Z"}', "track")
    (event,), _ = read_batch(Frame(Source("web"), microseconds(RECEIVED), body))
    assert (event.type, event.user_id) == ("track", "1")
    assert event.sent_at == microseconds(RECEIVED) - 60_000_000


def test_the_context_of_the_batch_is_that_of_its_events_where_they_say_nothing_else():
    event = one({**TRACK, "context": {"b": 2}}, context={"a": 1, "b": 1})
    assert json.loads(event.context) == {"a": 1, "b": 2}


@pytest.mark.parametrize("digits", ["9" * 309, "-" + "9" * 400, "9" * 5000])
def test_a_number_that_sql_would_take_for_infinite_is_no_event(digits):
    found = reason({**TRACK, "properties": {"a": [1, {"b": int("9" * 309)}], "c": "9" * 500}})
    assert found == "a number has 309 digits: the most is about 1.8e308"
    body = b'{"batch":[{"type":"track","event":"E","userId":"u","properties":{"a":%b}}]}' % digits.encode()
    assert read_batch(Frame(Source("web"), 0, body))[0] == ()


def test_many_digits_that_are_text_or_a_number_of_use_are_taken():
    body = b'{"batch":[{"type":"track","event":"%b","userId":"u","properties":{"a":1%b.5}}]}' % (
        b"9" * 400,
        b"0" * 300,
    )
    (event,), _ = read_batch(Frame(Source("web"), 0, body))
    assert json.loads(event.properties) == {"a": 1e300}


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"type": "track", "userId": "u"}, "event is missing: give the name of what happened"),
        ({"type": "track", "event": "", "userId": "u"}, "event is missing"),
        ({"type": "track", "event": 5, "userId": "u"}, "event: Expected `str | null`, got `int`"),
        ({"type": "track", "event": "E"}, "userId and anonymousId are missing: give one of them"),
        ({"type": "track", "event": "E", "userId": ""}, "userId and anonymousId are missing"),
        ({"type": "track", "event": "E", "userId": 1.5}, "userId: Expected `int | str | null`, got `float`"),
        ({"type": "track", "event": "E", "userId": True}, "userId: Expected `int | str | null`, got `bool`"),
        (
            {"type": "buy", "userId": "u"},
            "type is 'buy': give one of track, identify, page, screen, group, alias",
        ),
        ({"userId": "u"}, "type is None: give one of"),
        ({"type": "group", "userId": "u"}, "groupId is missing"),
        ({"type": "alias", "userId": "u"}, "previousId or userId is missing"),
        ({**TRACK, "timestamp": "yesterday"}, "timestamp: Invalid RFC3339 encoded datetime"),
        ({**TRACK, "properties": [1]}, "properties: Expected `object | null`, got `array`"),
        (5, "Expected `object`, got `int`"),
        ({**TRACK, "properties": {"x": "y" * MAX_EVENT}}, "32,768 are the most"),
    ],
)
def test_what_is_no_event_has_a_reason(message, says):
    assert says in reason(message)


def test_a_wrong_sent_at_of_the_batch_is_told_for_each_event():
    assert (
        reason(TRACK, sentAt="soon")
        == 'sentAt of the batch is "soon": give a time like 2026-01-31T10:20:30.123Z'
    )


def test_good_events_are_taken_beside_bad_ones_and_nothing_disappears():
    events, rejections = read(TRACK, {"messageId": "bad"}, {**TRACK, "messageId": "m2"}, 7)
    assert [event.message_id for event in events] == ["m1", "m2"]
    assert [(rejection.index, rejection.message_id) for rejection in rejections] == [(1, "bad"), (3, None)]


def test_a_rejection_can_be_sent_again_with_all_that_it_came_with():
    _, (rejection,) = read(
        {"userId": "u", "timestamp": "2026-03-01T11:00:00Z"},
        type="track",
        sentAt="2026-03-01T12:00:00Z",
        context={"ip": "::1"},
    )
    mended = rejection.body.replace(b'"userId": "u"', b'"userId": "u", "event": "E"')
    (event,), left = read_batch(Frame(rejection.source, rejection.received_at, mended))
    assert left == ()
    assert (event.type, event.event, json.loads(event.context)) == ("track", "E", {"ip": "::1"})
    assert event.sent_at == microseconds(RECEIVED)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"batch": 1}',
        b'{"batch": [',
        b'{"batch": ["\\x"]}',
        b"\xff",
        b'{"batch": [], "a": "\xff"}',
        b"[" * 5000,
    ],
)
def test_a_body_that_is_no_batch_is_refused_as_a_whole(body):
    with pytest.raises(UnreadableError, match="the body is no batch of events"):
        read_batch(Frame(Source("web"), 0, body))


def test_a_body_that_is_too_large_is_refused():
    with pytest.raises(BatchTooLargeError, match="512,001 bytes: 512,000 are the most") as refused:
        read_batch(Frame(Source("web"), 0, b" " * (MAX_BATCH + 1)))
    assert refused.value.status == 413


def test_an_event_without_id_has_one_by_its_content():
    plain = {"type": "track", "event": "E", "userId": "u"}
    (first, again, other), _ = read(plain, plain, {**plain, "userId": "v"})
    assert first.hashed_id
    assert first.message_id == again.message_id != other.message_id


@given(st.integers(-86_400, 86_400), st.integers(0, 10**6), st.integers(0, 3600))
def test_a_wrong_clock_is_corrected(wrong, before_sending, on_the_way):
    """A client a day off tells the same time as one that is right, but for seconds that may be the way's."""
    happened = RECEIVED - timedelta(seconds=before_sending + on_the_way)
    sent = RECEIVED - timedelta(seconds=on_the_way)
    off = timedelta(seconds=wrong)
    event = one({**TRACK, "timestamp": (happened + off).isoformat()}, sentAt=(sent + off).isoformat())
    assert event.timestamp == microseconds(happened + off)
    if abs(on_the_way - wrong) >= 10:
        assert event.time - microseconds(happened) == on_the_way * 1_000_000
    if abs(on_the_way - wrong) <= 5:
        assert event.time == min(event.timestamp, microseconds(RECEIVED))


WAY = st.integers(0, 2 * 10**6)
PAUSE = st.integers(0, 10**7)


@given(st.integers(-(10**12), 10**12), PAUSE, PAUSE, WAY, WAY)
def test_two_batches_of_a_clock_stay_in_order_as_far_as_their_ways_are_alike(wrong, gap, waited, way, other):
    """An event after an exposure, each in its own batch: of a right clock never before it, of another by no more than
    twice what the first batch was slower by."""
    exposed, told = 10**15, 10**15 + wrong
    first = corrected(told, told + waited, exposed + waited + way)
    second = corrected(told + gap, told + gap + waited, exposed + gap + waited + other)
    assert second - first >= min(gap, 0) - 2 * max(way - other, 0) + (gap if way == other else 0)
    if -3 * 10**6 <= wrong <= 0:
        assert second >= first


@pytest.mark.parametrize("time", ["2031-01-01T00:00:00Z", "9999-12-31T23:59:59-10:00"])
def test_nothing_happens_in_the_future(time):
    assert one({**TRACK, "timestamp": time}).time == microseconds(RECEIVED)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+10:00", "1969-12-31T23:59:59Z"])
def test_nothing_happened_before_1970(time):
    assert one({**TRACK, "timestamp": time}).time == 0


def test_times_are_exact_to_the_microsecond_and_utc_where_no_zone_is_given():
    assert one({**TRACK, "timestamp": "2026-03-01T11:59:59.123457"}).time == microseconds(RECEIVED) - 876_543
    assert one(TRACK).time == microseconds(RECEIVED)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*TRACK, "properties", "timestamp", "context", "x"]), json_values),
        max_size=4,
    )
)
def test_any_message_is_an_event_or_has_a_reason(messages):
    body = json.dumps({"batch": messages}).encode()
    try:
        events, rejections = read_batch(Frame(Source("web"), 10**15, body))
    except UnreadableError:
        return  # json.dumps writes NaN, which is no JSON
    assert len(events) + len(rejections) == len(messages)
    for rejection in rejections:
        assert rejection.reason


def test_whatever_is_accepted_can_be_asked_with_sql():
    """500 bodies damaged at random: properties that SQL cannot read would poison every query."""
    rng = random.Random(4)
    good = json.dumps(
        {"batch": [{**TRACK, "properties": {"a": "\u00e9\ud83d\ude00", "b": [1.5, {"c": None}]}}]}
    ).encode()
    texts = []
    for _ in range(500):
        at = rng.randrange(len(good))
        damaged = (
            good[:at]
            + rng.choice([b"", b"\\ud800", b"\\u0000", b"1e999", b"-", b"{", b"\x80", b'"'])
            + good[at + 1 :]
        )
        try:
            events, _ = read_batch(Frame(Source("web"), 10**15, damaged))
        except UnreadableError:
            continue
        texts += [text for event in events for text in (event.properties, event.context)]
    assert len(texts) > 50
    table = pa.table({"text": texts})
    assert duckdb.from_arrow(table).filter("json_valid(text)").count("text").fetchone() == (len(texts),)
    assert all(isinstance(msgspec.json.decode(text), dict) for text in texts)
