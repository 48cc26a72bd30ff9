"""Bodies too large, too slow, cut off; the head of a request likewise."""

import gzip
import json
import socket
import time
import tracemalloc

import httpx
import pytest

HEAD = (
    b"POST /ofrep/v1/evaluate/flags/plain HTTP/1.1\r\nHost: x\r\nX-API-Key: server-key-0123456789\r\n"
    b"Content-Type: application/json\r\n"
)
BODY = b'{"context": {"targetingKey": "user-1"}}'
PATH = "/ofrep/v1/evaluate/flags/plain"
MIB = 1024 * 1024


def padded(size):
    """A sound body of this many bytes."""
    start = b'{"context": {"targetingKey": "user-1", "padding": "'
    return start + b"x" * (size - len(start) - 3) + b'"}}'


def received(connection):
    """All that comes until the server closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def sent_before_refusal(connection, part, most):
    """How often a part could be sent before the server closed."""
    for number in range(most):
        try:
            connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            return number
    return most


def test_the_limit_is_64_kib(shared):
    with shared.client() as client:
        assert client.post(PATH, content=padded(64 * 1024)).status_code == 200
        assert client.post(PATH, content=padded(64 * 1024 + 1)).status_code == 413


def chunks(size):
    for _ in range(size // 65536):
        yield b"x" * 65536


@pytest.mark.parametrize("path", [PATH, "/ofrep/v1/evaluate/flags"])
@pytest.mark.parametrize("headers", [{"Content-Length": str(10 * MIB)}, {}], ids=["length", "chunked"])
def test_ten_megabytes_are_refused_without_being_kept(shared, path, headers):
    with shared.client() as client:
        client.post(path, content=BODY)
        tracemalloc.start()
        answer = client.post(path, content=chunks(10 * MIB), headers=headers)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answer.status_code == 413
    assert answer.json() == {"errorDetails": "the body is larger than 65,536 bytes: send less at a time"}
    assert answer.headers["connection"] == "close"
    assert peak < 3 * MIB


def test_who_asks_first_is_refused_before_sending(shared):
    with shared.connect() as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 10000000\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 413 ")


def test_who_asks_first_may_send_what_fits(shared):
    with shared.connect() as connection:
        connection.sendall(
            HEAD + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(BODY)
        assert received(connection).startswith(b"HTTP/1.1 200 ")


def test_without_end_it_is_refused_all_the_same(shared, monkeypatch):
    monkeypatch.setattr("upshot.doors.web.body._DISCARDED", MIB)
    with shared.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        assert sent_before_refusal(connection, chunk, 1_600) < 320


def test_a_slow_body_is_given_up_and_holds_up_nobody(shared, monkeypatch):
    monkeypatch.setattr("upshot.doors.web.body.PATIENCE", 0.5)
    with shared.connect() as slow, shared.client() as client:
        slow.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + BODY[:5])
        began = time.monotonic()
        assert client.post(PATH, content=BODY).status_code == 200
        assert time.monotonic() - began < 0.4
        answer = received(slow)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert 0.4 < time.monotonic() - began < 2


def test_a_body_that_comes_in_pieces_is_one(shared):
    with shared.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY))
        for byte in BODY:
            connection.sendall(bytes([byte]))
        assert received(connection).startswith(b"HTTP/1.1 200 ")


def test_half_a_body_leaves_nothing_behind(own, caplog):
    with own.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + BODY[:5])
        time.sleep(0.1)
    assert own.forgot_all_requests()
    assert "Traceback" not in caplog.text


def test_who_is_still_sending_does_not_hold_up_the_end(own, caplog):
    with own.connect() as connection, own.client() as client:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + BODY[:5])
        assert client.get("/healthz").status_code == 200
        assert own.stop() < 1
        assert received(connection) == b""
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("sent", [b"", b"POST /ofrep/v1/eval", HEAD])
def test_a_head_that_does_not_come_is_given_up(start, monkeypatch, sent):
    monkeypatch.setattr("upshot.doors.web.server._HEAD_TIME", 0.5)
    with start() as running, running.connect() as connection:
        connection.sendall(sent)
        began = time.monotonic()
        assert received(connection) == b""
        assert 0.4 < time.monotonic() - began < 2


def test_a_head_without_end_is_given_up(shared):
    with shared.connect() as connection:
        connection.sendall(HEAD)
        assert sent_before_refusal(connection, b"X-Padding: %s\r\n" % (b"x" * 1000), 100_000) < 50_000


def test_the_time_for_a_head_does_not_run_while_a_connection_rests(start, monkeypatch):
    monkeypatch.setattr("upshot.doors.web.server._HEAD_TIME", 0.3)
    with start() as running, running.client() as client:
        for _ in range(3):
            assert client.post(PATH, content=BODY).status_code == 200
            time.sleep(0.4)


def test_many_requests_on_one_connection_may_have_long_heads_in_all(shared):
    with shared.client({"X-API-Key": "server-key-0123456789", "X-Padding": "x" * 5_000}) as client:
        assert all(client.post(PATH, content=BODY).status_code == 200 for _ in range(40))


def test_nonsense_is_told_from_http(shared):
    with shared.connect() as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no HTTP\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 400 ")
    assert httpx.get(f"{shared.url}/healthz", trust_env=False).status_code == 200


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_half_a_character_spoils_neither_its_event_nor_those_beside_it(own, coding):
    """As `text.slice(0, 5)` makes it in a page whose visitor typed an emoji."""
    typed = [rb"caf\u00e9\ud83d", rb"\ud83d\ude00", rb"C:\\\\ud83d"]
    events = [
        b'{"type":"track","event":"Typed","userId":"u","properties":{"q":"%s"}}' % text for text in typed
    ]
    body = b'{"batch":[%s]}' % b",".join(events)
    with own.client({"X-API-Key": "client-key-0123456789"}) as client:
        content = gzip.compress(body) if coding == "gzip" else body
        answer = client.post("/v1/batch", content=content, headers={"Content-Encoding": coding})
    assert answer.json() == {"success": True, "accepted": 3, "rejected": []}
    accepted, _ = own.events()
    assert [json.loads(one.properties)["q"] for one in accepted] == ["café\ufffd", "😀", r"C:\\ud83d"]
