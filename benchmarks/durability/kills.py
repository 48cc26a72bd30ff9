"""kill -9 under load: two processes that accept and one that compacts, over and over.

The client does what clients do: it sends again what was not answered before the kill, and much of what was, since an
answer may be lost, too. In the end every answered batch must be there, each once, as if nothing had happened.
"""

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.durability.children import kill, read_all, result, start
from benchmarks.durability.load import SIZE, endless, expected, rows, send
from upshot.events.compaction import compact
from upshot.events.merge import merge
from upshot.events.reader import connect

PAUSE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Kills:
    """What kills did to what was accepted: compactions that came to their end; events answered, sent again, lost,
    doubled, and changed."""

    kills: int
    compactions: int
    answered: int
    resent: int
    lost: int
    doubled: int
    changed: int

    @property
    def kept(self) -> bool:
        """Whether the promise is."""
        return self.answered > 0 and self.lost == self.doubled == self.changed == 0


def run(times: int, seed: int) -> Kills:
    """Kill so many times and count."""
    rng = random.Random(seed)
    answered: set[int] = set()
    again: list[int] = []
    resent = 0
    with TemporaryDirectory(prefix="upshot-kills-") as name:
        directory = Path(name)
        for number in range(times):
            told = _cycle(directory, again, 1_000_000 * (number + 1), rng)
            resent += len(told) - len(set(told) - answered)
            answered.update(told)
            again = [*_unanswered(told), *rng.sample(sorted(answered), len(told) // 10)]
        return result(lambda: _counted(directory, answered, times, resent))


def _unanswered(told: list[int]) -> list[int]:
    """The batches that were on their way when the processes were killed, and may have been accepted."""
    lives = (max((number for number in told if number % 1_000_000 < 500_000), default=0), max(told))
    return [number for last in lives for number in range(last + 1, last + 9)]


def _cycle(directory: Path, again: list[int], first: int, rng: random.Random) -> list[int]:
    """One life of all processes; the batches that were answered in it, some twice."""
    senders = [
        start(lambda tell: send(directory, endless(again, first), tell, pause=PAUSE)),
        start(lambda tell: send(directory, endless((), first + 500_000), tell, pause=PAUSE)),
    ]
    compactor, rounds = start(lambda tell: _tidy_on(directory, tell))
    early = [os.read(answers, 1 << 16) for _, answers in senders]  # blocks until the first answer of each
    if rng.random() < 0.5:
        os.read(rounds, 1)  # it is killed in its first round, or in a later one
    time.sleep(rng.uniform(0.02, 0.15))
    processes = [compactor, *(sender for sender, _ in senders)]
    for child in rng.sample(processes, len(processes)):
        kill(child)
    os.close(rounds)
    told = [begun + read_all(answers) for begun, (_, answers) in zip(early, senders, strict=True)]
    return [int(line) for text in told for line in text.split(b"\n")[:-1]]


def _tidy_on(directory: Path, tell: int) -> None:
    while True:
        compact(directory)
        merge(directory, after=0)
        os.write(tell, b".")


def _counted(directory: Path, answered: set[int], times: int, resent: int) -> Kills:
    compact(directory)
    merge(directory, after=0)
    compact(directory)
    with connect(directory) as database:
        (compactions,) = database.execute("SELECT count(DISTINCT arrival) FROM events").fetchone() or (0,)
    found = rows(directory)
    ids = [row[0] for row in found]
    present = {int(id_.partition("-")[0]) for id_ in ids}
    return Kills(
        kills=3 * times,
        compactions=compactions,
        answered=len(answered) * SIZE,
        resent=resent * SIZE,
        lost=len({row[0] for row in expected(answered)} - set(ids)),
        doubled=len(ids) - len(set(ids)),
        changed=len(set(found) ^ set(expected(present))),
    )
