"""A start after kill -9 with much that was not sealed: events are accepted at once, and recovery follows."""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.durability.children import result
from benchmarks.durability.load import batch
from upshot.events.frame import encode
from upshot.events.layout import DataDirectory
from upshot.events.log import EventLog, Limits
from upshot.events.segment import open_segments

SEGMENT = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """What a start after a kill did: megabytes that were not sealed, milliseconds until the first answer, the slowest
    of the next 100, milliseconds until all was recovered, bytes of whole frames that were lost."""

    megabytes: int
    first_ms: int
    slowest_ms: int
    recovered_ms: int
    lost: int

    @property
    def kept(self) -> bool:
        """Whether the promise is."""
        return self.first_ms < 3_000 and self.slowest_ms < 3_000 and self.lost == 0


def run(times: int, _seed: int) -> Restarts:
    """Start with so many segments of 64 MB that dead processes left open."""
    with TemporaryDirectory(prefix="upshot-restart-") as name:
        place = DataDirectory(Path(name))
        place.make()
        frame = encode(batch(1))
        whole = frame * (SEGMENT // len(frame))
        for number in range(times):
            (place.log / f"{number:020}-1-dead.open").write_bytes(whole + frame[:-1])
        return result(lambda: _started(place, times * len(whole)))


def _started(place: DataDirectory, size: int) -> Restarts:
    began = time.monotonic()
    log = EventLog.open(place.path, Limits(free_bytes=0))
    waits = [_answered(log, number) for number in range(101)]
    first = time.monotonic() - began - sum(waits[1:])
    while len(open_segments(place.log)) > 1:
        time.sleep(0.005)
    recovered = time.monotonic() - began
    log.close()
    kept = sum(path.stat().st_size for path in place.log.glob("*-1-dead.seg"))
    return Restarts(
        megabytes=size >> 20,
        first_ms=round(first * 1_000),
        slowest_ms=round(max(waits[1:]) * 1_000),
        recovered_ms=round(recovered * 1_000),
        lost=size - kept,
    )


def _answered(log: EventLog, number: int) -> float:
    began = time.monotonic()
    log.append(batch(number)).result()
    return time.monotonic() - began
