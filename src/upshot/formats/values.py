"""Values to JSON and back to the bit, in their order: what was stored gives the same verdict when it is read.

Canonical JSON (`upshot.formats.canonical`) is for hashes and forgets what hashes must not see, such as the order of
names; this keeps all of it. Numbers that JSON has no word for are texts. `read_value` makes of the text the dataclass
that it was, by the types of its fields.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Reader = Callable[[Any], Any]


def write_value(value: object) -> str:
    """JSON of a value; infinities and NaN are texts.

    >>> write_value({"a": float("inf"), "b": -0.0, date(2026, 12, 1): (1, None)})
    '{"a":"inf","b":-0.0,"2026-12-01":[1,null]}'
    """
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read_value(cls: type[T], text: str) -> T:
    """The value of a class that a text was written of.

    Raises:
        ValueError: the text holds none.

    >>> read_value(dict[str, float], '{"a":"inf","b":1}')
    {'a': inf, 'b': 1.0}
    """
    read = _reader(cast("Any", cls))
    try:
        value: T = read(json.loads(text))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"this is no {getattr(cls, '__name__', cls)} ({error!r})") from error
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_key_text(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):  # NumPy numbers and arrays
        return _plain(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be written")


def _key_text(key: Any) -> str:
    return json.dumps(_plain(key), ensure_ascii=False) if isinstance(key, tuple) else str(_plain(key))


@cache
def _reader(kind: Any) -> Reader:
    """How a value of a type is read."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _reader(parts[0])
    if origin in (Union, UnionType):
        return _one_of(parts)
    if origin is tuple:
        return _tuple(parts)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return partial(_mapping, _key(parts[0]), _reader(parts[1]))
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}
        return partial(_dataclass, kind, readers)
    return _PLAIN.get(kind) or _other(kind, origin)


def _other(kind: Any, origin: Any) -> Reader:
    if origin is Literal:
        return lambda value: value
    if getattr(origin, "__name__", "") == "ndarray":
        return _array
    raise TypeError(f"{kind} cannot be read")


def _dataclass(cls: Any, readers: Mapping[str, Reader], plain: Mapping[str, Any]) -> Any:
    return cls(**{name: readers[name](value) for name, value in plain.items()})


def _mapping(key: Reader, entry: Reader, plain: Mapping[str, Any]) -> dict[Any, Any]:
    return {key(name): entry(value) for name, value in plain.items()}


def _key(kind: Any) -> Reader:
    """Keys are texts in JSON: days as they are written, tuples as lists."""
    if get_origin(kind) is tuple:
        inner = _reader(kind)
        return lambda text: inner(json.loads(text))
    return _reader(kind)


def _tuple(parts: tuple[Any, ...]) -> Reader:
    if parts[-1] is Ellipsis:
        each = _reader(parts[0])
        return lambda plain: tuple(each(entry) for entry in plain)
    readers = [_reader(part) for part in parts]
    return lambda plain: tuple(read(entry) for read, entry in zip(readers, plain, strict=True))


def _one_of(parts: tuple[Any, ...]) -> Reader:
    inner = [part for part in parts if part is not NoneType]
    if len(inner) != 1:
        raise TypeError(f"which of {inner} a text is cannot be told")
    read = _reader(inner[0])
    return lambda plain: None if plain is None else read(plain)


def _array(plain: Any) -> Any:
    import numpy as np

    return np.array(plain, dtype=np.float64)


def _exactly(kind: type) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"{value!r} is no {kind.__name__}")
        return value

    return read


_PLAIN: dict[Any, Reader] = {
    str: _exactly(str),
    bool: _exactly(bool),
    int: _exactly(int),
    float: float,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
}
