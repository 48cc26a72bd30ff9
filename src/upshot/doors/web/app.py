"""The web application: its routes, what goes around them, and what runs beside them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from time import time

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from upshot.doors.web.auth import Keys
from upshot.doors.web.live import Live
from upshot.doors.web.ofrep import Ofrep
from upshot.doors.web.ruleset import RulesetDoor
from upshot.doors.web.script import script_route
from upshot.services.flags import Flags
from upshot.settings import Settings

_PREFLIGHT = 7200  # seconds for which browsers keep what a preflight said


def create_app(flags: Flags, settings: Settings, clock: Callable[[], float] = time) -> Starlette:
    """The application that serves these flags.

    Its ``state.live`` has the flags in force; ``state.live.end()`` lets all event streams end.

    Args:
        flags: what is served; edits are looked for each second while the application runs.
        settings: with both keys.
        clock: gives the seconds since 1970.
    """
    if settings.server_key is None or settings.client_key is None:
        raise ValueError("settings without keys: nobody could be told from anybody else")
    keys = Keys(settings.server_key, settings.client_key)
    live = Live(flags, clock)
    app = Starlette(
        routes=[
            *Ofrep(live, keys, settings.flag_set).routes(),
            *RulesetDoor(live, keys).routes(),
            *_health(live),
            script_route(),
        ],
        middleware=[_cors(settings.allowed_origins)],
        exception_handlers={HTTPException: _refused, Exception: _failed},
        lifespan=_watching(live),
    )
    app.router.redirect_slashes = False
    app.state.live = live
    return app


def _watching(live: Live) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watch = asyncio.create_task(live.watch())
        yield
        live.end()
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch

    return lifespan


def _cors(origins: tuple[str, ...]) -> Middleware:
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "If-None-Match", "X-API-Key"],
        expose_headers=["ETag", "Retry-After"],
        max_age=_PREFLIGHT,
    )


def _health(live: Live) -> list[Route]:
    """For whoever runs the server: whether it lives, and whether requests should be sent to it."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        if live.state.ended:
            return JSONResponse({"status": "stopping"}, 503)
        return JSONResponse({"status": "ready", "revision": live.served.published.revision})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    details = error.detail
    if error.status_code == 404:
        details = f"there is no {request.url.path} here"
    if error.status_code == 405:
        details = f"{request.url.path} does not take {request.method}"
    return JSONResponse({"errorDetails": details}, error.status_code, error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return JSONResponse({"errorDetails": "a fault of ours; the server's log has more"}, 500)
