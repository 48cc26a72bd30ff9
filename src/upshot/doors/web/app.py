"""The web application: its routes, and what goes around them."""

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
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from upshot.doors.web.auth import Keys
from upshot.doors.web.exposures import ExposureLog
from upshot.doors.web.faults import Faults
from upshot.doors.web.live import Live
from upshot.doors.web.ofrep import Ofrep
from upshot.doors.web.ruleset import RulesetDoor
from upshot.doors.web.script import script_route
from upshot.doors.web.tracking import Tracking
from upshot.errors import UnavailableError, UpshotError
from upshot.events.log import EventLog
from upshot.services.flags import Flags
from upshot.services.key_ring import KeyRing
from upshot.settings import Settings

_PREFLIGHT = 7200  # seconds for which browsers keep what a preflight said


def create_app(
    flags: Flags,
    log: EventLog,
    settings: Settings,
    clock: Callable[[], float] = time,
    ring: KeyRing | None = None,
    api: ASGIApp | None = None,
) -> Starlette:
    """The application that serves these flags and takes events.

    Its ``state.live`` has the flags in force; ``state.live.end()`` lets all event streams end.

    Args:
        flags: what is served; edits are looked for each second while the application runs.
        log: that events go to; whoever opened it closes it after the application has ended.
        settings: with both keys.
        clock: gives the seconds since 1970.
        ring: keys that open it beside those of the settings.
        api: the management API (`upshot.doors.web.api.app.create_api`); None: there is none.
    """
    if settings.server_key is None or settings.client_key is None:
        raise ValueError("settings without keys: nobody could be told from anybody else")
    keys = Keys(settings.server_key, settings.client_key, ring.holder if ring else None)
    live = Live(flags, clock)
    app = Starlette(
        routes=[
            *Ofrep(live, keys, settings.flag_set, ExposureLog(log, clock)).routes(),
            *RulesetDoor(live, keys).routes(),
            *Tracking(log, keys, settings.rate_limit, clock).routes(),
            *_health(live, log),
            script_route(),
            *([] if api is None else [Mount("/api", api)]),
        ],
        middleware=[_cors(settings.allowed_origins), Middleware(Faults)],
        exception_handlers={HTTPException: _refused, UpshotError: _told},
        lifespan=_running(live),
    )
    app.router.redirect_slashes = False
    app.state.live = live
    return app


def _running(live: Live) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
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
        allow_headers=["Authorization", "Content-Type", "If-None-Match", "X-API-Key", "X-Retry-Count"],
        expose_headers=["ETag", "Retry-After"],
        max_age=_PREFLIGHT,
    )


def _health(live: Live, log: EventLog) -> list[Route]:
    """For whoever runs the server: whether it lives, and whether requests should be sent to it.

    A log that takes no events is told and is no reason to be sent no requests: flags are answered all the same, and
    events are refused in a way that makes their senders keep them.
    """

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        if live.state.ended:
            return JSONResponse({"status": "stopping"}, 503)
        fault = log.state.fault
        return JSONResponse(
            {
                "status": "ready" if fault is None else "degraded",
                "revision": live.served.published.revision,
                "events": "accepted" if fault is None else "refused: the server's log says why",
            }
        )

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


async def _told(_: Request, error: Exception) -> Response:
    if not isinstance(error, UpshotError) or error.status == 500:
        raise error
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, UnavailableError) else None
    return JSONResponse({"errorDetails": str(error)}, error.status, headers)
