"""The web server: uvicorn with limits on what a connection may cost, and an end that is prompt."""

import asyncio
import resource
import signal
import socket
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from upshot.errors import InputError

_IDLE = 75  # seconds for which a silent connection is kept, longer than proxies keep theirs
_GRACE = 1  # seconds that requests have to end in when the server is told to stop
_HEAD_TIME = 10.0  # seconds in which the head of a request must have come
_HEAD_SIZE = 64 * 1024  # bytes of the head


def listen(host: str, port: int) -> socket.socket:
    """A socket to serve on; port 0 takes any that is free.

    Raises:
        InputError: nobody can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"nobody can listen on {host}:{port} ({reason}): give another --host or --port"
        ) from None


def server_of(app: Starlette) -> uvicorn.Server:
    """A server of an application of `create_app`, yet to be run."""
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_GRACE,
    )
    return _Server(config)


def run(app: Starlette, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT comes, then end streams and requests and return."""
    _allow_connections()
    server = server_of(app)

    def end(_: int, __: FrameType | None) -> None:
        """Before uvicorn listens to signals: it stops as soon as it has started. It raises them again at its end."""
        server.should_exit = True

    signal.signal(signal.SIGTERM, end)
    server.run(sockets=[listening])


def _allow_connections() -> None:
    """As many as the system lets a process have: each page that listens holds one."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Server(uvicorn.Server):
    """A server that ends its event streams when it stops, not when they would."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.live.end()  # type: ignore[union-attr]  # the application of create_app
        await super().shutdown(sockets)


class _Connection(HttpToolsProtocol):
    """A connection whose requests must begin in good time and with a head of bounded size.

    Without that, a client that sends its head byte by byte, or for ever, would hold a connection and memory.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # whatever logging is set to: addresses of event streams hold a token
        self._head_size: int | None = 0  # None: the head has come
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(_HEAD_TIME, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_size is not None:
            self._head_size += len(data)
        super().data_received(data)
        if self._head_size is not None and self._head_size > _HEAD_SIZE:
            self._close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_size = 0
        if self._deadline is None:
            self._deadline = self.loop.call_later(_HEAD_TIME, self._close)

    def on_headers_complete(self) -> None:
        self._head_size = None
        self._settle()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """The server stops: who is still sending is not waited for."""
        super().shutdown()
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is not None and cycle.more_body and not cycle.response_started:
            self._close()

    def _settle(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        self._settle()
        if not self.transport.is_closing():
            self.transport.close()
