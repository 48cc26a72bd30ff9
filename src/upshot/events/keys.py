"""Which events are kept already: the hashes of their identities, sorted, in files that are searched where they lie.

A key is 128 bits of BLAKE2b over source and message id. Two events with one key would take about 2^64 events, so a
key that is found is a duplicate.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.bytes_]
"""Keys, 16 bytes each."""

_TYPE = np.dtype("S16")


def key(source: str, message_id: str) -> bytes:
    """The key of an event. The length of the source stands before it, so that no two pairs read alike."""
    named = source.encode()
    return blake2b(b"%d:%b%b" % (len(named), named, message_id.encode()), digest_size=16).digest()


def as_keys(found: Iterable[bytes]) -> Keys:
    """Keys as an array, sorted."""
    return np.sort(np.frombuffer(b"".join(found), dtype=_TYPE))


def known(keys: Sequence[bytes], paths: Iterable[Path]) -> frozenset[bytes]:
    """Those of the keys that a file holds."""
    asked = as_keys(keys)
    found: set[bytes] = set()
    for path in paths:
        found.update(_common(asked, _read(path)))
    return frozenset(found)


def merged(paths: Iterable[Path]) -> Keys:
    """The keys of several files, sorted."""
    return np.sort(np.concatenate([_read(path) for path in paths]), kind="stable")


def save_keys(keys: Keys, path: Path) -> None:
    """Write sorted keys; the caller sees to it that they reach the disk."""
    path.write_bytes(keys.tobytes())


def _common(asked: Keys, kept: Keys) -> list[bytes]:
    if not len(asked) or not len(kept):
        return []
    at = np.minimum(np.searchsorted(kept, asked), len(kept) - 1)
    hits = np.asarray(kept[at]) == asked
    return [bytes(one).ljust(16, b"\0") for one in asked[hits]]  # NumPy leaves trailing zeros out


def _read(path: Path) -> Keys:
    if not path.stat().st_size:
        return np.empty(0, dtype=_TYPE)
    return np.memmap(path, dtype=_TYPE, mode="r")
