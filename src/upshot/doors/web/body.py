"""The body of a request, within limits of size and time."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MOST = 64 * 1024  # bytes of an evaluation's context
PATIENCE = 10.0  # seconds
_DISCARDED = 64 * 1024 * 1024  # bytes of a body too large that are read and dropped

_CLOSE = {"Connection": "close"}


async def read_body(request: Request, most: int = MOST) -> bytes:
    """The whole body.

    A body that is too large is read to its end, and dropped as it comes, before it is refused: a client that is
    still sending would otherwise meet a reset connection and not the answer.

    Raises:
        HTTPException: 413 where it is larger than ``most``, 408 where it takes longer than `PATIENCE`.
    """
    too_large = HTTPException(413, f"the body is larger than {most:,} bytes", _CLOSE)
    if "expect" in request.headers and _announced(request) > most:
        raise too_large  # the client waits to be asked for the body
    try:
        async with asyncio.timeout(PATIENCE):
            body = await _read(request, most)
    except TimeoutError:
        raise HTTPException(408, f"the body took longer than {PATIENCE:.0f} seconds", _CLOSE) from None
    except ClientDisconnect:
        raise HTTPException(400, "the client went away", _CLOSE) from None
    if body is None:
        raise too_large
    return body


async def _read(request: Request, most: int) -> bytes | None:
    """The body, None where it is too large: then it was read in vain."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most:
            chunks.append(chunk)
        elif size > _DISCARDED:
            break
        else:
            chunks.clear()
    return b"".join(chunks) if size <= most else None


def _announced(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0
