"""What tells two states of a flag apart without keeping either: a digest of all that its answers depend on."""

import json
from collections.abc import Iterable, Mapping
from hashlib import md5


def fingerprint(flag: object, needed: Iterable[bytes], shared: bytes) -> bytes:
    """The digest of a flag: of its definition, the flags that it needs, and, if it has rules, of what they share.

    Args:
        flag: its definition.
        needed: the fingerprints of the flags that it needs.
        shared: the digest of segments, layers and holdouts. They count as a whole: a flag may be told changed that
            is not, and never the other way.
    """
    ruled = isinstance(flag, Mapping) and flag.get("rules")
    return md5(b"".join((digest(flag), *needed, shared if ruled else b"")), usedforsecurity=False).digest()


def digest(value: object) -> bytes:
    """The digest of a part of a payload."""
    try:
        return md5(json.dumps(value, default=dict).encode(), usedforsecurity=False).digest()
    except (TypeError, ValueError, RecursionError):  # no JSON: it cannot be read, whatever it says
        return b"unreadable"
