"""A ruleset: the payload of all flags, validated, compiled and asked.

`docs/ruleset.md` is the published format. Reading reports every mistake at once; evaluating never raises.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from time import time
from typing import Any

from upshot_sdk.evaluation import (
    FLAG_NOT_FOUND,
    GENERAL,
    INVALID_CONTEXT,
    PARSE_ERROR,
    TYPE_MISMATCH,
    Evaluation,
    failure,
)
from upshot_sdk.flags import Clock, Flag
from upshot_sdk.node import Problem, RulesetError, shortened
from upshot_sdk.payload import Payload, read_payload
from upshot_sdk.targeting import Context
from upshot_sdk.values import given_as


class Ruleset:
    """Flags that can be evaluated. It is immutable; a changed configuration is a new ruleset.

    Attributes:
        revision: what the payload calls this state of the configuration.
        problems: what was wrong with a payload that was read with ``strict=False``; empty otherwise.
        fingerprints: flag -> digest of all that its answers depend on, see `changed_since`.
    """

    __slots__ = ("_flags", "_unusable", "fingerprints", "problems", "revision")

    def __init__(self, read: Payload) -> None:
        self.revision = read.revision
        self.problems = read.problems
        self._flags = read.flags
        self._unusable = read.unusable
        self.fingerprints = read.fingerprints

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any], *, strict: bool = True) -> "Ruleset":
        """Validate and compile a payload.

        Args:
            payload: as `docs/ruleset.md` describes it.
            strict: refuse a payload with any mistake. Otherwise a flag that cannot be read answers PARSE_ERROR
                and the others work: one bad flag must not keep a kill switch from being heard.

        Raises:
            RulesetError: with all problems; without ``strict`` only where nothing of it can be used.
        """
        read = read_payload(payload)
        if read.problems and (strict or not read.usable):
            raise RulesetError(read.problems)
        return cls(read)

    @classmethod
    def from_json(cls, text: str | bytes, *, strict: bool = True) -> "Ruleset":
        """`from_dict` of JSON text.

        Raises:
            RulesetError: the text is not JSON, or as `from_dict`.
        """
        try:
            payload = json.loads(text, parse_constant=_refuse_constant)
        except RecursionError:
            raise RulesetError((Problem("ruleset", "the JSON is nested too deep"),)) from None
        except ValueError as error:
            raise RulesetError((Problem("ruleset", f"this is not JSON: {error}"),)) from None
        return cls.from_dict(payload, strict=strict)

    @property
    def flag_keys(self) -> tuple[str, ...]:
        """The keys of all flags, in the payload's order; those that answer PARSE_ERROR come last."""
        return (*self._flags, *self._unusable)

    def flag_type(self, flag_key: str) -> str | None:
        """boolean, string, number or object; None for a flag that is not there."""
        flag = self._flags.get(flag_key)
        return None if flag is None else flag.kind

    def changed_since(self, older: "Ruleset") -> tuple[str, ...]:
        """Keys of the flags that were added or removed, or that may answer otherwise than in an older ruleset.

        A change of a segment, layer or holdout counts for every flag that has rules.
        """
        now, then = self.fingerprints, older.fingerprints
        return tuple(key for key in {**then, **now} if now.get(key) != then.get(key))

    def evaluate(
        self,
        flag_key: str,
        context: Context | None = None,
        default: Any = None,
        now: datetime | float | None = None,
    ) -> Evaluation:
        """What a flag answers to a context. Never raises.

        Args:
            flag_key: the flag.
            context: attributes of who asks; ``targetingKey`` is the usual unit.
            default: given where the flag cannot answer. Its type is the type that is asked for: a number comes as
                an int or a float accordingly, anything that does not fit is a TYPE_MISMATCH. None asks for none.
            now: an aware datetime or seconds since 1970, for rules with ``from`` or ``until``; None: now.
        """
        try:
            flag = self._flags.get(flag_key)
            if flag is None:
                return self._absent(flag_key, default)
            answer = flag.decide({} if context is None else context, time if now is None else _clock(now))
            if answer.variant is not None and default.__class__ in flag.types:
                return answer
            return _settled(answer, flag, default)
        except Exception as error:  # whatever a context does, the application goes on
            return self._survived(error, flag_key, context, default)

    def _failed(self, code: str, message: str, flag_key: str, default: Any) -> Evaluation:
        metadata = {"flag": flag_key, "revision": self.revision}
        return failure(code, message, metadata)._replace(value=default)

    def _absent(self, flag_key: str, default: Any) -> Evaluation:
        if flag_key in self._unusable:
            return self._failed(PARSE_ERROR, self._unusable[flag_key], flag_key, default)
        return self._failed(FLAG_NOT_FOUND, f"there is no flag {shortened(flag_key)}", flag_key, default)

    def _survived(self, error: Exception, flag_key: str, context: object, default: Any) -> Evaluation:
        if not isinstance(context, Mapping | None):
            message = f"the context is a {type(context).__name__}: give a mapping of attributes"
            return self._failed(INVALID_CONTEXT, message, flag_key, default)
        return self._failed(GENERAL, shortened(error), flag_key, default)


def _settled(answer: Evaluation, flag: Flag, default: Any) -> Evaluation:
    """The answer for this caller: the default where there is no variant, the value as the wanted type where it fits."""
    if answer.variant is None:
        return answer._replace(value=default, metadata=flag.metadata)
    value, fits = given_as(answer.value, default)
    if fits:
        return answer._replace(value=value)
    wanted = type(default).__name__
    message = f"the flag's value is of type {flag.kind}, the default is of type {wanted}"
    return failure(TYPE_MISMATCH, message, flag.metadata)._replace(value=default)


def _clock(now: datetime | float) -> Clock:
    if isinstance(now, datetime):
        if now.tzinfo is None:
            raise ValueError("now has no time zone: give an aware datetime")
        return now.timestamp
    return lambda: now


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")
