"""What a flag answers: the value with its variant and reason, in OpenFeature's words.

An answer that is the same for every unit is made once, when the ruleset is read; only an experiment's answer names
the unit it was given to.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from upshot_sdk.bucketing import SPACE, Partition, Range, digester, unit_text
from upshot_sdk.targeting import Context, attribute

STATIC = "STATIC"
TARGETING_MATCH = "TARGETING_MATCH"
SPLIT = "SPLIT"
DEFAULT = "DEFAULT"
DISABLED = "DISABLED"
ERROR = "ERROR"

FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
PARSE_ERROR = "PARSE_ERROR"
TYPE_MISMATCH = "TYPE_MISMATCH"
TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
INVALID_CONTEXT = "INVALID_CONTEXT"
GENERAL = "GENERAL"


class Evaluation(NamedTuple):
    """The answer of a flag to a context.

    Attributes:
        value: the variant's value, or the caller's default where no variant was chosen.
        variant: which variant; None: the caller's default.
        reason: STATIC, TARGETING_MATCH, SPLIT, DEFAULT, DISABLED or ERROR.
        error_code, error_message: OpenFeature's code and a sentence, with reason ERROR only.
        metadata: ``flag``, ``revision``, where a rule decided ``rule``, and where an experiment did all that its
            exposure needs: ``experiment_id``, ``phase``, ``unit``, ``unit_id``, ``attributes``. It is read only.
    """

    value: Any
    variant: str | None
    reason: str
    error_code: str | None = None
    error_message: str | None = None
    metadata: Mapping[str, Any] = MappingProxyType({})


Choose = Callable[[Context], Evaluation | None]
Gate = Callable[[Context, str], bool | None]
Ranges = Sequence[Range]


def failure(code: str, message: str, metadata: Mapping[str, Any] = MappingProxyType({})) -> Evaluation:
    """An answer without a variant, because something is wrong."""
    return Evaluation(None, None, ERROR, code, message, metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Who of the eligible units is enrolled, and which variant they get.

    Attributes:
        salt, unit: what is drawn with, and the attribute that is drawn on.
        traffic: ranges of word 1 that are enrolled. split: variant -> ranges of word 0.
        gates: what keeps enrolled units out: a layer, a holdout.
    """

    salt: str
    unit: str
    traffic: Ranges
    split: Mapping[str, Ranges]
    gates: tuple[Gate, ...] = ()


def layer_gate(salt: str, ranges: Ranges) -> Gate:
    """Only units whose draw in the layer the experiment owns may pass."""
    owned = _drawn_in(salt, ranges)
    return lambda _, unit_id: owned(unit_id)


def holdout_gate(salt: str, unit: str, ranges: Ranges) -> Gate:
    """Units that the holdout draws may not pass; None where there is no unit to draw on."""
    held, read = _drawn_in(salt, ranges), attribute(unit)

    def gate(context: Context, _: str) -> bool | None:
        unit_id = unit_text(read(context))
        return None if unit_id is None else not held(unit_id)

    return gate


def _drawn_in(salt: str, ranges: Ranges) -> Callable[[str], bool]:
    digest, inside = digester(salt), Partition([(True, ranges)])
    return lambda unit_id: inside.owner(digest(unit_id)) is not None


def allocate(
    allocation: Allocation,
    answers: Mapping[str, Evaluation],
    exposed: Sequence[str] | None = None,
) -> Choose:
    """The answer of an allocation: one of ``answers`` by variant, None for a unit that it does not enrol.

    Args:
        allocation: how units are drawn.
        answers: variant -> its answer.
        exposed: for an experiment, the context attributes that its exposures copy: the answer's metadata then
            name the unit too. None for a rollout.
    """
    read = attribute(allocation.unit)
    digest = digester(allocation.salt)
    gates = allocation.gates
    everybody = list(allocation.traffic) == [(0, SPACE)]
    enrolled = Partition([(True, allocation.traffic)]).owner
    variants = Partition([(answers[variant], ranges) for variant, ranges in allocation.split.items()])
    edges, owners = variants.edges, variants.owners
    expose = None if exposed is None else _exposing(allocation.unit, exposed)

    def choose(context: Context) -> Evaluation | None:
        unit_id = read(context)
        try:
            if unit_id.__class__ is not str:
                unit_id = unit_text(unit_id)
            words = digest(unit_id)
        except (TypeError, UnicodeEncodeError):  # None, or text that has no UTF-8 form
            return _no_unit(allocation.unit, read(context))
        for gate in gates:
            passed = gate(context, unit_id)
            if not passed:
                return None if passed is False else _no_unit("of the holdout", None)
        if not everybody and enrolled(words[4:8]) is None:
            return None
        answer = owners[bisect_right(edges, words)]
        if expose is None or answer is None:
            return answer
        return expose(answer, unit_id, context)

    return choose


def _exposing(unit: str, attributes: Sequence[str]) -> Callable[[Evaluation, str, Context], Evaluation]:
    """The same answer with what its exposure needs to know of the unit."""
    readers = {name: attribute(name) for name in attributes}

    def expose(answer: Evaluation, unit_id: str, context: Context) -> Evaluation:
        value, variant, reason, _, _, known = answer
        metadata = {**known, "unit": unit, "unit_id": unit_id, "attributes": {}}
        for name, read in readers.items():
            found = read(context)
            if found is not None:
                metadata["attributes"][name] = found
        return Evaluation(value, variant, reason, None, None, metadata)

    return expose


def _no_unit(unit: str, value: object) -> Evaluation:
    """The rule is skipped for want of a unit; an error if no other decides."""
    if value is None:
        return failure(TARGETING_KEY_MISSING, f"the context has no {unit}, which the rule draws on")
    kind = type(value).__name__
    return failure(TARGETING_KEY_MISSING, f"{unit} is a {kind}: a unit is text in UTF-8 or an integer")
