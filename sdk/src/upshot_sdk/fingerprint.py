"""What tells two states of a flag apart without keeping either: a digest of all that its answers depend on."""

import json
from collections.abc import Mapping
from hashlib import md5
from typing import Any

from upshot_sdk.flags import prerequisite_keys


def fingerprints(payload: Mapping[str, Any]) -> dict[str, bytes]:
    """Flag -> digest of its definition, of the flags that it needs, and, if it has rules, of what they share.

    What is shared (segments, layers, holdouts) counts as a whole: a flag may be told changed that is not, and never
    the other way.
    """
    flags = payload["flags"]
    own = {key: _digest(flag) for key, flag in flags.items()}
    shared = _digest([payload.get(name) for name in ("segments", "layers", "holdouts")])
    return {key: _whole(key, flags, own, shared) for key in flags}


def _whole(key: str, flags: Mapping[str, Any], own: Mapping[str, bytes], shared: bytes) -> bytes:
    if not isinstance(flags[key], Mapping):
        return own[key]
    reached, waiting = {key: None}, [key]
    while waiting:
        needed = prerequisite_keys(flags[waiting.pop()]) - reached.keys()
        reached |= dict.fromkeys(sorted(needed & flags.keys()))
        waiting += needed & flags.keys()
    ruled = any(flags[name].get("rules") for name in reached if isinstance(flags[name], Mapping))
    return b"".join(own[name] for name in reached) + (shared if ruled else b"")


def _digest(value: object) -> bytes:
    try:
        return md5(json.dumps(value, default=dict).encode(), usedforsecurity=False).digest()
    except (TypeError, ValueError, RecursionError):  # no JSON: such a flag cannot be read, whatever it says
        return b"unreadable"
