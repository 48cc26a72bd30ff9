"""Flags in any WSGI application: ``environ["upshot.flags"]`` holds those of the request's visitor.

app = FlagsMiddleware(app, Client(url, key), user=lambda environ: environ.get("REMOTE_USER"))
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from upshot_sdk.identity import UnitCookie
from upshot_sdk.visit import Client, Flags, Hook, Visitors

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

KEY = "upshot.flags"


class FlagsMiddleware:
    """Puts the visitor's flags into the environ, and the cookie that keeps the visitor on the response."""

    def __init__(
        self,
        app: "WSGIApplication",
        client: Client,
        *,
        user: "Hook[WSGIEnvironment] | None" = None,
        attributes: "Hook[WSGIEnvironment] | None" = None,
        consent: "Hook[WSGIEnvironment] | None" = None,
        cookie: UnitCookie | None = None,
    ) -> None:
        """Args: the application, the client, and the hooks and cookie of `Visitors`, called with the environ."""
        self._app = app
        self._visitors: Visitors[WSGIEnvironment] = Visitors(
            client, user=user, attributes=attributes, consent=consent, cookie=cookie
        )

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        https = environ.get("wsgi.url_scheme") == "https"
        flags = Flags(self._visitors, environ, environ.get("HTTP_COOKIE", ""), https)
        environ[KEY] = flags
        head = _Head(start_response, flags)
        body = self._app(environ, head.start)
        if head.started and (isinstance(body, list | tuple) or _is_file(body, environ)):
            head.send()  # nothing is computed any more, and the server may know this kind of body
            return body
        return _Body(body, head)


def _is_file(body: object, environ: "WSGIEnvironment") -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


class _Head:
    """Status and headers, held until the first piece of the body as servers do: until then flags may be asked."""

    def __init__(self, start_response: "StartResponse", flags: "Flags[WSGIEnvironment]") -> None:
        self._start_response = start_response
        self._flags = flags
        self._held: tuple[str, list[tuple[str, str]], Any] | None = None
        self._write: Callable[[bytes], object] | None = None

    @property
    def started(self) -> bool:
        return self._held is not None

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        if self._write is not None:  # the server decides whether it is too late
            return self._start_response(status, headers, exc_info)
        if self._held is not None and exc_info is None:
            raise AssertionError("start_response was called twice without exc_info")
        self._held = (status, headers, exc_info)
        return self._written

    def send(self) -> None:
        if self._held is None or self._write is not None:
            return
        status, headers, exc_info = self._held
        added = self._flags.headers({name.lower() for name, _ in headers})
        arguments = (exc_info,) if exc_info else ()
        self._write = self._start_response(status, [*headers, *added], *arguments)

    def _written(self, data: bytes) -> object:
        self.send()
        assert self._write is not None
        return self._write(data)


class _Body:
    """The application's body; its first piece sends the head."""

    def __init__(self, body: Iterable[bytes], head: _Head) -> None:
        self._body = body
        self._pieces: Iterator[bytes] | None = None
        self._head = head

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._pieces is None:
            self._pieces = iter(self._body)
        try:
            piece = next(self._pieces)
        except StopIteration:
            self._head.send()
            raise
        self._head.send()
        return piece

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
