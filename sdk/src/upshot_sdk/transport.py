"""HTTP to the server, such that no fault of it can hold a thread for longer than was asked for.

The socket timeout of the standard library bounds one read; a server that drips a byte a second would hold a caller
for hours. Here a deadline bounds an exchange whole: connecting, sending, the head and the body of the answer.
"""

import base64
import io
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_BODY = 64 * 1024 * 1024
MAX_RETRY_AFTER = 300.0
IDLE = 40.0  # a stream says something every 15 s


class TransportError(Exception):
    """There is no answer: the server cannot be reached, is too slow, or breaks off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said.

    Attributes:
        status: of HTTP. body: whole. etag: of the body, or None.
        retry_after: seconds that the server asks to wait, at most 300; None if it does not.
    """

    status: int
    body: bytes = b""
    etag: str | None = None
    retry_after: float | None = None


class Server:
    """Where the server is and how to speak to it.

    Args:
        url: ``http://`` or ``https://`` with host, and with port and path prefix where there are any.
        key: the API key.
        ssl_context: None: the system's certificates.

    Raises:
        ValueError: the URL or the key cannot be one.
    """

    def __init__(self, url: str, key: str, ssl_context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url is {url!r}: give one that begins with http:// or https:// and a host")
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError(
                "key is empty or holds characters that no key has: give the key the server was given"
            )
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._ssl = ssl_context
        self._bearer = f"Bearer {key}"
        self._basic = "Basic " + base64.b64encode(f"{key}:".encode()).decode()

    def get_ruleset(self, etag: str | None, seconds: float) -> Answer:
        """The ruleset; status 304 without a body where it still has this ETag.

        Raises:
            TransportError: no whole answer within the time.
        """
        headers = {"Authorization": self._bearer, "Accept": "application/json"}
        if etag:
            headers["If-None-Match"] = etag
        return self._exchange("GET", "/v1/ruleset", headers, None, seconds)

    def post_batch(self, body: bytes, seconds: float) -> Answer:
        """Send events.

        Raises:
            TransportError: no whole answer within the time; the server may have the events all the same.
        """
        headers = {"Authorization": self._basic, "Content-Type": "application/json"}
        return self._exchange("POST", "/v1/batch", headers, body, seconds)

    def open_stream(self, seconds: float) -> "Stream":
        """The stream of revisions.

        Raises:
            TransportError: it cannot be had within the time.
        """
        headers = {"Authorization": self._bearer, "Accept": "text/event-stream"}
        with _told():
            connection, sock = self._send("GET", "/v1/ruleset/stream", headers, None, seconds)
            try:
                response = connection.getresponse()
            except BaseException:
                connection.close()
                raise
            if response.status == 200:
                return Stream(connection, response, sock)
            response.close()
            connection.close()
        raise TransportError(f"the stream answers {response.status}")

    def _exchange(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, seconds: float
    ) -> Answer:
        with _told():
            connection, _ = self._send(method, path, {**headers, "Connection": "close"}, body, seconds)
            try:
                with connection.getresponse() as response:
                    return Answer(
                        status=response.status,
                        body=_whole(response),
                        etag=response.headers.get("ETag"),
                        retry_after=_retry_after(response.headers.get("Retry-After")),
                    )
            finally:
                connection.close()

    def _send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, seconds: float
    ) -> tuple[HTTPConnection, "_Bounded"]:
        limit = _Limit(monotonic() + seconds)
        connection = self._connection(limit.remaining())
        try:
            connection.connect()
            connection.sock = bounded = _Bounded(connection.sock, limit)
            connection.request(method, self._prefix + path, body, headers)
        except BaseException:
            connection.close()
            raise
        return connection, bounded

    def _connection(self, seconds: float) -> HTTPConnection:
        if self._secure:
            if self._ssl is None:  # kept: reading the system's certificates costs more than a request
                self._ssl = ssl.create_default_context()
            return HTTPSConnection(self._host, self._port, timeout=seconds, context=self._ssl)
        return HTTPConnection(self._host, self._port, timeout=seconds)


class Stream:
    """Server-sent events, as (name, data). `abort` may be called from another thread."""

    def __init__(self, connection: HTTPConnection, response: HTTPResponse, sock: "_Bounded") -> None:
        self._connection, self._response, self._socket = connection, response, sock

    def events(self, until: float) -> Iterator[tuple[str, str]]:
        """Events until a monotonic time; each wait for the next line is bounded as well.

        Raises:
            TransportError: the stream breaks off, or is silent for longer than a living one is.
        """
        name, data = "message", ""
        with _told():
            while monotonic() < until:
                self._socket.limit.deadline = monotonic() + IDLE
                line = self._response.readline(65_536)
                if not line:
                    raise TransportError("the stream ended")
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                if not text and data:
                    yield name, data
                if not text:
                    name, data = "message", ""
                elif text.startswith("event:"):
                    name = text[6:].strip()
                elif text.startswith("data:"):
                    data += text[5:].strip()

    def abort(self) -> None:
        """Wake the thread that reads."""
        self._socket.abort()

    def abandon(self) -> None:
        """In a child that was forked: close its copy of the socket, which the parent goes on reading."""
        self._socket.abandon()

    def close(self) -> None:
        """Let go of the connection."""
        self._response.close()
        self._connection.close()


@dataclass(slots=True)
class _Limit:
    deadline: float

    def remaining(self) -> float:
        left = self.deadline - monotonic()
        if left <= 0:
            raise TimeoutError("the server took too long")
        return left


class _Bounded:
    """A socket for `http.client` of which every operation ends at the deadline."""

    def __init__(self, inner: socket.socket, limit: _Limit) -> None:
        self._inner, self.limit = inner, limit

    def sendall(self, data: bytes) -> None:
        self._inner.settimeout(self.limit.remaining())
        self._inner.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._inner, self.limit))

    def abort(self) -> None:
        with suppress(OSError):  # it is gone already, which is what was wanted
            self._inner.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        os.close(self._inner.detach())

    def close(self) -> None:
        self._inner.close()


class _Reader(io.RawIOBase):
    """What a bounded socket is read through; it keeps the socket open until it is closed itself."""

    def __init__(self, inner: socket.socket, limit: _Limit) -> None:
        self._inner, self._limit = inner, limit
        self._raw = inner.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        self._inner.settimeout(self._limit.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


@contextmanager
def _told() -> Iterator[None]:
    """Every way in which a connection fails, as one error with its reason."""
    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        raise TransportError(str(error) or type(error).__name__) from error


def _whole(response: HTTPResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := response.read1(65_536):
        size += len(part)
        if size > MAX_BODY:
            raise TransportError(f"the answer is larger than {MAX_BODY // 1024 // 1024} MB")
        parts.append(part)
    if response.length:
        raise TransportError(f"the answer broke off {response.length} bytes before its end")
    return b"".join(parts)


def _retry_after(value: str | None) -> float | None:
    """Seconds or an HTTP date; what is neither counts as absent."""
    if value is None:
        return None
    try:
        if value.strip().isdigit():
            seconds = float(value)
        else:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
