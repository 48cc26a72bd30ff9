"""Segment's HTTP API for events, as its unchanged clients speak it: an answer of 200 means that they are on the disk.

Single calls and batches; keys as Basic, Bearer, X-API-Key or writeKey in the body; bodies that call themselves
text/plain, as browsers send without asking first. The server's key and the clients' key both send; neither reads.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from time import monotonic
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from upshot.doors.web.auth import Holder, Keys, admit, given_key
from upshot.doors.web.body import read_plain
from upshot.doors.web.rates import Rates
from upshot.errors import UnavailableError
from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog, LogUnhealthyError
from upshot.events.message import KINDS, MAX_BATCH, Kind, UnreadableError, as_batch, read_batch
from upshot.model.access import may


class _Verdict(msgspec.Struct, frozen=True, rename="camel"):
    """An event that is kept but does not count, and why."""

    index: int
    message_id: str | None
    reason: str


class _Verdicts(msgspec.Struct, frozen=True):
    """What became of a request's events."""

    success: bool
    accepted: int
    rejected: list[_Verdict]


class _Body(msgspec.Struct, rename="camel"):
    write_key: Any = None


_read_key = msgspec.json.Decoder(_Body).decode
_encode = msgspec.json.Encoder().encode


class Tracking:
    """The way of events from requests into the log."""

    def __init__(
        self,
        log: EventLog,
        keys: Keys,
        rate: float | None,
        clock: Callable[[], float],
        ticks: Callable[[], float] = monotonic,
    ) -> None:
        """
        Args:
            log: that events go to. keys: the server's.
            rate: events a second that each source may send; None: any number.
            clock: gives the seconds since 1970, by which events are received. ticks: measures the rate.
        """
        self._log, self._keys, self._clock = log, keys, clock
        self._rates = Rates(rate, ticks)
        self._group: Future[None] | None = None
        self._shared: asyncio.Future[None]

    def routes(self) -> list[Route]:
        """All calls, by their names and by their first letters, with and without `/v1`; the browser's settings."""
        calls = {"batch": self.batch, "b": self.batch}
        for kind in KINDS:
            calls[kind] = calls[kind[0]] = partial(self.single, kind)
        return [
            Route(f"{prefix}/{name}", call, methods=["POST"])
            for prefix in ("/v1", "")
            for name, call in calls.items()
        ] + [Route("/v1/projects/{key}/settings", self.settings, methods=["GET"])]

    async def batch(self, request: Request) -> Response:
        """Many events."""
        return await self._take(request, lambda body: body)

    async def single(self, kind: Kind, request: Request) -> Response:
        """One event, whose path tells what it is."""
        return await self._take(request, lambda body: as_batch(body, kind))

    async def settings(self, request: Request) -> Response:
        """What analytics.js asks for before it sends: where to send to, which is here."""
        key = request.path_params["key"]
        holder = self._keys.holder(key)
        if holder is None or not may(holder.kind, "send"):
            raise HTTPException(404, "this key is not known here")
        url = request.base_url
        here = {"apiKey": key, "apiHost": f"{url.netloc}/v1", "protocol": url.scheme}
        return _json({"integrations": {"Segment.io": here}})

    async def _take(self, request: Request, batch: Callable[[bytes], bytes]) -> Response:
        """Verdicts on a request's events, once the log has them for good."""
        key = given_key(request)
        holder = admit(request, self._keys, "send") if key is not None else None
        body = await read_plain(request, MAX_BATCH)
        in_body = _key_in(body)
        holder = holder or admit(request, self._keys, "send", in_body)
        frame = Frame(Source(holder.source), round(self._clock() * 1_000_000), batch(body))
        events, rejections = read_batch(frame)
        if events or rejections:
            self._admit(holder, len(events) + len(rejections))
            await self._keep(frame)
        rejected = [_Verdict(one.index, one.message_id, one.reason) for one in rejections]
        return _json(_Verdicts(success=True, accepted=len(events), rejected=rejected))

    def _admit(self, holder: Holder, events: int) -> None:
        seconds = self._rates.take(holder.source, events)
        if seconds:
            raise HTTPException(
                429,
                f"more events a second than the key may send: send these again in {seconds} s",
                {"Retry-After": str(seconds)},
            )

    async def _keep(self, frame: Frame) -> None:
        try:
            await self._written(self._log.append(frame))
        except LogUnhealthyError as error:  # its message has paths, and goes to the log
            raise UnavailableError(
                "events cannot be kept now, the server's log says why: send them again later",
                error.retry_after,
            ) from None

    async def _written(self, group: "Future[None]") -> None:
        """Wait for a group. All of its requests share one future of the loop, which is woken once for all of them."""
        if group is not self._group:
            self._group, self._shared = group, asyncio.wrap_future(group)
        await asyncio.shield(self._shared)


def _key_in(body: bytes) -> str | None:
    """The writeKey in a body that is a JSON object.

    Raises:
        UnreadableError: it is none.
    """
    try:
        key = _read_key(body).write_key
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise UnreadableError(f"the body is no JSON object: {reason}") from None
    return key if isinstance(key, str) else None


def _json(value: object) -> Response:
    return Response(_encode(value), media_type="application/json")
