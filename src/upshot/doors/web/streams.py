"""Event streams: servers hear of new rulesets, browsers that they should ask again."""

import json
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from upshot.doors.web.etag import quoted
from upshot.doors.web.latest import Latest
from upshot.doors.web.live import Live

HEARTBEAT = 15.0  # seconds of silence after which a comment is sent
RECONNECT = 2_000  # milliseconds after which a browser comes back

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def ruleset_events(request: Request, live: Live) -> Response:
    """The revision in force, at once and whenever it changes."""

    def event(revision: str) -> bytes:
        return f'id: {revision}\nevent: revision\ndata: {{"revision":"{revision}"}}\n\n'.encode()

    return _stream(request, _follow(live.revision, event, ""))


def evaluation_events(request: Request, live: Live, seen: str, until: float) -> Response:
    """OFREP's notices that evaluations have changed.

    Args:
        request: that asks for them. live: the flags.
        seen: the state that the listener knows; if it is not in force any more the first notice comes at once.
        until: the end of the stream, in seconds since 1970. A last notice then makes its listener ask again, which
            gives it a new address to listen at.
    """

    def event(state: str) -> bytes:
        now = live.clock()
        data = {
            "type": "refetchEvaluation",
            "etag": quoted(state),
            "lastModified": int(live.served.changed(now)),
        }
        return f"id: {state}\nevent: message\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()

    return _stream(request, _follow(live.state, event, seen, lambda: until - live.clock()))


def _stream(request: Request, events: AsyncIterator[bytes]) -> Response:
    """The stream; its head alone where only that is asked for, since nothing would ever end it."""
    if request.method == "HEAD":
        return Response(media_type="text/event-stream", headers=_HEADERS)
    return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)


async def _follow(
    latest: Latest[str],
    event: Callable[[str], bytes],
    seen: str,
    left: Callable[[], float] = lambda: HEARTBEAT,
) -> AsyncIterator[bytes]:
    """An event for each value that was not seen, comments in between, while there are seconds left."""
    yield f"retry: {RECONNECT}\n\n".encode()
    while not latest.ended:
        if latest.value != seen:
            seen = latest.value
            yield event(seen)
        remaining = left()
        if remaining <= 0:
            yield event(seen)
            return
        if await latest.after(seen, min(HEARTBEAT, remaining)) == seen:
            yield b":\n\n"
