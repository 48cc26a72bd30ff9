"""kill -9 at every step of what changes files: compaction, merging, the deletion of a person, and of what is old.

A step is a call that changes the disk. The work runs again and again from the same start and is killed before its
first step, its second, and so on until it comes to its end. After each kill readers must see what is right at once,
and doing the work again must end as if nothing had happened.
"""

import logging
import os
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.durability.children import result
from benchmarks.durability.load import EPOCH, Row, batch, expected, rows
from upshot.events import merge as merging
from upshot.events.compaction import compact
from upshot.events.deletion import delete_unit, finish_deletions
from upshot.events.expiry import expire
from upshot.events.frame import encode
from upshot.events.layout import DataDirectory
from upshot.events.manifest import Manifest
from upshot.events.merge import merge

CALLS = ("write", "rename", "unlink", "ftruncate")
CHANGES = ("commit", "intern", "forget")
"""Calls of `os` (pathlib makes them, too) and of the manifest that change what is on the disk. Syncs are none: what a
process has written outlives it; `power_cut` asks after those."""

HIM = "u5"
OLD = 4
"""So many batches of a world, its first, are old."""
FIRST = "first"

merging.BUCKETS = 2  # as many steps as it takes to be at each, and not eight times as many
logging.disable(logging.WARNING)  # torn tails are meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What kills at every step did: kills, events lost, doubled or changed, and remains of a deleted person."""

    kills: int
    violations: int
    remains: int

    def __add__(self, other: "Steps") -> "Steps":
        return Steps(
            kills=self.kills + other.kills,
            violations=self.violations + other.violations,
            remains=self.remains + other.remains,
        )

    @property
    def kept(self) -> bool:
        """Whether the promise is."""
        return self.kills > 0 and self.violations == self.remains == 0


def run(times: int, seed: int) -> Steps:
    """Kill every work at every step, in one world after another; where fewer kills are asked for, at some steps."""
    rng = random.Random(seed)
    found = Steps(kills=0, violations=0, remains=0)
    while found.kills < times:
        for number, work in enumerate(WORKS):
            most = max((times - found.kills) // (len(WORKS) - number), 1)
            found += _in_one_world(work, most, rng)
    return found


def compacted(directory: Path) -> None:
    """Compact what waits."""
    compact(directory)


def merged(directory: Path) -> None:
    """Compact and merge what waits."""
    compact(directory)
    merge(directory, after=0)


def deleted(directory: Path) -> None:
    """Delete a person."""
    delete_unit(directory, HIM, until=EPOCH * 2)


def expired(directory: Path) -> None:
    """Remove what is old."""
    first = int((directory / FIRST).read_text())
    expire(directory, batch(first + OLD).received_at)


Work = Callable[[Path], None]
WORKS: tuple[Work, ...] = (compacted, merged, deleted, expired)


def _in_one_world(work: Work, most: int, rng: random.Random) -> Steps:
    """Kill the work at its steps, each time in a copy of one world."""
    with TemporaryDirectory(prefix="upshot-steps-") as name:
        start = Path(name) / "start"
        numbers = result(lambda: _world(start, rng.randrange(10**6)))
        steps = result(lambda: _killed_at(work, _copied(start, Path(name) / "whole"), 0))
        judged = [
            _judged_at(work, start, Path(name) / str(step), step, numbers)
            for step in sorted(rng.sample(range(1, steps + 1), min(most, steps)))
        ]
    return sum(judged, Steps(kills=0, violations=0, remains=0))


def _judged_at(work: Work, start: Path, directory: Path, step: int, numbers: list[int]) -> Steps:
    _copied(start, directory)
    assert result(lambda: _killed_at(work, directory, step)) is None, "it was not killed"
    wrong, left = result(lambda: _judged(work, directory, numbers))
    shutil.rmtree(directory)
    return Steps(kills=1, violations=wrong, remains=left)


def _copied(start: Path, directory: Path) -> Path:
    return shutil.copytree(start, directory)


def _world(directory: Path, first: int) -> list[int]:
    """Events in merged files, in loose ones, in segments of dead processes with torn tails, some of them twice."""
    place = DataDirectory(directory)
    place.make()
    (directory / FIRST).write_text(str(first))
    numbers = list(range(first, first + 8))
    for part, tidy in ((numbers[:4], merge), (numbers[2:6], None)):
        _put(place, part, ".seg", b"")
        compact(directory)
        if tidy is not None:
            tidy(directory, after=0)
    _put(place, numbers[4:7], ".seg", b'{"batch":[{"type":"track","userId":"%b"}]}' % HIM.encode())
    _put(place, numbers[5:], ".open", b"")
    return numbers


def _put(place: DataDirectory, numbers: list[int], suffix: str, rejected: bytes) -> None:
    frames = [batch(number) for number in numbers]
    content = b"".join(map(encode, frames))
    if rejected:
        content += encode(type(frames[0])(frames[0].source, EPOCH, rejected))
    torn = encode(frames[0])[:-9] if suffix == ".open" else b""
    (place.log / f"{numbers[0]:020}-1-steps{suffix}").write_bytes(content + torn)


def _killed_at(work: Work, directory: Path, step: int) -> int:
    """Do the work and be killed before this step of it; the steps that it has where it has fewer."""
    counted = 0

    def stepping(call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **options: Any) -> Any:
            nonlocal counted
            counted += 1
            if counted == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return stepped

    for name in CALLS:
        setattr(os, name, stepping(getattr(os, name)))
    for name in CHANGES:
        setattr(Manifest, name, stepping(getattr(Manifest, name)))
    work(directory)
    return counted


def _judged(work: Work, directory: Path, numbers: list[int]) -> tuple[int, int]:
    """Whether events are wrong right after a kill or after the work is done again; whether anything of him is left."""
    everybody = expected(numbers)
    right = [row for row in everybody if _stays(work, row, numbers[OLD])]
    at_once = rows(directory)
    if work is deleted:
        finish_deletions(directory)
    work(directory)
    in_the_end = rows(directory)
    wrong = int(not _between(at_once, right, everybody)) + int(in_the_end != right)
    return wrong, int(work is deleted and _remains(directory))


def _stays(work: Work, row: Row, young: int) -> bool:
    """Whether an event is there after a work."""
    if work is expired:
        return int(row[0].partition("-")[0]) >= young
    return work is not deleted or row[1] != HIM


def _between(found: list[Row], least: list[Row], most: list[Row]) -> bool:
    """Whether nothing is twice, nothing is missing that must be there, and nothing is there that may not."""
    return len(set(found)) == len(found) and set(least) <= set(found) <= set(most)


def _remains(directory: Path) -> bool:
    """Whether his id stands anywhere in a file that is not compressed."""
    named = b'"%b"' % HIM.encode()
    return any(named in path.read_bytes() for path in directory.rglob("*") if path.is_file())
