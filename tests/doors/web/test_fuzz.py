"""Bodies, headers and paths by chance against `upshot serve`: no answer blames the server, and it does not grow.

`pytest -m slow tests/doors/web/test_fuzz.py` sends 100,000; the suite sends a few hundred.
"""

import gzip
import http.client
import json
import os
import subprocess
import sys
import time
import zlib
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

KEYS = {"UPSHOT_SERVER_KEY": "server-key-0123456789", "UPSHOT_CLIENT_KEY": "client-key-0123456789"}
SERVER, CLIENT = KEYS.values()
FLAGS = """\
flags:
  checkout:
    variants: {control: a, treatment: b}
    rules:
      - id: everybody
        experiment: {id: EXP-2026-001, split: {control: 1, treatment: 1}, attributes: [x]}
"""
CALLS = ["batch", "track", "identify", "page", "screen", "group", "alias", "b", "t", "i", "p", "s", "g", "a"]
PATHS = [f"/v1/{name}" for name in CALLS] + ["/batch", "/t", "/v1/projects/x/settings", "/healthz", "/readyz"]
PATHS += ["/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/checkout", "/v1/ruleset", "/upshot.js"]
GROWTH = 24 << 20  # bytes; a response that leaked would be far beyond

ids = st.none() | st.integers() | st.text(max_size=10) | st.booleans() | st.floats()
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
times = st.datetimes().map(lambda at: at.isoformat() + "Z") | plain
sound = st.fixed_dictionaries({"userId": st.text(min_size=1, max_size=10), "event": st.just("Bought")})
events = st.fixed_dictionaries(
    {
        "type": st.sampled_from([*CALLS[1:7], "buy", None]),
        "event": st.just("Bought") | values,
        "userId": st.text(min_size=1, max_size=10) | ids,
    },
    optional={
        "name": values,
        "anonymousId": ids,
        "groupId": ids,
        "previousId": ids,
        "messageId": ids,
        "timestamp": times,
        "sentAt": times,
        "properties": values,
        "traits": values,
        "context": values,
        "integrations": values,
    },
)
batches = st.fixed_dictionaries(
    {},
    optional={
        "batch": st.lists(sound.map(lambda event: event | {"type": "track"}) | events | values, max_size=5),
        "sentAt": times,
        "type": values,
        "context": values,
        "writeKey": st.sampled_from([SERVER, CLIENT, 7, None]),
    },
)
contexts = st.fixed_dictionaries(
    {"context": st.fixed_dictionaries({}, optional={"targetingKey": ids, "x": values})}
)
objects = (batches | sound | events | contexts | values).map(lambda value: json.dumps(value).encode())


@st.composite
def spoilt(draw):
    """JSON with a piece of it replaced by bytes."""
    text = draw(objects)
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(st.binary(max_size=6)) + text[start + draw(st.integers(0, 6)) :]


bodies = st.one_of(
    objects,
    spoilt(),
    st.binary(max_size=300),
    st.sampled_from([b"[" * 5_000, b'{"a":' * 5_000, b"x" * 600_000, gzip.compress(bytes(5_000_000))]),
)
codings = st.sampled_from(["", "", "", "gzip", "gzip", "GZIP ", "identity", "br", "deflate", "gzip, gzip"])
authorizations = st.sampled_from(
    [f"Bearer {SERVER}"] * 4
    + [
        f"Bearer {SERVER}",
        f"Bearer {CLIENT}",
        "Basic " + b64encode(f"{CLIENT}:".encode()).decode(),
        "Basic ?",
        "",
    ]
) | st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)


@st.composite
def requests(draw):
    body, coding = draw(bodies), draw(codings)
    if "gzip" in coding.lower() and draw(st.integers(0, 3)):
        body = gzip.compress(body, 1)[: draw(st.sampled_from([None, None, None, 12]))]
    elif coding == "deflate":
        body = zlib.compress(body)
    headers = {"Authorization": draw(authorizations), "Content-Encoding": coding} | draw(
        st.dictionaries(
            st.sampled_from(
                ["Content-Type", "X-API-Key", "If-None-Match", "Origin", "X-Retry-Count", "Accept"]
            ),
            st.text(
                st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20
            ),
            max_size=2,
        )
    )
    headers = {name: value.strip().encode("latin-1") for name, value in headers.items() if value.strip()}
    method = draw(st.sampled_from(["POST"] * 6 + ["GET", "PUT", "HEAD", "OPTIONS", "DELETE"]))
    path = draw(
        st.sampled_from(PATHS)
        | st.sampled_from(PATHS[:9])
        | st.sampled_from(PATHS[:2])
        | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map(
            lambda text: "/" + text
        )
    )
    return method, path, body, headers


class Server:
    """A running server, asked over one connection for as long as it is kept."""

    def __init__(self, process, address):
        self.process, self.asked = process, 0
        self._connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)

    def ask(self, method, path, body, headers):
        self._connection.request(method, path, body, headers)
        with self._connection.getresponse() as answer:
            content = answer.read()
        self.asked += 1
        return answer, content

    def memory(self):
        """Bytes that are resident."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def settle(self):
        """Wait until what a server loads after its start, beside its answers, is there."""
        until, before = time.monotonic() + 90, 0
        while (now := self.cpu()) - before > 0.1 and time.monotonic() < until:
            before = now
            time.sleep(3)

    def cpu(self):
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self._connection.close()


@contextmanager
def served(directory):
    (directory / "flags").mkdir()
    (directory / "flags" / "flags.yaml").write_text(FLAGS, encoding="utf-8")
    command = [sys.executable, "-m", "upshot", "serve", "--flags", "flags", "--port", "0", "--json"]
    command += ["--compact-every", "0"]
    with subprocess.Popen(
        command,
        cwd=directory,
        env=os.environ | KEYS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        server = Server(process, json.loads(process.stdout.readline())["url"])
        try:
            server.settle()
            yield server
        finally:
            server.close()
            process.terminate()
            logged = process.communicate()[1]
    assert "Traceback" not in logged, logged[-3_000:]


def judge(answer, content, method):
    """What every answer must be."""
    assert answer.status < 500, content
    if (
        method == "HEAD"
        or answer.status in (204, 304)
        or answer.headers.get_content_type() != "application/json"
    ):
        return
    said = json.loads(content)
    if answer.status == 200 and "accepted" in said:
        assert said["success"] is True
        assert all(one["reason"] for one in said["rejected"])
    elif answer.status >= 400:
        assert "errorDetails" in said or "errorCode" in said


def attack(server, examples):
    """Send so many requests by chance; the bytes by which the server grew over all but the first tenth."""
    before = 0

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests())
    def send(request):
        nonlocal before
        method, path, body, headers = request
        judge(*server.ask(method, path, body, headers), method)
        if server.asked == examples // 10:
            before = server.memory()

    send()
    return server.memory() - before


def test_a_few_hundred_requests_by_chance(tmp_path):
    with served(tmp_path) as server:
        assert attack(server, 300) < GROWTH
        answer, _ = server.ask("GET", "/readyz", None, {})
        assert answer.status == 200


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_a_hundred_thousand_requests_by_chance(tmp_path):
    with served(tmp_path) as server:
        assert attack(server, 100_000) < GROWTH
        assert server.ask("GET", "/readyz", None, {})[0].status == 200
