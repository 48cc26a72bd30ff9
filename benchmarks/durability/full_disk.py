"""A full disk: nothing is answered with success, the process lives, and takes events again as soon as it can.

The data directory is a small tmpfs, so this needs root. First the floor that stays free is reached, then, without a
floor, the very last byte: both must end well.
"""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.durability.children import result
from benchmarks.durability.load import SIZE, batch, expected, rows
from upshot.errors import UnavailableError
from upshot.events.log import EventLog, Limits

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FullDisk:
    """What a full disk did: events answered, answered while it was full, refusals, milliseconds until they were taken
    again, events lost, events that are there twice or changed."""

    answered: int
    answered_when_full: int
    refused: int
    resumed_ms: int
    lost: int
    wrong: int

    @property
    def kept(self) -> bool:
        """Whether the promise is."""
        return (
            self.answered > 0
            and self.refused > 0
            and self.resumed_ms < 1_000
            and self.answered_when_full == self.lost == self.wrong == 0
        )


def possible() -> str | None:
    """Why it cannot be run here; None where it can."""
    if os.geteuid():
        return "only root can mount a small disk"
    with TemporaryDirectory() as name:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", name]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            return "no disk can be mounted here"
        subprocess.run(["umount", name], check=True)
    return None


def run(times: int, _seed: int) -> FullDisk:
    """Fill a disk so many times, with a floor and without one in turn."""
    found = [_filled(MEGABYTE if number % 2 == 0 else 0) for number in range(times)]
    return FullDisk(
        answered=sum(one.answered for one in found),
        answered_when_full=sum(one.answered_when_full for one in found),
        refused=sum(one.refused for one in found),
        resumed_ms=max(one.resumed_ms for one in found),
        lost=sum(one.lost for one in found),
        wrong=sum(one.wrong for one in found),
    )


@contextmanager
def _small_disk() -> Iterator[Path]:
    with TemporaryDirectory(prefix="upshot-full-") as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def _filled(floor: int) -> FullDisk:
    with _small_disk() as disk:
        return result(lambda: _on(disk, floor))


def _on(disk: Path, floor: int) -> FullDisk:
    log = EventLog.open(disk / "data", Limits(free_bytes=floor, segment_bytes=MEGABYTE, retry_seconds=0.05))
    answered = [number for number in range(60) if _taken(log, number)]
    _fill(disk / "ballast", leave=floor // 2)
    tried = [_taken(log, number) for number in range(1_000, 1_040)]
    freed = time.monotonic()
    (disk / "ballast").unlink()
    while not _taken(log, 2_000):
        time.sleep(0.005)
    resumed = time.monotonic() - freed
    answered += [2_000, *(number for number in range(2_001, 2_020) if _taken(log, number))]
    log.close()
    assert threading.active_count() == 1
    found, must = rows(disk / "data"), expected(answered)
    allowed = set(expected([*answered, *range(1_000, 1_040)]))
    return FullDisk(
        answered=len(answered) * SIZE,
        answered_when_full=sum(tried) * SIZE,
        refused=len(tried) - sum(tried),
        resumed_ms=round(resumed * 1_000),
        lost=len(set(must) - set(found)),
        wrong=len(found) - len(set(found)) + len(set(found) - allowed),
    )


def _taken(log: EventLog, number: int) -> bool:
    try:
        log.append(batch(number)).result(10)
    except UnavailableError:
        return False
    return True


def _fill(path: Path, leave: int) -> None:
    """Write until the disk is full but for so much."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    found = os.statvfs(path)
                    if leave and found.f_bavail * found.f_frsize <= leave:
                        return
                    file.write(bytes(size))
            except OSError:
                continue
