"""Events by Segment's HTTP API: every way to send them, every way to be refused, and when it answers."""

import base64
import gzip
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from upshot.events.log import Limits

SERVER, CLIENT = "server-key-0123456789", "client-key-0123456789"
BOUGHT = {"type": "track", "event": "Bought", "userId": "u1", "messageId": "m1", "properties": {"value": 2.5}}
BATCH = {"batch": [BOUGHT]}
SINGLE = {
    "track": {"event": "Bought", "userId": "u1"},
    "identify": {"userId": "u1", "traits": {"plan": "pro"}},
    "page": {"anonymousId": "a1", "name": "Home"},
    "screen": {"anonymousId": "a1", "name": "Home"},
    "group": {"userId": "u1", "groupId": "g1"},
    "alias": {"userId": "u1", "previousId": "a1"},
}


def basic(user, password=""):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize("prefix", ["/v1", ""])
@pytest.mark.parametrize("kind", SINGLE)
def test_every_single_call_has_its_long_and_its_short_path(own, prefix, kind):
    with own.client(basic(SERVER)) as client:
        for name, message_id in ((kind, "long"), (kind[0], "short")):
            answer = client.post(f"{prefix}/{name}", json=SINGLE[kind] | {"messageId": message_id})
            assert (answer.status_code, answer.json()) == (
                200,
                {"success": True, "accepted": 1, "rejected": []},
            )
        found, _ = own.events()
    assert [(one.type, one.message_id, one.source) for one in found] == [
        (kind, "long", "server"),
        (kind, "short", "server"),
    ]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/batch", "/b"])
def test_batches(own, path):
    with own.client(basic(SERVER)) as client:
        answer = client.post(path, json={"batch": [BOUGHT, BOUGHT | {"messageId": "m2"}], "unknown": [1]})
        assert answer.json()["accepted"] == 2
    found, _ = own.events()
    assert [(one.event, one.user_id, one.message_id, json.loads(one.properties)) for one in found] == [
        ("Bought", "u1", "m1", {"value": 2.5}),
        ("Bought", "u1", "m2", {"value": 2.5}),
    ]


@pytest.mark.parametrize(
    ("headers", "write_key", "source"),
    [
        (basic(SERVER), None, "server"),
        (basic(CLIENT), None, "client"),
        (basic(CLIENT, "a password that does not matter"), None, "client"),
        ({"Authorization": f"Bearer {CLIENT}"}, None, "client"),
        ({"X-API-Key": SERVER}, None, "server"),
        ({}, CLIENT, "client"),
        ({}, SERVER, "server"),
        (basic(SERVER), CLIENT, "server"),
    ],
)
def test_a_key_comes_in_four_ways_and_names_the_source(own, headers, write_key, source):
    body = BATCH | ({"writeKey": write_key} if write_key else {})
    with own.client(headers) as client:
        assert client.post("/v1/batch", json=body).status_code == 200
    ((event,), _) = own.events()
    assert event.source == source


@pytest.mark.parametrize(
    ("headers", "write_key"),
    [
        ({}, None),
        ({}, ""),
        ({}, 7),
        ({}, "some-other-key-123456"),
        (basic("some-other-key-123456"), SERVER),
        ({"Authorization": "Basic !"}, SERVER),
        ({"X-API-Key": "wrong"}, None),
    ],
)
def test_without_a_key_nothing_is_taken(own, headers, write_key):
    with own.client(headers) as client:
        answer = client.post("/v1/batch", json=BATCH | {"writeKey": write_key})
    assert answer.status_code == 401
    assert answer.json()["errorDetails"]
    assert own.frames() == []


def test_the_clients_key_sends_and_does_not_read(own):
    with own.client(basic(CLIENT)) as client:
        assert client.post("/v1/batch", json=BATCH).status_code == 200
        for method, path in (("GET", "/v1/batch"), ("GET", "/v1/track"), ("GET", "/b"), ("PUT", "/v1/track")):
            assert client.request(method, path).status_code == 405
        assert client.get("/v1/ruleset").status_code == 403


def test_bodies_that_call_themselves_text_need_no_preflight_and_can_be_read(own):
    page = {"Origin": "https://shop.example", "Content-Type": "text/plain;charset=UTF-8"}
    with own.client(page) as client:
        answer = client.post("/v1/t", content=json.dumps(SINGLE["track"] | {"writeKey": CLIENT}))
        assert answer.json() == {"success": True, "accepted": 1, "rejected": []}
        assert answer.headers["access-control-allow-origin"] == "*"
        refused = client.post("/v1/t", content="no JSON")
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (400, "*")
        asked = client.options(
            "/v1/t",
            headers={
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,x-retry-count",
            },
        )
        assert asked.status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
def test_gzip(own, coding):
    body = gzip.compress(json.dumps(BATCH).encode())
    with own.client(basic(SERVER)) as client:
        answer = client.post("/v1/batch", content=body, headers={"Content-Encoding": coding})
    assert answer.json()["accepted"] == 1
    assert own.events()[0][0].message_id == "m1"


def padded(size):
    """A sound batch of this many bytes, in events that are small enough."""
    events = [BOUGHT | {"messageId": f"m{number}", "pad": "x" * 20_000} for number in range(24)]
    body = json.dumps({"batch": events, "pad": ""}).encode()
    return body.replace(b'"pad": ""', b'"pad": "%b"' % (b"y" * (size - len(body))))


@pytest.mark.parametrize("compressed", [False, True])
def test_the_largest_body_is_512_000_bytes(own, compressed):
    def sent(client, body):
        headers = {"Content-Encoding": "gzip"} if compressed else {}
        return client.post(
            "/v1/batch", content=gzip.compress(body, 1) if compressed else body, headers=headers
        )

    with own.client(basic(SERVER)) as client:
        largest, larger = sent(client, padded(512_000)), sent(client, padded(512_001))
    assert (largest.status_code, largest.json()["accepted"]) == (200, 24)
    assert larger.status_code == 413
    assert "512,000 bytes: send less at a time" in larger.json()["errorDetails"]
    assert len(own.frames()) == 1


def test_a_bomb_is_not_inflated(own):
    bomb = gzip.compress(bytes(200_000_000), 9)
    assert len(bomb) < 250_000
    with own.client(basic(SERVER)) as client:
        began = time.monotonic()
        answer = client.post("/v1/batch", content=bomb, headers={"Content-Encoding": "gzip"})
        assert (answer.status_code, time.monotonic() - began < 5) == (413, True)


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b"", {}, 400, "no JSON object"),
        (b"no JSON", {}, 400, "no JSON object"),
        (b"[]", {}, 400, "no JSON object"),
        (b'{"batch": 1}', {}, 400, "batch"),
        (b'{"event": "Bought"}', {}, 400, "no batch of events"),
        (b'{"batch": [{"event": "\xff"}]}', {}, 400, "no batch of events"),
        (b'{"batch":' + b"[" * 100_000, {}, 400, "no JSON object"),
        (b'{"batch": []}', {"Content-Encoding": "gzip"}, 400, "no gzip"),
        (gzip.compress(b'{"batch": []}', mtime=0)[:-9], {"Content-Encoding": "gzip"}, 400, "breaks off"),
        (b'{"batch": []}', {"Content-Encoding": "br"}, 415, "send gzip"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_as_a_whole(own, content, headers, status, said):
    with own.client(basic(SERVER)) as client:
        answer = client.post("/v1/batch", content=content, headers=headers)
    assert answer.status_code == status
    assert said in answer.json()["errorDetails"]
    assert own.frames() == []


def test_a_single_call_is_one_event_however_its_body_is_made(own):
    with own.client(basic(SERVER)) as client:
        smuggled = client.post("/v1/track", content=b'{"userId": "u"}],"batch":[{"userId": "v"}')
    assert smuggled.status_code == 400
    assert own.frames() == []


def test_each_event_has_its_own_verdict_and_what_is_none_is_kept(own):
    batch = [
        BOUGHT,
        {"type": "track", "event": "Bought", "messageId": "no-unit"},
        "no object",
        BOUGHT | {"messageId": "large", "properties": {"pad": "x" * 33_000}},
        {"type": "track", "userId": "u1"},
        BOUGHT | {"messageId": "m6"},
    ]
    with own.client(basic(CLIENT)) as client:
        answer = client.post("/v1/batch", json={"batch": batch})
    assert answer.status_code == 200
    verdicts = answer.json()
    assert (verdicts["success"], verdicts["accepted"]) == (True, 2)
    assert [(one["index"], one["messageId"]) for one in verdicts["rejected"]] == [
        (1, "no-unit"),
        (2, None),
        (3, "large"),
        (4, None),
    ]
    assert all(one["reason"] for one in verdicts["rejected"])
    accepted, rejected = own.events()
    assert [one.message_id for one in accepted] == ["m1", "m6"]
    assert [(one.index, one.reason) for one in rejected] == [
        (one["index"], one["reason"]) for one in verdicts["rejected"]
    ]


def test_where_no_event_is_one_they_are_kept_all_the_same(own):
    with own.client(basic(CLIENT)) as client:
        answer = client.post("/v1/track", json={"userId": "u1"})
        assert (answer.status_code, answer.json()["accepted"]) == (200, 0)
        assert client.post("/v1/batch", json={"batch": []}).json() == {
            "success": True,
            "accepted": 0,
            "rejected": [],
        }
    assert len(own.frames()) == 1
    assert [one.reason for one in own.events()[1]] == ["event is missing: give the name of what happened"]


def test_a_wrong_clock_is_corrected_by_the_servers(own):
    """The client is ten minutes behind, and sent what happened a minute before."""
    behind = time.time() + own.clock.ahead - 600

    def written(seconds):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

    event = BOUGHT | {"timestamp": written(behind - 60)}
    with own.client(basic(SERVER)) as client:
        client.post("/v1/batch", json={"batch": [event], "sentAt": written(behind)})
    ((event,), _) = own.events()
    assert abs(event.time / 1e6 - (own.clock() - 60)) < 5
    assert abs(event.received_at / 1e6 - own.clock()) < 5


def test_no_answer_before_the_sync(own, monkeypatch):
    synced = threading.Event()

    def slowly(_):
        synced.wait(10)

    monkeypatch.setattr("upshot.events.segment.sync", slowly)
    with own.client(basic(SERVER)) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, "/v1/batch", json=BATCH)
        time.sleep(0.5)
        assert not answer.done()
        assert client.get("/healthz").status_code == 200, "others are answered meanwhile"
        synced.set()
        assert answer.result(10).status_code == 200


def test_where_the_disk_fails_nothing_is_answered_with_success(own, monkeypatch):
    def broken(_):
        raise OSError(5, "Input/output error")

    with own.client(basic(SERVER)) as client:
        with monkeypatch.context() as patched:
            patched.setattr("upshot.events.segment.sync", broken)
            refused = client.post("/v1/batch", json=BATCH)
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            assert str(own.data) not in refused.text, "paths are nobody's business"
            again = client.post("/v1/batch", json=BATCH)
            assert again.status_code == 503

            def degraded():  # between two failures the log tries to be well
                client.post("/v1/batch", json=BATCH)
                ready = client.get("/readyz")
                return (ready.status_code, ready.json()["status"]) == (200, "degraded")

            assert own.soon(degraded)
            asked = client.post("/ofrep/v1/evaluate/flags/plain", json={"context": {"targetingKey": "u"}})
            assert asked.json()["value"] is True, "flags are answered all the same"
        assert own.soon(lambda: client.post("/v1/batch", json=BATCH).status_code == 200)
        assert client.get("/readyz").json()["events"] == "accepted"


def test_a_full_queue_asks_to_come_again(start):
    with start(limits=Limits(queued_bytes=100)) as running, running.client(basic(SERVER)) as client:
        refused = client.post("/v1/batch", json=BATCH)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert client.get("/readyz").json()["status"] == "ready"


def test_a_source_may_send_so_many_events_a_second(start):
    with start(rate_limit=50.0) as running, running.client(basic(CLIENT)) as client:
        many = {"batch": [BOUGHT | {"messageId": f"m{number}"} for number in range(100)]}
        assert client.post("/v1/batch", json=many).status_code == 200
        refused = client.post("/v1/batch", json=BATCH)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] in ("1", "2")
        assert client.post("/v1/batch", json=BATCH, headers=basic(SERVER)).status_code == 200, (
            "another source"
        )
        time.sleep(1.2)
        assert client.post("/v1/batch", json=BATCH).status_code == 200
        assert sum(len(json.loads(frame.body)["batch"]) for frame in running.frames()) == 102


def test_the_browser_is_told_to_send_here(own):
    with own.client({}) as client:
        found = client.get(f"/v1/projects/{CLIENT}/settings")
        assert found.json() == {
            "integrations": {
                "Segment.io": {
                    "apiKey": CLIENT,
                    "apiHost": f"127.0.0.1:{own.address[1]}/v1",
                    "protocol": "http",
                }
            }
        }
        assert client.get("/v1/projects/some-other-key/settings").status_code == 404


def test_under_load_every_answer_is_in_the_log(own):
    def send(number):
        with own.client(basic(SERVER)) as client:
            for index in range(10):
                message = BOUGHT | {"messageId": f"{number}-{index}"}
                assert client.post("/v1/batch", json={"batch": [message]}).json()["accepted"] == 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))
    assert {one.message_id for one in own.events()[0]} == {f"{n}-{i}" for n in range(8) for i in range(10)}
