import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from upshot_sdk.evaluation import SPLIT, Evaluation
from upshot_sdk.messages import MAX_MESSAGE, MessageError, Messages, batch

EXPERIMENT = {
    "flag": "checkout",
    "revision": "r1",
    "rule": "exp",
    "experiment_id": "EXP-2026-001",
    "phase": 2,
    "unit": "targetingKey",
    "unit_id": "u1",
    "attributes": {"country": "CA"},
}


def tracked(context, properties=None, event="Purchase"):
    return json.loads(Messages().track(event, context, properties))


def exposed(context, **changes):
    answer = Evaluation("b", "treatment", SPLIT, metadata=EXPERIMENT | changes)
    return json.loads(Messages().exposure(answer, context))


def test_an_event_is_segments_track():
    message = tracked({"targetingKey": "u1"}, {"value": 3})
    assert message["type"] == "track"
    assert (message["event"], message["userId"], message["properties"]) == ("Purchase", "u1", {"value": 3})
    assert datetime.fromisoformat(message["timestamp"]).utcoffset().total_seconds() == 0
    assert message["context"]["library"]["name"] == "upshot-sdk"


def test_an_exposure_has_what_the_analysis_needs():
    message = exposed({"targetingKey": "u1"})
    properties = message["properties"]
    assert message["event"] == "Experiment Viewed"
    assert properties == {
        "experiment_id": "EXP-2026-001",
        "phase": 2,
        "variant": "treatment",
        "flag": "checkout",
        "revision": "r1",
        "unit": "targetingKey",
        "unit_id": "u1",
        "attributes": {"country": "CA"},
        "instance": message["context"]["instance"],
        "seq": 1,
    }


@pytest.mark.parametrize(
    ("context", "who"),
    [
        ({"targetingKey": "u1"}, {"userId": "u1"}),
        ({"targetingKey": 7}, {"userId": "7"}),
        ({"targetingKey": "a1", "anonymousId": "a1"}, {"anonymousId": "a1"}),
        ({"targetingKey": "a1", "anonymousId": "a1", "userId": 7}, {"userId": "7", "anonymousId": "a1"}),
        ({"userId": "u1"}, {"userId": "u1"}),
    ],
)
def test_who_it_was(context, who):
    message = tracked(context)
    assert {name: message[name] for name in ("userId", "anonymousId") if name in message} == who


def test_an_account_is_the_group():
    assert tracked({"targetingKey": "u1", "account": 12})["context"]["groupId"] == "12"


def test_an_exposure_of_another_unit_needs_no_user():
    message = exposed({"account": "acme"}, unit="account", unit_id="acme")
    assert (message["anonymousId"], message["context"]["groupId"]) == ("acme", "acme")


def test_messages_of_an_instance_are_numbered_without_a_gap():
    messages = Messages()
    made = [json.loads(messages.track("e", {"userId": "u"}, None)) for _ in range(3)]
    made.append(json.loads(messages.identify({"userId": "u", "anonymousId": "a"}, {"plan": "pro"})))
    assert [message["context"]["seq"] for message in made] == [1, 2, 3, 4]
    assert len({message["messageId"] for message in made}) == 4
    assert {message["context"]["instance"] for message in made} == {messages.instance}
    assert made[3]["traits"] == {"plan": "pro"}
    assert Messages().instance != messages.instance


def test_values_that_programs_have_are_written_as_text_or_number():
    properties = {
        "at": datetime(2026, 11, 24, tzinfo=UTC),
        "day": date(2026, 11, 24),
        "price": Decimal("9.5"),
        "id": UUID(int=1),
    }
    assert tracked({"userId": "u"}, properties)["properties"] == {
        "at": "2026-11-24T00:00:00+00:00",
        "day": "2026-11-24",
        "price": 9.5,
        "id": "00000000-0000-0000-0000-000000000001",
    }


@pytest.mark.parametrize("text", ["\x00", "\n", "\u2028", "é", "😀"])
def test_any_text_can_be_sent(text):
    assert tracked({"userId": "u"}, {"text": text})["properties"] == {"text": text}


def test_text_without_a_utf8_form_does_not_spoil_the_batch():
    """A strict reader of JSON, as the server is one, refuses a lone surrogate, with all events beside it."""
    message = Messages().track("e", {"userId": "u"}, {"text": "a\ud800b", "\udfff": 1})
    assert json.loads(message)["properties"] == {"text": "a?b", "?": 1}
    assert b"\\ud" not in message


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def test_many_brackets_side_by_side_are_not_deep():
    wide = [[] for _ in range(500)]
    assert tracked({"userId": "u"}, {"x": wide})["properties"] == {"x": wide}
    assert tracked({"userId": "u"}, {"x": nested(90)})["properties"] == {"x": nested(90)}


@pytest.mark.parametrize(
    ("event", "context", "properties", "sentence"),
    [
        ("", {"userId": "u"}, None, "event is ''"),
        (None, {"userId": "u"}, None, "event is None"),
        ("e", {}, None, "the context has no targetingKey, userId or anonymousId"),
        ("e", {"targetingKey": 1.5}, None, "the context has no targetingKey"),
        ("e", {"userId": "\ud800"}, None, "the context has no targetingKey"),
        ("e", {"userId": "u"}, {"x": math.nan}, "cannot be written as JSON"),
        ("e", {"userId": "u"}, {"x": object()}, "a object has no JSON form"),
        ("e", {"userId": "u"}, {"x": nested(100_000)}, "cannot be written as JSON"),
        ("e", {"userId": "u"}, {"x": "x" * MAX_MESSAGE}, "the server takes 32,768"),
        ("e", {"userId": "u"}, {"x": nested(100)}, "nested deeper than 100"),
        ("e", {"userId": "u"}, [("a", 1, 2)], "properties"),
        ("e", "u1", None, "context"),
    ],
)
def test_what_cannot_be_sent_is_named(event, context, properties, sentence):
    with pytest.raises(MessageError, match=sentence):
        Messages().track(event, context, properties)


def test_a_batch_says_when_it_was_sent():
    body = json.loads(batch((b'{"a":1}', b'{"b":2}')))
    assert body["batch"] == [{"a": 1}, {"b": 2}]
    assert abs((datetime.now(UTC) - datetime.fromisoformat(body["sentAt"])).total_seconds()) < 5


def test_times_are_those_of_the_clock_that_was_given():
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    message = json.loads(Messages(at.timestamp).track("Purchase", {"userId": "u1"}, None))
    assert message["timestamp"] == "2026-03-02T12:00:00.000+00:00"
    assert json.loads(batch((b"{}",), at.timestamp))["sentAt"] == message["timestamp"]
