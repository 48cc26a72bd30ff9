"""What lies in segments: events once each, what is none with its reason, and bytes that nothing can be made of."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

from upshot.errors import InputError
from upshot.events.frame import Frame, Gap, Source, decode
from upshot.events.keys import key, known
from upshot.events.manifest import Deletion
from upshot.events.message import Event, Rejection, read_batch
from upshot.events.segment import OPEN, SEALED
from upshot.model.event_metric import EXPOSURE

_PIECE = 1 << 19


@dataclass(frozen=True, slots=True)
class Intake:
    """The content of segments.

    Attributes:
        events: by their keys, in the order in which they were received.
        rejections: what is no event, damaged pieces of the file included.
        duplicates: events that were there already. deleted: events of deleted units. damaged: bytes.
    """

    events: dict[bytes, Event]
    rejections: tuple[Rejection, ...]
    duplicates: int
    deleted: int
    damaged: int


def read_segments(contents: Iterable[bytes], kept: Sequence[Path], deletions: Sequence[Deletion]) -> Intake:
    """What is new in segments.

    Args:
        contents: of the segments.
        kept: files of the keys of events that are kept already.
        deletions: units whose events are not taken.
    """
    events: list[Event] = []
    rejections: list[Rejection] = []
    damaged = 0
    for data in contents:
        for item in decode(data):
            if isinstance(item, Gap):
                damaged += item.end - item.start
                rejections += _damage(data, item)
            else:
                found, refused = read_frame(item)
                events += found
                rejections += refused
    living = _living(events, deletions)
    new = _new(living, kept)
    return Intake(
        new, _unmentioned(rejections, deletions), len(living) - len(new), len(events) - len(living), damaged
    )


def read_frame(frame: Frame) -> tuple[tuple[Event, ...], tuple[Rejection, ...]]:
    """The events of a frame; a body that is no batch is one rejection."""
    try:
        return read_batch(frame)
    except InputError as error:
        return (), (Rejection(frame.source, frame.received_at, 0, None, str(error), frame.body),)


def read_bytes(path: Path) -> bytes | None:
    """The content of a segment that may be sealed or compacted meanwhile; None where it is compacted."""
    for name in (path, path.with_suffix(SEALED)) if path.suffix == OPEN else (path,):
        try:
            return name.read_bytes()
        except FileNotFoundError:
            continue
    return None


def hashed_unit(unit: str) -> bytes:
    """What a deletion keeps of a unit's id."""
    return blake2b(unit.encode(), digest_size=16, person=b"upshot deletion").digest()


def mentioned(body: bytes) -> Iterator[str]:
    """Every text and integer in a JSON value, as ids are written; of what is no JSON, all that stands in quotes."""
    try:
        waiting: list[object] = [msgspec.json.decode(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        waiting = [text.decode("utf-8", "replace") for text in re.findall(rb'"([^"]*)"', body)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str | int):
            yield str(value)


def _living(events: list[Event], deletions: Sequence[Deletion]) -> list[Event]:
    """The events that are of no deleted unit, or of one that came again after its deletion."""
    until = {deletion.id: deletion.until for deletion in deletions}

    def lives(event: Event) -> bool:
        return not any(event.time <= until.get(hashed_unit(id_), -1) for id_ in _ids(event))

    return [event for event in events if lives(event)] if until else events


def _ids(event: Event) -> Iterator[str]:
    """The ids that an event is about."""
    yield from (id_ for id_ in (event.user_id, event.anonymous_id) if id_)
    if event.event == EXPOSURE:
        unit = msgspec.json.decode(event.properties).get("unit_id")
        if isinstance(unit, str | int):
            yield str(unit)


def _unmentioned(rejections: list[Rejection], deletions: Sequence[Deletion]) -> tuple[Rejection, ...]:
    """The rejections that mention no deleted unit."""
    until = {deletion.id: deletion.until for deletion in deletions}
    if not until:
        return tuple(rejections)
    return tuple(
        one
        for one in rejections
        if not any(one.received_at <= until.get(hashed_unit(id_), -1) for id_ in mentioned(one.body))
    )


def _new(events: list[Event], kept: Sequence[Path]) -> dict[bytes, Event]:
    """Each event once: the one that was received first."""
    found: dict[bytes, Event] = {}
    for event in sorted(events, key=lambda event: event.received_at):
        found.setdefault(key(event.source, event.message_id), event)
    for duplicate in known(list(found), kept):
        del found[duplicate]
    return found


def _damage(data: bytes, gap: Gap) -> list[Rejection]:
    return [
        Rejection(
            Source(""),
            0,
            0,
            None,
            "bytes of a segment that are damaged",
            data[start : min(start + _PIECE, gap.end)],
        )
        for start in range(gap.start, gap.end, _PIECE)
    ]
