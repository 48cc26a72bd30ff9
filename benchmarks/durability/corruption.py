"""Segments damaged at random: no frame that was not written is ever read, and none before the damage is missed."""

import random
from dataclasses import dataclass
from itertools import accumulate

from benchmarks.durability.load import batch
from upshot.events.frame import Frame, decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Corruptions:
    """What damage did: segments damaged, frames accepted that were never written, frames missed before the damage."""

    damaged: int
    accepted: int
    missed: int

    @property
    def kept(self) -> bool:
        """Whether the promise is."""
        return self.accepted == self.missed == 0


def run(times: int, seed: int) -> Corruptions:
    """Damage a segment so many times."""
    rng = random.Random(seed)
    written = [batch(number) for number in range(6)]
    ends = list(accumulate(len(encode(frame)) for frame in written))
    segment = b"".join(map(encode, written))
    accepted = missed = 0
    for _ in range(times):
        damaged, at = _damaged(segment, rng)
        read = {item for item in decode(damaged) if isinstance(item, Frame)}
        accepted += len(read - set(written))
        missed += len({frame for frame, end in zip(written, ends, strict=True) if end <= at} - read)
    return Corruptions(damaged=times, accepted=accepted, missed=missed)


def _damaged(segment: bytes, rng: random.Random) -> tuple[bytes, int]:
    """A segment gone bad in one of the ways in which they do, and where the damage begins."""
    at = rng.randrange(len(segment))
    length = rng.choice([1, 8, 64, 512, 4096])
    behind = segment[at + length :]
    ways = (
        bytes([segment[at] ^ (1 << rng.randrange(8))]) + segment[at + 1 :],
        bytes(len(segment) - at),
        bytes(length) + behind,
        rng.randbytes(length) + behind,
        behind,
        rng.randbytes(length) + segment[at:],
    )
    return segment[:at] + rng.choice(ways), at
