"""Requests of Segment's HTTP API as events, each with its own verdict.

What was accepted is a function of the frame alone, so the verdicts that a client is told are those that compaction
finds again: accepted and rejected events lie in one log, and no second write can be lost.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from math import isinf
from typing import Any, Literal, get_args

import msgspec

from upshot.errors import InputError
from upshot.events.frame import Frame, Source

MAX_EVENT = 32_768
MAX_BATCH = 512_000
ON_THE_WAY = 5_000_000
"""Microseconds between sending and receipt that are the way, and say nothing of the client's clock."""

Kind = Literal["track", "identify", "page", "screen", "group", "alias"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class UnreadableError(InputError):
    """The body of a request is no batch of events; nothing of it is kept."""


class BatchTooLargeError(InputError):
    """The body of a request is larger than any may be; nothing of it is kept."""

    status = 413


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that a unit did, or what became known of it. Times are microseconds since 1970, UTC.

    Attributes:
        source, message_id: its identity: the same twice is one event.
        hashed_id: the client gave no message id, and it is a hash of the content.
        type: what kind of message it came as.
        event: the name of what happened, or of the page or screen; None where the kind has none.
        user_id, anonymous_id, group_id: who; of an alias, `anonymous_id` is the id that `user_id` replaces.
        received_at: when the server got it. sent_at: when the client sent it, by the client's clock.
        timestamp: when it happened, by the client's clock.
        time: when it happened, by the server's clock: `timestamp + (received_at - sent_at)`, never in the future.
        properties: a JSON object: the properties, or the traits of a user or group.
        context: a JSON object.
    """

    source: Source
    message_id: str
    hashed_id: bool
    type: str
    event: str | None
    user_id: str | None
    anonymous_id: str | None
    group_id: str | None
    received_at: int
    sent_at: int | None
    timestamp: int | None
    time: int
    properties: str
    context: str

    @property
    def unit(self) -> str:
        """Who did it: the user, else the anonymous visitor."""
        return self.user_id or self.anonymous_id or ""


class Rejection(msgspec.Struct, frozen=True):
    """Something that was sent and is no event.

    Attributes:
        source, received_at: of its request.
        index: where it stood in its batch.
        message_id: as far as it has one.
        reason: a sentence with the field and what to do.
        body: a batch of it alone, as it came: what can be sent again once it is mended.
    """

    source: Source
    received_at: int
    index: int
    message_id: str | None
    reason: str
    body: bytes


Id = str | int | None


class _Batch(msgspec.Struct, rename="camel"):
    batch: list[msgspec.Raw]
    sent_at: msgspec.Raw = msgspec.Raw(b"null")
    type: str | None = None
    context: dict[str, Any] | None = None


class _Message(msgspec.Struct, rename="camel"):
    type: str | None = None
    message_id: str | None = None
    event: str | None = None
    name: str | None = None
    user_id: Id = None
    anonymous_id: Id = None
    group_id: Id = None
    previous_id: Id = None
    timestamp: datetime | None = None
    sent_at: datetime | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


_read_batch = msgspec.json.Decoder(_Batch).decode
_read_message = msgspec.json.Decoder(_Message).decode
_times: msgspec.json.Decoder[datetime | None] = msgspec.json.Decoder(datetime | None)
_write = msgspec.json.Encoder().encode


_MANY_DIGITS = re.compile(rb"\d{309}")


class _RejectedError(Exception):
    """Why a message is no event."""


def as_batch(message: bytes, kind: Kind) -> bytes:
    """The body of a batch that holds the message of a single call, whose path tells its kind.

    >>> as_batch(b'{"userId": "u1", "event": "Bought"}', "track")
    b'{"type":"track","batch":[{"userId": "u1", "event": "Bought"}]}'
    """
    return b'{"type":"%b","batch":[%b]}' % (kind.encode(), message)


def read_batch(frame: Frame) -> tuple[tuple[Event, ...], tuple[Rejection, ...]]:
    """The events of a request, and what it holds that is none.

    Raises:
        UnreadableError, BatchTooLargeError: the body as a whole.
    """
    batch = _batch(frame.body)
    events, rejections = [], []
    for index, raw in enumerate(batch.batch):
        try:
            events.append(_event(frame, batch, bytes(raw)))
        except _RejectedError as error:
            rejections.append(_rejection(frame, batch, index, bytes(raw), str(error)))
    return tuple(events), tuple(rejections)


def _batch(body: bytes) -> _Batch:
    if len(body) > MAX_BATCH:
        raise BatchTooLargeError(
            f"the body has {len(body):,} bytes: {MAX_BATCH:,} are the most, send less at a time"
        )
    try:
        body.decode()
        return _read_batch(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(
            f'the body is no batch of events ({_told(error)}): send {{"batch": [EVENT, ...], "sentAt": TIME}} as JSON'
        ) from None


def _event(frame: Frame, batch: _Batch, raw: bytes) -> Event:
    if len(raw) > MAX_EVENT:
        raise _RejectedError(f"the event has {len(raw):,} bytes: {MAX_EVENT:,} are the most")
    message = _typed(raw)
    kind = message.type or batch.type
    name = _name(kind, message)
    user = _id(message.user_id)
    anonymous = _id(message.previous_id if kind == "alias" else message.anonymous_id)
    context = {**(batch.context or {}), **(message.context or {})}
    sent, timestamp = _microseconds(message.sent_at or _sent(batch)), _microseconds(message.timestamp)
    if not user and not anonymous:
        raise _RejectedError("userId and anonymousId are missing: give one of them")
    return Event(
        source=frame.source,
        message_id=message.message_id or _content_id(raw),
        hashed_id=not message.message_id,
        type=str(kind),
        event=name,
        user_id=user,
        anonymous_id=anonymous,
        group_id=_group(message, context),
        received_at=frame.received_at,
        sent_at=sent,
        timestamp=timestamp,
        time=corrected(timestamp, sent, frame.received_at),
        properties=_json(message.traits if kind in ("identify", "group") else message.properties),
        context=_json(context),
    )


def corrected(timestamp: int | None, sent_at: int | None, received_at: int) -> int:
    """When something happened by the server's clock: a client's clock may be wrong, but is as wrong when it sends.

    Segment's rule ("timestamp = receivedAt - (sentAt - originalTimestamp)") takes all that lies between sending and
    receipt for the clock's error, so an event would be moved by its batch's time on the way, and might land before an
    exposure that came in a quicker batch, which loses it to every metric.

    What lies between sending and receipt is the error of the client's clock and the time on the way. Up to `ON_THE_WAY`
    it is taken for the way, so that two batches of a right clock, one of them slower, keep their events in order and an
    event right after its exposure stays after it. From twice of it on it is taken for the clock's, whole; in between it
    grows from none to all, as a step would tear apart the batches of a clock that is wrong by just that much.

    All in microseconds since 1970.

    >>> corrected(timestamp=100, sent_at=130, received_at=1_030)
    100
    >>> corrected(timestamp=1_000_000, sent_at=2_000_000, received_at=3_602_000_000)
    3601000000
    """
    if timestamp is None:
        return received_at
    apart = 0 if sent_at is None else received_at - sent_at
    beyond = min(max(abs(apart) - ON_THE_WAY, 0) * 2, abs(apart))
    return min(max(timestamp + (beyond if apart > 0 else -beyond), 0), received_at)


def _typed(raw: bytes) -> _Message:
    try:
        if _MANY_DIGITS.search(raw):
            json.loads(raw, parse_int=_finite)
        return _read_message(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _RejectedError(_told(error)) from None


def _finite(digits: str) -> float:
    """A whole number that SQL can calculate with: beyond this it would take it for infinite."""
    if isinf(float(digits)):
        raise _RejectedError(f"a number has {len(digits):,} digits: the most is about 1.8e308")
    return float(digits)


def _name(kind: str | None, message: _Message) -> str | None:
    """The name of what happened; what its kind demands must be there."""
    match kind:
        case "track":
            if not message.event:
                raise _RejectedError("event is missing: give the name of what happened")
            return message.event
        case "page" | "screen":
            return message.name or None
        case "group" if not _id(message.group_id):
            raise _RejectedError("groupId is missing: give the group that the user belongs to")
        case "alias" if not _id(message.previous_id) or not _id(message.user_id):
            raise _RejectedError("previousId or userId is missing: an alias needs both")
        case "identify" | "group" | "alias":
            return None
    raise _RejectedError(f"type is {kind!r}: give one of {', '.join(KINDS)}")


def _id(value: Id) -> str | None:
    """An id as text, as bucketing has it."""
    return str(value) if value is not None and value != "" else None


def _group(message: _Message, context: Mapping[str, Any]) -> str | None:
    found = message.group_id if message.group_id is not None else context.get("groupId")
    return _id(found) if isinstance(found, str | int) and not isinstance(found, bool) else None


def _sent(batch: _Batch) -> datetime | None:
    try:
        return _times.decode(batch.sent_at)
    except msgspec.MsgspecError:
        told = bytes(batch.sent_at)[:40].decode("utf-8", "replace")
        raise _RejectedError(
            f"sentAt of the batch is {told}: give a time like 2026-01-31T10:20:30.123Z"
        ) from None


def _microseconds(time: datetime | None) -> int | None:
    if time is None:
        return None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def _json(content: Mapping[str, Any] | None) -> str:
    return _write(content).decode() if content else "{}"


def _content_id(raw: bytes) -> str:
    return f"content-{blake2b(raw, digest_size=16).hexdigest()}"


def _rejection(frame: Frame, batch: _Batch, index: int, raw: bytes, reason: str) -> Rejection:
    return Rejection(
        source=frame.source,
        received_at=frame.received_at,
        index=index,
        message_id=_message_id(raw),
        reason=reason,
        body=b'{"batch":[%b],"sentAt":%b,"type":%b,"context":%b}'
        % (raw, bytes(batch.sent_at), _write(batch.type), _write(batch.context)),
    )


def _message_id(raw: bytes) -> str | None:
    """The message id of what is no event, as far as it has one."""
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return None
    given = found.get("messageId") if isinstance(found, dict) else None
    return given if isinstance(given, str) else None


def _told(error: Exception) -> str:
    """What the decoder found, with the field first."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    what, _, field = str(error).partition(" - at `$")
    field = field.rstrip("`").lstrip(".")
    return f"{field}: {what}" if field else what
