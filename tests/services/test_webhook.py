"""Real sockets: what a receiver gets, and what a hostile one cannot make of it."""

import json
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from upshot.errors import InputError, UnavailableError
from upshot.services import webhook
from upshot.services.addresses import ForbiddenAddressError, read_allowed
from upshot.services.webhook import PREFIX, post, read_secret, read_target, signed

LOCAL = read_allowed(["127.0.0.1"])


@contextmanager
def receiving(status=200, headers=(), context=None):
    """A server that answers each request so; gives its port and the requests that it got."""
    requests = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, dict(self.headers), body))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1], requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(port, path="/hook?team=1", scheme="http", allowed=LOCAL, headers=None):
    post(read_target(f"{scheme}://127.0.0.1:{port}{path}"), b'{"a": 1}', headers or {}, allowed)


def test_it_arrives_as_it_was_sent():
    with receiving() as (port, requests):
        send(port, headers={"webhook-id": "m1"})
    ((path, headers, body),) = requests
    assert (path, body) == ("/hook?team=1", b'{"a": 1}')
    assert (headers["Host"], headers["webhook-id"]) == (f"127.0.0.1:{port}", "m1")
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("plain", [False, True])
def test_the_signature_is_what_the_standards_own_library_demands(plain):
    text = "a-secret-of-my-shop" if plain else f"{PREFIX}YS1zZWNyZXQtb2YtbXktc2hvcA=="
    secret = read_secret(text)
    body, now = json.dumps({"type": "alert.opened"}).encode(), int(datetime.now(UTC).timestamp())
    headers = signed(secret, "m1", now, body)
    receiver = Webhook(secret)
    assert receiver.verify(body, headers) == {"type": "alert.opened"}
    with pytest.raises(WebhookVerificationError):
        receiver.verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(body, headers | {"webhook-timestamp": str(now - 1)})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(status):
    with (
        receiving() as (inner, reached),
        receiving(status, [("Location", f"http://127.0.0.1:{inner}/")]) as (port, _),
        pytest.raises(UnavailableError, match=f"sends on to somewhere else \\({status}\\)"),
    ):
        send(port)
    assert reached == []


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503])
def test_what_is_not_taken_is_told(status):
    with (
        receiving(status) as (port, _),
        pytest.raises(UnavailableError, match=f"127.0.0.1 refuses \\({status}\\)"),
    ):
        send(port)


def test_an_inner_address_gets_no_connection():
    with receiving() as (port, requests):
        for host in ("127.0.0.1", "2130706433", "localhost", "[::ffff:127.0.0.1]", "0x7f.1"):
            with pytest.raises(ForbiddenAddressError):
                post(read_target(f"http://{host}:{port}/"), b"{}", {}, read_allowed([]))
    assert requests == []


def test_a_name_that_resolves_otherwise_a_moment_later_is_reached_where_it_was_looked_at(monkeypatch):
    """Rebinding: the second answer of the name server would be an inner address."""
    with receiving() as (looked_at, requests), receiving() as (_, reached):
        names = []

        def getaddrinfo(host, port, *_, **__):
            if host != "hooks.example":
                return real(host, port, *_, **__)
            names.append(host)
            address = "127.0.0.1" if len(names) == 1 else "127.0.0.2"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        post(read_target(f"http://hooks.example:{looked_at}/"), b"{}", {}, LOCAL)
    assert (len(names), len(requests), reached) == (1, 1, [])
    assert requests[0][1]["Host"] == f"hooks.example:{looked_at}"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 Oh\r\n"])
def test_a_server_that_never_ends_its_answer_is_cut_off(monkeypatch, answer):
    monkeypatch.setattr(webhook, "TIME", 0.5)
    stop = threading.Event()

    def dribble(listening):
        connection, _ = listening.accept()
        with connection:
            connection.sendall(answer)
            while not stop.wait(0.1):
                with suppress(OSError):
                    connection.sendall(b"x" if answer else b"")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=dribble, args=[listening])
        thread.start()
        began = time.monotonic()
        with pytest.raises(UnavailableError, match=r"does not answer|refuses"):
            send(listening.getsockname()[1])
        assert time.monotonic() - began < 5
        stop.set()
        thread.join()


def test_nobody_there_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1 does not answer"):
        send(port)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    place = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", place / "key", "-out", place / "certificate"],
        check=True, capture_output=True,
    )  # fmt: skip
    return place


def test_https_checks_whom_it_speaks_to(certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "certificate", certificate / "key")
    with receiving(context=context) as (port, requests):
        with pytest.raises(UnavailableError, match="certificate verify failed"):
            send(port, scheme="https")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "certificate"))
        send(port, scheme="https")
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://hooks.example/secret", "the address ftp://hooks.example/… is not one of a webhook"),
        ("https:///secret", "is not one of a webhook"),
        ("https://ann:pw@hooks.example/", "holds a user: leave it out"),
        ("https://hooks.example:99999/", "cannot be read"),
        ("https://hooks.example/a b", "holds a blank"),
        ("https://[::1/", "cannot be read"),
    ],
)
def test_what_is_no_address(url, told):
    with pytest.raises(InputError, match=told) as raised:
        read_target(url)
    assert not any(secret in str(raised.value) for secret in ("secret", "pw"))


def test_no_address_brings_a_line_into_the_request():
    assert read_target("https://hooks.example/a\r\nX:y").path == "/aX:y"


@pytest.mark.parametrize("text", ["short", f"{PREFIX}!!!", f"{PREFIX}YQ=="])
def test_what_is_no_secret(text):
    with pytest.raises(InputError, match="UPSHOT_ALERT_SECRET"):
        read_secret(text)
