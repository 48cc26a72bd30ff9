"""Canonical JSON and its hash: the same value gives the same bytes on every machine."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Any


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no blanks; whole floats as integers, days as ISO 8601.

    Raises ValueError for NaN and infinities and TypeError for what JSON has no word for: neither can be
    compared with itself later.

    >>> canonical_json({"b": 1.0, "a": [date(2026, 12, 1), None]})
    '{"a":["2026-12-01",null],"b":1}'
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def content_hash(value: object) -> str:
    """SHA-256 of the canonical JSON, as ``sha256:`` and 64 hexadecimal digits.

    >>> content_hash({"alpha": 0.05})[:15]
    'sha256:e7fcc53d'
    """
    return "sha256:" + hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _plain(value: object) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, AbstractSet):
        return sorted((_plain(entry) for entry in value), key=repr)
    if hasattr(value, "tolist"):  # NumPy numbers and arrays
        return _plain(value.tolist())
    raise TypeError(f"{type(value).__name__} has no canonical JSON")


def _key(key: object) -> str:
    if isinstance(key, tuple):
        return json.dumps([_key(part) for part in key], ensure_ascii=False)
    return key.isoformat() if isinstance(key, date) else str(key)
