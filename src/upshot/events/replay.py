"""Rejected messages once more: those that are events now are accepted, the others stay."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from upshot.events.compaction import alone, now
from upshot.events.frame import Frame
from upshot.events.intake import read_frame
from upshot.events.layout import DataDirectory, existing
from upshot.events.log import EventLog
from upshot.events.manifest import Manifest, RejectedFile, open_manifest
from upshot.events.message import Rejection
from upshot.events.reader import snapshot
from upshot.events.rejected import read_rejections, without

Mend = Callable[[Rejection], bytes]
"""What to send for a rejection: its body, mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay did: messages that are events now, and those that still are none."""

    accepted: int = 0
    left: int = 0


def rejections(directory: Path) -> Iterator[Rejection]:
    """All that was rejected and is kept, compacted or not."""
    place = existing(directory)
    found = snapshot(directory)
    for file in found.rejected:
        yield from read_rejections(place.rejected / file.name)
    yield from found.refused


def replay(directory: Path, log: EventLog, mend: Mend = lambda rejection: rejection.body) -> Replayed:
    """Send what was rejected, and is compacted, through the log again, as of when it was received first.

    An event is in the log, durably, before its rejection is dropped; if a crash comes between, the event comes twice
    and is known by its message id.

    Raises:
        ConflictError: a compaction runs. UnavailableError: the log does not take it; nothing of the file is dropped.
    """
    place = existing(directory)
    done = Replayed()
    with alone(place), open_manifest(place.manifest) as manifest:
        for file in manifest.rejected_files():
            found = _replay(place, manifest, file, log, mend)
            done = Replayed(accepted=done.accepted + found.accepted, left=done.left + found.left)
    return done


def _replay(
    place: DataDirectory, manifest: Manifest, file: RejectedFile, log: EventLog, mend: Mend
) -> Replayed:
    frames, left = _sorted_out(tuple(read_rejections(place.rejected / file.name)), mend)
    if frames:
        for future in [log.append(frame) for frame in frames]:
            future.result()
        manifest.commit(without(place, file, left), now())
    return Replayed(accepted=len(frames), left=len(left))


def _sorted_out(found: Sequence[Rejection], mend: Mend) -> tuple[list[Frame], list[Rejection]]:
    """What can be accepted now, and what cannot."""
    frames, left = [], []
    for rejection in found:
        frame = Frame(rejection.source, rejection.received_at, mend(rejection))
        events, refused = read_frame(frame)
        if events and not refused:
            frames.append(frame)
        else:
            left.append(rejection)
    return frames, left
