"""Events and exposures as messages of Segment's HTTP API."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from os import urandom
from time import time
from typing import Any
from uuid import UUID

from upshot_sdk.bucketing import unit_text
from upshot_sdk.evaluation import Evaluation

EXPOSURE = "Experiment Viewed"
VIEWED = "Flag Viewed"
MAX_MESSAGE = 32_768
MAX_DEPTH = 100
LIBRARY = {"name": "upshot-sdk", "version": "0.1.0"}

BY_HAND = "override-"
_UNITS = ("userId", "anonymousId", "targetingKey")
_EXPOSED = ("experiment_id", "phase", "flag", "revision", "unit", "unit_id", "attributes")

Context = Mapping[str, Any]
Properties = Mapping[str, Any]


class MessageError(ValueError):
    """Something cannot be sent; the sentence names the field."""


class Messages:
    """Makes the messages of one client instance, numbered without a gap: a missing number is a lost message.

    Attributes:
        instance: the name of the instance, random.

    Args:
        clock: gives the seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self.instance = urandom(8).hex()
        self._numbers = count(1)

    def track(self, event: object, context: object, properties: object) -> bytes:
        """Something that a unit did.

        Raises:
            MessageError: the event has no name, the context no unit, or a property cannot be written as JSON.
        """
        if not isinstance(event, str) or not event:
            raise MessageError(f"event is {event!r}: give the name of what happened, as text")
        return self._message(
            "track", context, {"event": event, "properties": _object("properties", properties)}
        )

    def identify(self, context: object, traits: object) -> bytes:
        """That an anonymous visitor and a user are one, and what is known of them.

        Raises:
            MessageError: as `track`.
        """
        return self._message("identify", context, {"traits": _object("traits", traits)})

    def exposure(self, answer: Evaluation, context: Context) -> bytes:
        """That a unit met an experiment, or a flag whose rollout is watched.

        Raises:
            MessageError: an attribute that the experiment copies cannot be written as JSON, or there is no unit.
        """
        found = answer.metadata
        if "experiment_id" in found:
            properties = {name: found[name] for name in _EXPOSED} | {"variant": answer.variant}
            if "monitored" in found:
                properties["round"] = found["monitored"]
            return self._message("track", context, {"event": EXPOSURE, "properties": properties}, found)
        properties = {"flag": found["flag"], "variant": answer.variant, "reason": answer.reason}
        properties |= {"round": found["monitored"], "revision": found["revision"]}
        return self._message("track", context, {"event": VIEWED, "properties": properties})

    def _message(
        self, kind: str, context: object, content: dict[str, Any], exposed: Properties | None = None
    ) -> bytes:
        if not isinstance(context, Mapping):
            raise MessageError(f"the context is a {type(context).__name__}: give a mapping with the unit")
        number = next(self._numbers)
        if exposed is not None:
            content["properties"] |= {"instance": self.instance, "seq": number}
        group = _text(context.get("account"))
        message = {
            "type": kind,
            "messageId": f"{self.instance}-{number}",
            "timestamp": _moment(self._clock()),
            **_who(context, exposed),
            **content,
            "context": {
                "library": LIBRARY,
                "instance": self.instance,
                "seq": number,
                **({"groupId": group} if group else {}),
            },
        }
        return _encoded(message)


def exposure_of(answer: Evaluation, context: Context) -> tuple[str, int, str, str] | None:
    """What makes an answer's exposure another one than those before; None where the answer is none.

    Of an experiment: itself, its phase, the unit and the variant. Of a flag whose rollout is watched: the flag, for
    which time it is watched, the unit and the variant; none for a unit that is given it by hand.
    """
    found = answer.metadata
    if answer.variant is None:
        return None
    if "experiment_id" in found:
        watched = found.get("monitored", 1)
        name = (
            found["experiment_id"] if watched == 1 else f"{found['experiment_id']}, watched again {watched}"
        )
        return name, found["phase"], found["unit_id"], answer.variant
    if "monitored" not in found or str(found.get("rule", "")).startswith(BY_HAND):
        return None
    unit = next((_text(context.get(name)) for name in _UNITS if context.get(name) is not None), None)
    return None if unit is None else (found["flag"], found["monitored"], unit, answer.variant)


def batch(messages: tuple[bytes, ...], clock: Callable[[], float] = time) -> bytes:
    """The body that carries messages, with the time of sending by which the server corrects a wrong clock."""
    return b'{"batch":[' + b",".join(messages) + b'],"sentAt":"' + _moment(clock()).encode() + b'"}'


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _who(context: Context, exposed: Properties | None) -> dict[str, str]:
    """Whose message it is: both ids of a visitor who logged in, else the targeting key, else the exposed unit."""
    named = {name: _text(context.get(name)) for name in ("userId", "anonymousId")}
    known = {name: value for name, value in named.items() if value}
    if known:
        return known
    key = _text(context.get("targetingKey"))
    if key:
        return {"userId": key}
    if exposed is not None and exposed["unit_id"]:
        return {"anonymousId": exposed["unit_id"]}
    raise MessageError(
        "the context has no targetingKey, userId or anonymousId: give the unit that this is about"
    )


def _object(name: str, value: object) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise MessageError(f"{name} is a {type(value).__name__}: give a mapping of names to values")
    return dict(value or {})


def _text(value: object) -> str | None:
    try:
        return unit_text(value)
    except UnicodeEncodeError:
        return None


def _encoded(message: dict[str, Any]) -> bytes:
    """Text in UTF-8: a lone surrogate, which has no UTF-8 form, becomes ``?``, as its escape would spoil the batch."""
    try:
        text = json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise MessageError(f"the properties cannot be written as JSON: {error}") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _deeper(message, MAX_DEPTH):
        raise MessageError(
            f"the properties are nested deeper than {MAX_DEPTH}: not every reader of JSON takes that"
        )
    encoded = text.encode("utf-8", "replace")
    if len(encoded) > MAX_MESSAGE:
        raise MessageError(f"the message has {len(encoded):,} bytes: the server takes {MAX_MESSAGE:,}")
    return encoded


def _deeper(value: object, levels: int) -> bool:
    """Whether lists and objects lie within each other in more levels."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        return False
    return levels == 0 or any(_deeper(part, levels - 1) for part in value)


def _plain(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return float(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")
