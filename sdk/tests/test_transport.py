import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from faults import FAULTS, certified, error_500, faulty, never_answers, refused, slow, slow_body, wrong_key

from upshot_sdk.transport import Server, TransportError

NO_ANSWER = [behave for behave in FAULTS if behave.__name__ in ("never_answers", "slow", "slow_body")]


@pytest.mark.parametrize("behave", NO_ANSWER, ids=lambda behave: behave.__name__)
def test_a_deadline_bounds_an_exchange_whole(behave):
    with faulty(behave) as url:
        began = time.monotonic()
        with pytest.raises(TransportError, match=r"timed out|took too long"):
            Server(url, "key").get_ruleset(None, 0.3)
        assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("name", ["garbage", "empty", "half_a_body", "half_a_chunk"])
def test_what_is_no_whole_answer_is_an_error(name):
    behave = next(behave for behave in FAULTS if behave.__name__ == name)
    with faulty(behave) as url, pytest.raises(TransportError):
        Server(url, "key").get_ruleset(None, 2.0)


def test_an_answer_that_is_none_of_ours_keeps_its_status():
    with faulty(error_500) as url:
        answer = Server(url, "key").get_ruleset(None, 2.0)
    assert (answer.status, answer.body) == (500, b"oops")
    with faulty(wrong_key) as url:
        assert Server(url, "key").post_batch(b"{}", 2.0).status == 401


def test_a_server_that_is_not_there_is_an_error():
    with pytest.raises(TransportError, match="refused"):
        Server(refused(), "key").get_ruleset(None, 2.0)


def test_a_certificate_that_nobody_knows_is_an_error_and_one_that_is_known_is_none():
    theirs, ours = certified()
    with faulty(error_500, theirs) as url:
        with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
            Server(url, "key").get_ruleset(None, 2.0)
        assert Server(url, "key", ours).get_ruleset(None, 2.0).status == 500


def test_the_systems_certificates_are_read_once_and_only_for_tls(monkeypatch):
    read = []
    create = ssl.create_default_context
    theirs, _ = certified()
    monkeypatch.setattr("ssl.create_default_context", lambda: read.append(1) or create())
    with faulty(error_500, theirs) as url:
        for scheme in ("http:", "https:"):
            server = Server(url.replace("https:", scheme), "key")
            for _ in range(2):
                with pytest.raises(TransportError):
                    server.get_ruleset(None, 2.0)
    assert len(read) == 1


def test_a_plain_server_asked_for_tls_is_an_error():
    with faulty(slow) as url, pytest.raises(TransportError):
        Server(url.replace("http:", "https:"), "key").get_ruleset(None, 0.5)


def test_tls_is_bounded_by_the_deadline_too():
    theirs, ours = certified()
    with faulty(slow_body, theirs) as url:
        began = time.monotonic()
        with pytest.raises(TransportError):
            Server(url, "key", ours).get_ruleset(None, 0.3)
        assert time.monotonic() - began < 1.0


def test_a_body_larger_than_any_ruleset_is_refused(monkeypatch):
    monkeypatch.setattr("upshot_sdk.transport.MAX_BODY", 1000)

    def huge(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000)

    with faulty(huge) as url, pytest.raises(TransportError, match="larger than"):
        Server(url, "key").get_ruleset(None, 2.0)


def answers_with(header):
    def behave(connection):
        connection.sendall(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n" + header + b"\r\n\r\n")

    return behave


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        (b"Retry-After: 7", 7, 7),
        (b"Retry-After: 86400", 300, 300),
        (b"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_is_bounded(header, low, high):
    with faulty(answers_with(header)) as url:
        assert low <= Server(url, "key").get_ruleset(None, 2.0).retry_after <= high


def test_retry_after_a_date_that_is_to_come():
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    with faulty(answers_with(f"Retry-After: {at}".encode())) as url:
        assert 30 <= Server(url, "key").get_ruleset(None, 2.0).retry_after <= 60


@pytest.mark.parametrize("header", [b"X: y", b"Retry-After: soon", b"Retry-After: 2099-01-01"])
def test_a_retry_after_that_cannot_be_read_counts_as_absent(header):
    with faulty(answers_with(header)) as url:
        assert Server(url, "key").get_ruleset(None, 2.0).retry_after is None


def test_a_stream_gives_its_events_and_ends_with_an_error():
    def stream(connection):
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
            b': hello\n\nevent: revision\ndata: {"revision":\ndata:  "2"}\n\nevent: other\n\ndata: last\n\n'
        )

    events = []
    with faulty(stream) as url:
        found = Server(url, "key").open_stream(2.0)
        with pytest.raises(TransportError, match="ended"):
            events.extend(found.events(time.monotonic() + 5))
        found.close()
    assert events == [("revision", '{"revision":"2"}'), ("message", "last")]


def test_a_silent_stream_is_an_error(monkeypatch):
    monkeypatch.setattr("upshot_sdk.transport.IDLE", 0.2)

    def silent(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n: hello\n\n")
        time.sleep(3)

    with faulty(silent) as url:
        stream = Server(url, "key").open_stream(2.0)
        with pytest.raises(TransportError, match="timed out"):
            next(stream.events(time.monotonic() + 5))
        stream.close()


def test_a_stream_that_is_aborted_wakes_its_reader():
    def silent(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        time.sleep(5)

    with faulty(silent) as url:
        stream = Server(url, "key").open_stream(2.0)
        threading.Timer(0.1, stream.abort).start()
        began = time.monotonic()
        with pytest.raises(TransportError):
            next(stream.events(time.monotonic() + 5))
        assert time.monotonic() - began < 2.0
        stream.abort()  # a second time does no harm
        stream.close()


def test_a_stream_that_is_refused_or_late_is_an_error():
    with faulty(wrong_key) as url, pytest.raises(TransportError, match="answers 401"):
        Server(url, "key").open_stream(2.0)
    with faulty(never_answers) as url, pytest.raises(TransportError):
        Server(url, "key").open_stream(0.2)


@pytest.mark.parametrize("url", ["localhost:8790", "", "ftp://host", "http://", "/path", "https:///x"])
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="give one that begins with http:// or https://"):
        Server(url, "key")


@pytest.mark.parametrize("key", ["", "a b", "k\r\nX: y", "schlüssel"])
def test_a_key_that_cannot_be_one_is_refused_and_not_shown(key):
    with pytest.raises(ValueError, match="give the key the server was given") as refusal:
        Server("http://localhost", key)
    assert not key or key not in str(refusal.value)


def test_a_path_prefix_is_kept():
    asked = []
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(65_536))
            connection.sendall(b"HTTP/1.1 304 X\r\n\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    Server(f"http://127.0.0.1:{listener.getsockname()[1]}/upshot/", "key").get_ruleset('"e"', 2.0)
    thread.join()
    listener.close()
    assert asked[0].startswith(b"GET /upshot/v1/ruleset HTTP/1.1")
    assert b'If-None-Match: "e"' in asked[0]
    assert b"Authorization: Bearer key" in asked[0]
