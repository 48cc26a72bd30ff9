"""What was sent and is no event: kept with its reason, to be read, mended and sent again."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from upshot.events.disk import written_whole
from upshot.events.frame import Frame, decode, encode
from upshot.events.layout import DataDirectory, new_name
from upshot.events.manifest import Change, RejectedFile
from upshot.events.message import Rejection

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Rejection)


def write_rejections(rejections: Sequence[Rejection], path: Path) -> RejectedFile:
    """Write rejections to a file, durably."""
    with written_whole(path) as part:
        part.write_bytes(
            b"".join(encode(Frame(one.source, one.received_at, _encode(one))) for one in rejections)
        )
    return RejectedFile(name=path.name, events=len(rejections))


def read_rejections(path: Path) -> Iterator[Rejection]:
    """The rejections of a file."""
    for item in decode(path.read_bytes()):
        if isinstance(item, Frame):
            yield _decoder.decode(item.body)


def without(place: DataDirectory, file: RejectedFile, left: Sequence[Rejection]) -> Change:
    """The change that leaves only some of the rejections of a file; the new file is on the disk."""
    kept = (write_rejections(left, place.rejected / new_name("rejected")),) if left else ()
    return Change(rejected=kept, dropped=(file.name,))
