"""What lies in segments: events once each, what is none with its reason, and bytes that nothing can be made of."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from upshot.errors import InputError
from upshot.events.frame import Frame, Gap, Source, decode
from upshot.events.keys import key, known
from upshot.events.manifest import Deletion
from upshot.events.message import Event, Rejection, read_batch
from upshot.events.segment import OPEN, SEALED

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
    return Intake(new, tuple(rejections), len(living) - len(new), len(events) - len(living), damaged)


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


def is_deleted(deletions: Sequence[Deletion]) -> Callable[[Event], bool]:
    """Whether an event is of a deleted unit, from before its deletion."""
    until = {deletion.id: deletion.until for deletion in deletions}

    def deleted(event: Event) -> bool:
        return any(
            event.time <= until.get(hashed_unit(id_), -1)
            for id_ in (event.user_id, event.anonymous_id)
            if id_
        )

    return deleted if until else lambda _: False


def _living(events: list[Event], deletions: Sequence[Deletion]) -> list[Event]:
    deleted = is_deleted(deletions)
    return [event for event in events if not deleted(event)]


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
