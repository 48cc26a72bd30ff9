import itertools
import json
import time

import pytest
from faults import faulty, never_answers, refused

from upshot_sdk import delivery
from upshot_sdk.delivery import Delivery
from upshot_sdk.transport import Server

KEY = "server-key"


@pytest.fixture
def deliver(tmp_path):
    """Start a delivery to a URL; all are closed at the end."""
    started = []

    def start(url, directory=tmp_path, process=None, request_timeout=1.0):
        name = process or f"process-{len(started)}"
        started.append(Delivery(Server(url, KEY), directory, name, request_timeout))
        return started[-1]

    yield start
    for one in started:
        one.close(0.2)


def message(number):
    return json.dumps({"type": "track", "n": number}).encode()


def numbers(server):
    return sorted(one["n"] for one in server.messages)


def test_what_is_put_arrives_without_being_asked_for(serve, deliver):
    server = serve()
    out = deliver(server.url)
    for number in range(100):
        assert out.put(message(number))
    assert server.wait_for(lambda: len(server.messages) == 100)
    assert numbers(server) == list(range(100))
    assert len(server.batches) < 5


def test_flush_says_whether_the_server_has_it(serve, deliver):
    server = serve()
    out = deliver(server.url)
    out.put(message(1))
    assert out.flush(5.0)
    assert numbers(server) == [1]
    server.fail(503)
    out.put(message(2))
    assert not out.flush(0.3)


def test_each_outage_is_told_once(serve, deliver, caplog):
    server = serve()
    out = deliver(server.url)
    for outage in (1, 2):
        server.fail(503)
        out.put(message(outage))
        assert not out.flush(0.3)
        assert not out.flush(0.3)
        server.mend()
        assert out.flush(5.0)
        assert [record.getMessage() for record in caplog.records] == [
            "Upshot: the server does not take events (it answers 503): they wait"
        ] * outage


@pytest.mark.parametrize("in_memory", [False, True])
def test_an_outage_loses_nothing(serve, deliver, tmp_path, in_memory):
    server = serve()
    out = deliver(server.url, None if in_memory else tmp_path)
    server.stop()
    for number in range(3000):  # what 1,500 a second are in two seconds
        assert out.put(message(number))
    time.sleep(0.3)
    server.start()
    assert server.wait_for(lambda: len(set(numbers(server))) == 3000, 10)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_what_may_go_away_is_waited_for(serve, deliver, status, monkeypatch):
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.05)
    server = serve()
    server.fail(status)
    out = deliver(server.url)
    out.put(message(1))
    assert not out.flush(0.3)
    server.mend()
    assert server.wait_for(lambda: numbers(server) == [1])


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_refused_for_good_does_not_hold_up_the_rest(serve, deliver, status, tmp_path, caplog):
    server = serve()
    server.fail(status)
    out = deliver(server.url)
    out.put(message(1))
    assert out.flush(5.0)
    server.mend()
    out.put(message(2))
    assert out.flush(5.0)
    assert numbers(server) == [2]
    assert [path.read_bytes() for path in tmp_path.rglob("*.set-aside")] == [message(1) + b"\n"]
    assert "set aside" in caplog.text


def test_events_that_the_server_cannot_use_are_told_once(deliver, caplog):
    verdicts = b'{"success": true, "rejected": [{"index": 0, "reason": "the event has no name"}]}'

    def picky(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(verdicts), verdicts))

    with faulty(picky) as url:
        out = deliver(url)
        for number in range(2):
            out.put(message(number))
            assert out.flush(5.0)
    assert caplog.text.count("the server rejects an event: the event has no name") == 1


def test_what_a_server_asks_to_wait_is_waited(deliver):
    asked = []

    def busy(connection):
        asked.append(time.monotonic())
        connection.sendall(b"HTTP/1.1 503 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")

    with faulty(busy) as url:
        out = deliver(url)
        out.put(message(1))
        time.sleep(2.5)
        out.close(0.1)
    pauses = [later - sooner for sooner, later in itertools.pairwise(asked)]
    assert pauses[0] > 0.95


@pytest.mark.parametrize("behave", [None, never_answers], ids=["refused", "never_answers"])
def test_closing_ends_in_time_and_the_next_process_sends_what_is_left(serve, deliver, behave, tmp_path):
    def leave(url):
        out = deliver(url, process="first", request_timeout=5.0)
        for number in range(50):
            out.put(message(number))
        began = time.monotonic()
        assert not out.close(1.0)
        assert time.monotonic() - began < 3.0

    if behave is None:
        leave(refused())
    else:
        with faulty(behave) as url:
            leave(url)
            time.sleep(0.1)
    server = serve()
    for left in (tmp_path / "spool").glob("*.lock"):  # the process is gone, and with it its hold
        left.unlink()
        left.touch()
    deliver(server.url)
    assert server.wait_for(lambda: set(numbers(server)) == set(range(50)))


def test_closing_sends_what_is_left(serve, deliver):
    server = serve()
    out = deliver(server.url)
    out.put(message(1))
    assert out.close(5.0)
    assert numbers(server) == [1]


def test_memory_is_bounded_and_says_what_it_loses(deliver, monkeypatch, caplog):
    monkeypatch.setattr(delivery, "MAX_QUEUED", 10)
    monkeypatch.setattr(delivery, "WRITE_EVERY", 60.0)
    out = deliver(refused())
    assert [out.put(message(number)) for number in range(12)] == [True] * 10 + [False] * 2
    assert "events are lost" in caplog.text


def test_a_spool_that_is_full_loses_and_says_so(deliver, monkeypatch, caplog):
    monkeypatch.setattr(delivery, "MAX_SPOOLED", 100)
    out = deliver(refused())
    for number in range(50):
        out.put(message(number))
    out.flush(0.1)
    assert "as many events wait for the server as may wait" in caplog.text


def test_a_disk_that_fails_is_replaced_by_memory(serve, deliver, monkeypatch, caplog):
    server = serve()
    out = deliver(server.url)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(out._disk, "append", full)
    out.put(message(1))
    assert out.flush(5.0)
    assert numbers(server) == [1]
    assert "No space left on device" in caplog.text


def test_a_spool_that_cannot_be_made_is_replaced_by_memory(serve, deliver, tmp_path, caplog):
    (tmp_path / "spool").touch()
    server = serve()
    out = deliver(server.url)
    out.put(message(1))
    assert out.flush(5.0)
    assert numbers(server) == [1]
    assert "in memory only" in caplog.text
