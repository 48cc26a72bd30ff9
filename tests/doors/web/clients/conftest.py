"""`upshot serve` as a process of its own, over files that tests edit; and what is needed to ask it from elsewhere."""

import json
import mimetypes
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from upshot.events.frame import Frame, decode
from upshot.events.message import read_batch

HERE = Path(__file__).parent
NODE = Path(__file__).parents[3] / "node"
SERVER_KEY, CLIENT_KEY = "server-key-of-the-tests", "client-key-of-the-tests"


class Served:
    """A running `upshot serve` with its folder of flags, and one of its own for events."""

    server_key, client_key = SERVER_KEY, CLIENT_KEY

    def __init__(self, folder, **environment):
        self.folder, self.data = folder, folder.with_name(f"{folder.name}-data")
        keys = {"UPSHOT_SERVER_KEY": SERVER_KEY, "UPSHOT_CLIENT_KEY": CLIENT_KEY}
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "upshot", "serve", "--port", "0", "--json", "--compact-every", "0"),
                *("--flags", str(folder), "--data", str(self.data)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | keys | environment,
        )
        line = self._process.stdout.readline()
        if not line:
            self.close()
            pytest.fail(f"upshot serve did not start: it ended with {self._process.returncode}")
        self.url = json.loads(line)["url"]

    def edit(self, name, text):
        """Write a file of flags as an editor does, whole and at once, and wait until it is in force."""
        before = self._revision()
        written = self.folder / f".{name}.new"
        written.write_text(text, encoding="utf-8")
        written.replace(self.folder / f"{name}.yaml")
        until = time.monotonic() + 10
        while self._revision() == before:
            assert time.monotonic() < until, "the edit never came into force"
            time.sleep(0.05)

    def answer(self, flag, **context):
        """What the server itself answers to a browser's question."""
        request = urllib.request.Request(
            f"{self.url}/ofrep/v1/evaluate/flags/{flag}",
            json.dumps({"context": context}).encode(),
            {"Authorization": f"Bearer {CLIENT_KEY}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def events(self):
        """The events that have come, once each, in the order in which they came."""
        frames = [
            item
            for path in sorted((self.data / "log").iterdir())
            for item in decode(path.read_bytes())
            if isinstance(item, Frame)  # else it is being written
        ]
        pairs = [read_batch(frame) for frame in frames]
        assert [rejections for _, rejections in pairs if rejections] == []
        return list({event.message_id: event for events, _ in pairs for event in events}.values())

    @contextmanager
    def new_events(self, count, patience=30.0):
        """A list that at the end holds the events that came meanwhile; waits until they are so many."""
        before = {event.message_id for event in self.events()}
        found = []
        yield found
        until = time.monotonic() + patience
        while len(found) < count:
            assert time.monotonic() < until, f"only {len(found)} of {count} events came"
            time.sleep(0.05)
            found[:] = [event for event in self.events() if event.message_id not in before]

    def _revision(self):
        with urllib.request.urlopen(f"{self.url}/readyz", timeout=10) as answer:
            return json.load(answer)["revision"]

    def close(self):
        self._process.terminate()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory):
    """Start a server over a folder of its own, with more in its environment."""
    servers = []

    def start(**environment):
        folder = tmp_path_factory.mktemp("served") / "flags"
        folder.mkdir()
        shutil.copy(HERE / "flags.yaml", folder)
        servers.append(Served(folder, **environment))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def served(serve):
    """One server for all tests with real clients."""
    return serve()


@pytest.fixture(scope="session")
def clients():
    """The folder with OpenFeature's JavaScript clients."""
    if not (NODE / "node_modules" / "@openfeature").exists():
        pytest.skip("OpenFeature's JavaScript clients are missing: run `npm ci` in tests/node")
    return NODE


@pytest.fixture(scope="session")
def node(clients):
    """Run a script of tests/node, which prints what it found as JSON."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node is missing: it runs OpenFeature's JavaScript clients")

    def run(script, **about):
        command = [program, script, json.dumps(about)]
        done = subprocess.run(command, cwd=clients, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr[-2_000:]
        return json.loads(done.stdout)

    return run


@pytest.fixture(
    scope="module"
)  # not longer: while it drives a browser, this thread can run no other event loop
def chromium():
    """The system's Chromium, without a window."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is missing: these need a real browser")
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is missing: it drives Chromium")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Site:
    """A web site of its own origin, which hands on to `upshot serve` what is not its own, and keeps events.

    Attributes:
        pages: path -> HTML. files: a folder that it serves below ``/files/``.
        batches: the bodies that came to ``/v1/batch``. asked: (path, status) of what was handed on.
        status: what ``/v1/batch`` is answered with.
    """

    def __init__(self, behind, files=None):
        self.pages, self.files, self.behind = {}, files, behind
        self.batches, self.asked, self.status = [], [], 200
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                site.answer(self)

            def do_POST(self):
                site.answer(self)

            def do_OPTIONS(self):
                site.answer(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,)).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    @property
    def messages(self):
        """Each message once, as the server will count them, in the order in which they came."""
        came = {message["messageId"]: message for batch in self.batches for message in batch["batch"]}
        return list(came.values())

    def wait_for(self, events, patience=10.0):
        """Wait until so many messages have come; they."""
        until = time.monotonic() + patience
        while len(self.messages) < events:
            assert time.monotonic() < until, f"only {len(self.messages)} of {events} messages came"
            time.sleep(0.01)
        return self.messages

    def answer(self, request):
        path = request.path.partition("?")[0]
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        if path in self.pages:
            self._send(request, 200, self.pages[path].encode(), {"Content-Type": "text/html"})
        elif path.startswith("/files/") and self.files:
            self._file(request, path)
        elif path == "/v1/batch":
            self._keep(request, body)
        else:
            self._hand_on(request, body)

    def _keep(self, request, body):
        """Events as the platform takes them: text/plain too, from any origin, without a preflight."""
        assert request.command == "POST", "a preflight was needed"
        self.batches.append(json.loads(body) | {"answered": self.status})
        self._send(request, self.status, b'{"success":true}', {"Access-Control-Allow-Origin": "*"})

    def _hand_on(self, request, body):
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("host", "connection")
        }
        onward = urllib.request.Request(
            self.behind + request.path, body or None, headers, method=request.command
        )
        try:
            answer = urllib.request.urlopen(onward, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            self.asked.append((request.path, answer.status))
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() not in ("connection", "content-length", "date", "server", "transfer-encoding")
            }
            self._send(request, answer.status, answer.read(), kept)

    def _file(self, request, path):
        content = (self.files / path.removeprefix("/files/")).read_bytes()
        self._send(request, 200, content, {"Content-Type": mimetypes.guess_type(path)[0] or "text/plain"})

    def _send(self, request, status, body, headers):
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if status != 304:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if status != 304:
            request.wfile.write(body)


@pytest.fixture
def site(served):
    """A web site with `upshot serve` behind it."""
    site = Site(served.url, files=NODE)
    yield site
    site.close()
