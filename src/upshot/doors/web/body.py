"""The body of a request, within limits of size and time."""

import asyncio
import re
import zlib

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MOST = 64 * 1024  # bytes of an evaluation's context
PATIENCE = 10.0  # seconds
_DISCARDED = 64 * 1024 * 1024  # bytes of a body too large that are read and dropped
_GZIP = 31  # zlib's window for gzip alone

_CLOSE = {"Connection": "close"}

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}"  # a character beyond 16 bits, in its two halves
    rb"|(?P<half>\\u[dD][89a-fA-F][\da-fA-F]{2})"
    rb"|\\."
)


async def read_body(request: Request, most: int = MOST) -> bytes:
    """The whole body.

    A body that is too large is read to its end, and dropped as it comes, before it is refused: a client that is
    still sending would otherwise meet a reset connection and not the answer.

    Raises:
        HTTPException: 413 where it is larger than ``most``, 408 where it takes longer than `PATIENCE`.
    """
    too_large = _too_large(most, _CLOSE)
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


async def read_plain(request: Request, most: int) -> bytes:
    """The whole body of JSON, inflated where it came as gzip, without half characters.

    Raises:
        HTTPException: as `read_body`, also of what it inflates to; 400 where it is no gzip and says it were, 415 where
            it is compressed in another way.
    """
    body = await read_body(request, most)
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        return with_whole_characters(body)
    if coding not in ("gzip", "x-gzip"):
        raise HTTPException(415, f"Content-Encoding is {coding!r}: send gzip, or what is not compressed")
    return with_whole_characters(_inflated(body, most))


def with_whole_characters(body: bytes) -> bytes:
    r"""JSON in which the escape of half a character is the replacement character instead.

    JavaScript cuts text anywhere, such as within an emoji, and writes the half as an escape. It has no UTF-8 form, so
    strict readers refuse it, and would refuse all events that came with it.

    >>> with_whole_characters(rb'["a\ud83d", "\ud83d\ude00", "\\ud83d"]')
    b'["a\\ufffd", "\\ud83d\\ude00", "\\\\ud83d"]'
    """
    if not _SURROGATE.search(body):
        return body
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], body)


def _inflated(body: bytes, most: int) -> bytes:
    """What gzip holds; never more than ``most`` bytes come to be, however much it would inflate to."""
    stream = zlib.decompressobj(_GZIP)
    try:
        plain = stream.decompress(body, most + 1)
    except zlib.error:
        raise HTTPException(400, "the body is no gzip, as its Content-Encoding has it") from None
    if len(plain) > most:
        raise _too_large(most)
    if not stream.eof:
        raise HTTPException(400, "the body is gzip that breaks off before its end")
    return plain


def _too_large(most: int, headers: dict[str, str] | None = None) -> HTTPException:
    return HTTPException(413, f"the body is larger than {most:,} bytes: send less at a time", headers)


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
