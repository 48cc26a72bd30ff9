"""One accepted request as bytes in a segment, and the way back from a segment that may be damaged.

    magic 4 | crc32 4 | length of the body 4 | length of the source 2 | received_at 8 | source | body

Integers are little-endian. The checksum covers all that follows it, header included: one over the body alone would
take a run of zeros for an empty body (crc32 of nothing is 0). The magic holds a byte that no UTF-8 text can, so no
body can pass for a frame when the reader looks for the next one behind damage.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NewType
from zlib import crc32

MAGIC = b"\xffUP1"
LARGEST_BODY = 1 << 20

_CHECKED = struct.Struct("<IHq")
_START = struct.Struct("<4sI")
_HEADER = struct.Struct("<4sIIHq")

Source = NewType("Source", str)
"""The name of the write key that events came in with; with a message id it is the identity of an event."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A request as it was accepted.

    Attributes:
        source: whose write key it came with.
        received_at: microseconds since 1970, by the server's clock.
        body: the request's body, uncompressed.
    """

    source: Source
    received_at: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes from `start` to `end` of a segment that are no frames."""

    start: int
    end: int


def encode(frame: Frame) -> bytes:
    """The bytes of a frame.

    Raises:
        ValueError: the body is larger than `LARGEST_BODY`, or is not text and holds the magic.
    """
    if len(frame.body) > LARGEST_BODY:
        raise ValueError(f"a body of {len(frame.body):,} bytes: {LARGEST_BODY:,} is the most")
    source = frame.source.encode()
    if MAGIC in frame.body or len(source) > 0xFFFF:
        raise ValueError("the body is not UTF-8 text, or the source's name is too long")
    checked = _CHECKED.pack(len(frame.body), len(source), frame.received_at) + source
    return _START.pack(MAGIC, crc32(frame.body, crc32(checked))) + checked + frame.body


def decode(data: bytes) -> Iterator[Frame | Gap]:
    """The frames in the bytes of a segment, and between them what is no frame; together they cover every byte."""
    view = memoryview(data)
    position = 0
    while position < len(view):
        found = _frame_at(view, position)
        if found is None:
            following = _next_frame(data, view, position + 1)
            yield Gap(position, following)
            position = following
        else:
            frame, position = found
            yield frame


def _next_frame(data: bytes, view: memoryview, position: int) -> int:
    """Where the next whole frame begins; the end where there is none."""
    while (position := data.find(MAGIC, position)) >= 0:
        if _frame_at(view, position) is not None:
            return position
        position += 1
    return len(data)


def _frame_at(view: memoryview, start: int) -> tuple[Frame, int] | None:
    """The frame that begins at `start`, with where it ends; None where none does."""
    body_start = start + _HEADER.size
    if body_start > len(view):
        return None
    magic, checksum, length, source_length, received_at = _HEADER.unpack_from(view, start)
    source_end = body_start + source_length
    end = source_end + length
    if magic != MAGIC or length > LARGEST_BODY or end > len(view):
        return None
    if crc32(view[start + _START.size : end]) != checksum:
        return None
    source = Source(str(view[body_start:source_end], "utf-8"))
    return Frame(source, received_at, bytes(view[source_end:end])), end
