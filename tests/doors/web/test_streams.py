import json
import time

import pytest

from upshot.model.flag import Flag

BULK = "/ofrep/v1/evaluate/flags"
ASKED = {"context": {"targetingKey": "user-1"}}


class Events:
    """What comes over an event stream."""

    def __init__(self, response):
        self.response = response
        self._lines = response.iter_lines()

    def next(self):
        """The next event as a dictionary; comments and ``retry`` alone are passed over. None at the end."""
        found = {}
        for line in self._lines:
            if not line and set(found) - {"retry"}:
                return found
            if not line:
                found = {}
            name, _, value = line.partition(": ")
            if name and line[0] != ":":
                found[name] = value
        return None


def flip(value):
    return Flag(
        key="plain", type="boolean", variants={"on": True, "off": False}, default="on" if value else "off"
    )


def address_of(client):
    (stream,) = client.post(BULK, json=ASKED).json()["eventStreams"]
    return stream["endpoint"]["requestUri"]


def test_the_head_of_a_stream_alone_ends_at_once(own):
    with own.client() as client:
        for address in ("/v1/ruleset/stream", address_of(client)):
            answer = client.head(address, timeout=5)
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["content-type"].startswith("text/event-stream")
        assert own.forgot_all_requests()


def test_sdks_hear_the_revision_at_once_and_at_each_change(own):
    with own.client() as client, client.stream("GET", "/v1/ruleset/stream") as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        events = Events(response)
        revision = client.get("/v1/ruleset").json()["revision"]
        first = events.next()
        assert first["event"] == "revision"
        assert json.loads(first["data"]) == {"revision": revision}
        began = time.monotonic()
        own.store.edit(flip(False))
        second = events.next()
        assert time.monotonic() - began < 2.5
        assert json.loads(second["data"])["revision"] != revision
        assert client.get("/v1/ruleset").json()["revision"] == json.loads(second["data"])["revision"]


def test_browsers_are_told_to_ask_again(own):
    with (
        own.client() as client,
        client.stream("GET", address_of(client), headers={"Authorization": ""}) as response,
    ):
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"
        own.store.edit(flip(False))
        event = Events(response).next()
        data = json.loads(event["data"])
        assert event["event"] == "message"
        assert data["type"] == "refetchEvaluation"
        assert data["etag"] == f'"{event["id"]}"'
        assert abs(data["lastModified"] - own.clock()) < 5
        answer = client.post(
            BULK,
            params={"flagConfigEtag": data["etag"], "flagConfigLastModified": data["lastModified"]},
            json=ASKED,
        )
        assert next(flag for flag in answer.json()["flags"] if flag["key"] == "plain")["value"] is False


def test_a_change_between_the_answer_and_the_stream_is_not_missed(own):
    with own.client() as client:
        address = address_of(client)
        own.store.edit(flip(False))
        client.post(BULK, params={"flagConfigEtag": '"newer"'}, json=ASKED)
        with client.stream("GET", address) as response:
            assert json.loads(Events(response).next()["data"])["type"] == "refetchEvaluation"


def test_who_comes_back_with_the_last_id_hears_only_what_is_new(own):
    with own.client() as client:
        address = address_of(client)
        own.store.edit(flip(False))
        with client.stream("GET", address) as response:
            heard = Events(response).next()["id"]
        with client.stream("GET", address, headers={"Last-Event-ID": heard}) as response:
            own.store.edit(flip(True))
            assert Events(response).next()["id"] != heard


def test_a_stream_ends_with_its_token_after_a_last_notice_and_is_not_opened_again(own):
    with own.client() as client:
        address = address_of(client)
        own.clock.ahead += 898 - own.clock() % 300  # the token was given at the start of its period
        with client.stream("GET", address) as response:
            events = Events(response)
            assert json.loads(events.next()["data"])["type"] == "refetchEvaluation"
            assert events.next() is None
        expired = client.get(address)
        assert expired.status_code == 401
        assert "expired" in expired.json()["errorDetails"]
        with client.stream("GET", address_of(client)) as response:
            assert response.status_code == 200


@pytest.mark.parametrize("token", ["", "?token=", "?token=server-key-0123456789", "?token=a.b.c"])
def test_a_stream_needs_its_token(shared, token):
    with shared.client() as client:
        assert client.get(f"/ofrep/v1/stream{token}").status_code == 401


def test_a_token_opens_nothing_else(shared):
    with shared.client() as client:
        token = address_of(client).partition("=")[2]
    with shared.client({"Authorization": f"Bearer {token}"}) as client:
        assert client.get("/v1/ruleset").status_code == 401
        assert client.post(BULK, json=ASKED).status_code == 401


def test_silence_is_broken_by_comments(shared, monkeypatch):
    monkeypatch.setattr("upshot.doors.web.streams.HEARTBEAT", 0.1)
    with shared.client() as client, client.stream("GET", "/v1/ruleset/stream") as response:
        lines = response.iter_lines()
        assert [line for line, _ in zip(lines, range(20), strict=False)].count(":") >= 3


def test_a_scheduled_change_is_told_like_an_edit(start):
    from datetime import UTC, datetime

    from upshot.model.flag import Rule

    begins = datetime(2100, 1, 1, tzinfo=UTC)
    rules = (Rule(id="new-year", variant="on", starts=begins),)
    flag = Flag(key="later", type="boolean", variants={"on": True, "off": False}, default="off", rules=rules)
    with start((flag,)) as running, running.client() as client:
        running.clock.ahead += begins.timestamp() - running.clock() - 1
        with client.stream("GET", address_of(client)) as response:
            data = json.loads(Events(response).next()["data"])
        assert data["lastModified"] == begins.timestamp()


def test_a_reader_who_does_not_read_holds_up_nobody(own, monkeypatch):
    monkeypatch.setattr("upshot.doors.web.streams.HEARTBEAT", 0.001)
    with own.connect() as deaf, own.client() as client:
        deaf.sendall(
            b"GET /v1/ruleset/stream HTTP/1.1\r\nHost: x\r\nX-API-Key: server-key-0123456789\r\n\r\n"
        )
        time.sleep(0.3)
        with client.stream("GET", "/v1/ruleset/stream") as response:
            events = Events(response)
            before = events.next()["data"]
            own.store.edit(flip(False))
            assert events.next()["data"] != before
        assert client.get("/healthz").status_code == 200


def test_streams_end_at_once_when_the_server_stops(own):
    with (
        own.client() as client,
        client.stream("GET", "/v1/ruleset/stream") as sdk,
        client.stream("GET", address_of(client)) as browser,
    ):
        events = Events(sdk)
        events.next()
        assert own.stop() < 1.5
        assert events.next() is None
        assert Events(browser).next() is None


def test_a_listener_who_leaves_is_forgotten(own):
    with own.client() as client:
        for _ in range(20):
            with client.stream("GET", "/v1/ruleset/stream") as response:
                Events(response).next()
    assert own.forgot_all_requests()
