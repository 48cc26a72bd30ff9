"""Answers that a test has decided on: they stand until its block ends."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from upshot_sdk.evaluation import STATIC, Evaluation
from upshot_sdk.values import given_as


@dataclass(frozen=True, slots=True)
class Override:
    """What a flag answers, whoever asks."""

    variant: str
    value: Any


Overrides = Mapping[str, Override]

overrides: ContextVar[Overrides] = ContextVar("upshot_overrides", default=MappingProxyType({}))
"""Those of this thread or task, and of what it calls."""

everywhere: list[Overrides] = []
"""Those of every thread of the process, the newest last."""


def overridden(flag_key: object, default: Any) -> Evaluation | None:
    """The answer that a test has decided on; None where it said nothing about this flag.

    Raises:
        TypeError: the value is not of the default's type: a mistake of the test, and the place to hear of it.
    """
    if not isinstance(flag_key, str):  # an evaluation never raises, whatever it is asked
        return None
    override = overrides.get().get(flag_key)
    if override is None and everywhere:
        override = next((found[flag_key] for found in reversed(everywhere) if flag_key in found), None)
    if override is None:
        return None
    value, fits = given_as(override.value, default)
    if not fits:
        raise TypeError(
            f"the override of flag {flag_key!r} is {override.value!r} and the default is of type "
            f'{type(default).__name__}: give variant and value, such as ("{override.variant}", {default!r})'
        )
    return Evaluation(value, override.variant, STATIC, metadata={"flag": flag_key, "override": True})
