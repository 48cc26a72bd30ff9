"""A server for the SDK's tests: real sockets, and exactly the part of HTTP that the client uses."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

import pytest

HEARTBEAT = 0.5


class RulesetServer:
    """Serves one ruleset with ETag and stream, and records what is sent to `/v1/batch`.

    Attributes:
        key: the API key that it takes. batches: bodies of accepted batches, parsed.
        requests: (method, path, status) of all that was asked.
    """

    def __init__(self, payload=None, key="server-key"):
        self.key, self.batches, self.requests = key, [], []
        self._failure, self._body, self._revision, self._streams = None, None, None, 0
        self._changed = threading.Condition()
        self._http, self._thread, self._port = None, None, 0
        if payload is not None:
            self.publish(payload)
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}"

    @property
    def messages(self):
        """All messages of all batches, in the order of their arrival."""
        return [message for batch in list(self.batches) for message in batch["batch"]]

    def tracked(self, event):
        """Messages of a track event."""
        return [message for message in self.messages if message.get("event") == event]

    def publish(self, payload):
        """Serve another ruleset from now on; a str is served as it is."""
        text = payload if isinstance(payload, str) else json.dumps(payload)
        with self._changed:
            self._body = text.encode()
            self._revision = self._etag() if isinstance(payload, str) else payload["revision"]
            self._changed.notify_all()

    def fail(self, status=500):
        """Answer everything with this status, and break off the streams."""
        with self._changed:
            self._failure = status
            self._changed.notify_all()

    def mend(self):
        with self._changed:
            self._failure = None

    def start(self):
        """Listen, on the port of before if there is one."""
        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._http.daemon_threads = True
        self._port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self):
        """Refuse connections, and break off the streams."""
        if self._http is None:
            return
        http, self._http = self._http, None
        with self._changed:
            self._changed.notify_all()
        http.shutdown()
        http.server_close()
        self._thread.join()

    def wait_for(self, condition, seconds=5.0):
        """Until the condition holds, which is looked at often; whether it does."""
        until = monotonic() + seconds
        while not (found := condition()) and monotonic() < until:
            threading.Event().wait(0.01)
        return bool(found)

    @property
    def streams(self):
        """How many streams are open."""
        return self._streams

    def _etag(self):
        return f'"{hashlib.sha256(self._body).hexdigest()[:16]}"'

    def _stream(self, write):
        sent, http = None, self._http
        while True:
            with self._changed:
                if self._failure or self._http is not http:
                    return
                if self._revision == sent:
                    self._changed.wait(HEARTBEAT)
                revision = self._revision
            if revision == sent:
                write(b": still here\n\n")
            else:
                write(b"event: revision\ndata: " + json.dumps({"revision": revision}).encode() + b"\n\n")
            sent = revision


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def do_GET(self):
            if not self._allowed(f"Bearer {server.key}"):
                return
            if self.path == "/v1/ruleset/stream":
                self._stream()
            elif self.path != "/v1/ruleset" or server._body is None:
                self._answer(404)
            elif self.headers.get("If-None-Match") == server._etag():
                self._answer(304, b"", ETag=server._etag())
            else:
                self._answer(200, server._body, ETag=server._etag())

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not self._allowed("Basic " + base64.b64encode(f"{server.key}:".encode()).decode()):
                return
            if self.path != "/v1/batch":
                self._answer(404)
                return
            server.batches.append(json.loads(body))
            self._answer(200, b'{"success": true}')

        def _allowed(self, authorization):
            if server._failure:
                self._answer(server._failure)
            elif self.headers.get("Authorization") != authorization:
                self._answer(401)
            else:
                return True
            return False

        def _answer(self, status, body=b"", **headers):
            server.requests.append((self.command, self.path, status))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self):
            server.requests.append((self.command, self.path, 200))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            server._streams += 1
            with suppress(OSError):  # the client went away
                server._stream(self.wfile.write)
            server._streams -= 1

    return Handler


@contextmanager
def _servers():
    started = []

    def start(payload=None, key="server-key"):
        started.append(RulesetServer(payload, key))
        return started[-1]

    try:
        yield start
    finally:
        for server in started:
            server.stop()


@pytest.fixture
def serve():
    """Start a `RulesetServer` with a payload; all are stopped at the end."""
    with _servers() as start:
        yield start


@pytest.fixture(scope="module")
def ruleset_server():
    """`serve` for a whole module."""
    with _servers() as start:
        yield start
