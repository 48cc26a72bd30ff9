"""A power cut: the disk as it is at one moment, without what the machine still held in memory.

The data directory lies on an ext4 image that is mounted so that it writes by itself only once a minute. Under load
the sender is frozen, the image is copied, and the copy is mounted as after a restart: what was answered must be
there. This needs root. For comparison, what would be lost of writes that were never synced is counted, too: were it
nothing, the proof would prove nothing.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.durability.children import kill, result, start
from benchmarks.durability.load import SIZE, endless, expected, rows, send
from upshot.events.compaction import compact
from upshot.events.merge import merge

UNSYNCED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCuts:
    """What power cuts did: cuts, events answered, lost and wrong; files that were written without a sync, and how
    many of those were lost."""

    cuts: int
    answered: int
    lost: int
    wrong: int
    unsynced: int
    unsynced_lost: int

    @property
    def kept(self) -> bool:
        """Whether the promise is."""
        return self.answered > 0 and self.unsynced_lost > 0 and self.lost == self.wrong == 0


def possible() -> str | None:
    """Why it cannot be run here; None where it can."""
    if os.geteuid():
        return "only root can mount a disk image"
    if not shutil.which("mkfs.ext4"):
        return "mkfs.ext4 is not installed"
    with TemporaryDirectory(prefix="upshot-cut-") as name:
        image = Path(name) / "image"
        _make(image)
        done = subprocess.run(
            ["mount", "-o", "loop", image, _directory(name)], check=False, capture_output=True
        )
        if done.returncode:
            return f"no disk image can be mounted here ({done.stderr.decode().strip()})"
        subprocess.run(["umount", _directory(name)], check=True)
    return None


def run(times: int, _seed: int) -> PowerCuts:
    """Cut the power so many times."""
    found = [_cut() for _ in range(times)]
    return PowerCuts(
        cuts=times,
        answered=sum(one.answered for one in found),
        lost=sum(one.lost for one in found),
        wrong=sum(one.wrong for one in found),
        unsynced=sum(one.unsynced for one in found),
        unsynced_lost=sum(one.unsynced_lost for one in found),
    )


def _cut() -> PowerCuts:
    with TemporaryDirectory(prefix="upshot-cut-") as name:
        image, copy = Path(name) / "image", Path(name) / "copy"
        _make(image)
        with _mounted(image, _directory(name)) as disk:
            answered = _under_load(disk, lambda: shutil.copyfile(image, copy))
        with _mounted(copy, _directory(name)) as disk:
            return result(lambda: _counted(disk, answered))


def _under_load(disk: Path, cut: Callable[[], object]) -> set[int]:
    (disk / "unsynced").mkdir()
    os.sync()
    for number in range(UNSYNCED):
        (disk / "unsynced" / str(number)).write_bytes(bytes(1000))
    sender, answers = start(lambda tell: send(disk / "data", endless((), 0), tell))
    compactor, nothing = start(lambda _: _tidy_on(disk / "data"))
    told = os.read(answers, 1 << 16)
    time.sleep(0.5)
    for child in (sender, compactor):
        os.kill(child, signal.SIGSTOP)
    os.set_blocking(answers, False)
    told += os.read(answers, 1 << 20)
    cut()
    for child in (sender, compactor):
        kill(child)
    os.close(answers)
    os.close(nothing)
    *whole, _ = told.split(b"\n")
    return {int(line) for line in whole}


def _tidy_on(directory: Path) -> None:
    while True:
        compact(directory)
        merge(directory, after=0)


def _counted(disk: Path, answered: set[int]) -> PowerCuts:
    compact(disk / "data")
    found = rows(disk / "data")
    present = {int(row[0].partition("-")[0]) for row in found}
    lying = [path for path in (disk / "unsynced").iterdir() if path.stat().st_size == 1000]
    return PowerCuts(
        cuts=1,
        answered=len(answered) * SIZE,
        lost=len(set(expected(answered)) - set(found)),
        wrong=len(found) - len(set(found)) + len(set(found) ^ set(expected(present))),
        unsynced=UNSYNCED,
        unsynced_lost=UNSYNCED - len(lying),
    )


def _make(image: Path) -> None:
    with image.open("wb") as file:
        file.truncate(96 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)


def _directory(name: str) -> Path:
    directory = Path(name) / "disk"
    directory.mkdir(exist_ok=True)
    return directory


@contextmanager
def _mounted(image: Path, directory: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-o", "loop,commit=60", image, directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)
