"""What a request to the API may be: its body is read within limits and is strict JSON, or it goes no further."""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upshot.doors.web.api.problems import refusal
from upshot.doors.web.body import read_plain

MOST = 1024 * 1024  # bytes of a body; the largest flag is some kilobytes
_NULL = ("\x00", "%00")


class Bounds:
    """ASGI middleware that hands on a body that was read, and answers what cannot be one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            _check_address(request)
            body = await read_plain(request, MOST)
            _check_json(body)
        except HTTPException as error:
            await refusal(error.status_code, error.detail, headers=error.headers)(scope, receive, send)
            return
        await self._app(scope, _again(body, receive), send)


def _check_address(request: Request) -> None:
    """No database keeps a null character, and PostgreSQL does not even look for one."""
    if any(null in request.url.path or null in request.url.query for null in _NULL):
        raise HTTPException(400, "the address holds a null character: leave it out")


def _check_json(body: bytes) -> None:
    if not body:
        return
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        said = "it is too deep" if isinstance(error, RecursionError) else str(error)
        raise HTTPException(400, f"the body is no JSON ({said}): send an object") from None


def _again(body: bytes, receive: Receive) -> Receive:
    """What was read, to be read by somebody else."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received
