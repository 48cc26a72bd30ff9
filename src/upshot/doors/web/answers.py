"""Evaluations as OFREP 0.3.0 writes them.

What real clients need and the text does not say: a variant in every answer (Python's client fails without), reasons
of OpenFeature's enumeration only, floats with their decimal point, metadata of plain values.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from upshot_sdk import Evaluation
from upshot_sdk.bucketing import unit_text

Context = Mapping[str, Any]
Json = dict[str, Any]

_NO_CONTEXT = 'the context must be an object, such as {"context": {"targetingKey": "user-1"}}'


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Why there is no answer."""

    error_code: str
    error_details: str
    key: str | None = None


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A flag's answer; without a value where the caller's default is meant."""

    key: str
    reason: str
    variant: str
    metadata: Json
    value: Any = msgspec.UNSET


class _Asked(msgspec.Struct):
    context: dict[str, Any]


_asked = msgspec.json.Decoder(_Asked)


def read_context(body: bytes) -> Context | Problem:
    """The context of a request's body, or what is wrong with it.

    >>> read_context(b'{"context": {"targetingKey": "u1"}}')
    {'targetingKey': 'u1'}
    >>> read_context(b'{"context": 1}').error_code, read_context(b"{").error_code
    ('INVALID_CONTEXT', 'PARSE_ERROR')
    """
    try:
        return _asked.decode(body).context
    except msgspec.ValidationError as error:
        return Problem("INVALID_CONTEXT", f"{_NO_CONTEXT}; here: {error}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Problem("PARSE_ERROR", f"the body is not JSON: {error}")
    except RecursionError:
        return Problem("PARSE_ERROR", "the body is nested too deep")


def metadata_of(context: Context, revision: str, flag_set: str) -> Json:
    """What every answer tells, by OpenTelemetry's names: whose it is, and of which state of which flags."""
    common: Json = {"flagSetId": flag_set, "version": revision}
    unit = unit_text(context.get("targetingKey"))
    return common if unit is None else {"contextId": unit, **common}


def answer(key: str, found: Evaluation, common: Json, *, hidden: frozenset[str]) -> Answer | Problem:
    """What a flag answered, for who asked.

    Args:
        key, found: the flag and its evaluation.
        common: metadata that every answer has.
        hidden: metadata that this caller is not to see.
    """
    if found.error_code is not None:
        return Problem(found.error_code, found.error_message or "", key)
    metadata = common | {
        name: value
        for name, value in found.metadata.items()
        if name not in hidden and isinstance(value, str | int | float)
    }
    value = msgspec.UNSET if found.variant is None else found.value
    return Answer(key, found.reason, found.variant or "", metadata, value)
