"""What a flag answers: the value with its variant and reason, in OpenFeature's words.

An answer that is the same for every unit is made once, when the ruleset is read; only an experiment's answer names
the unit it was given to.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from upshot_sdk.bucketing import SPACE, Partition, Range, digester, md5, unit_text
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
        metadata: ``flag``, ``revision``, where a rule decided ``rule``, where the flag's rollout is watched
            ``monitored``, and where an experiment decided all that its exposure needs: ``experiment_id``,
            ``phase``, ``unit``, ``unit_id``, ``attributes``. It must not be changed: what is the same for every
            unit is shared, and read only.
    """

    value: Any
    variant: str | None
    reason: str
    error_code: str | None = None
    error_message: str | None = None
    metadata: Mapping[str, Any] = MappingProxyType({})


_new = tuple.__new__  # what Evaluation(...) ends in; calling it directly takes a third of the time

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
    allocation: Allocation, answers: Mapping[str, Evaluation], exposed: Sequence[str] | None = None
) -> Choose:
    """The answer of an allocation: one of ``answers`` by variant, None for a unit that it does not enrol.

    Args:
        allocation: how units are drawn.
        answers: variant -> its answer.
        exposed: for an experiment, the context attributes that its exposures copy: the answer's metadata then
            name the unit too. None for a rollout.
    """
    # This is the hot path of every split: what it needs are locals, and it calls as few functions as it can.
    unit, prefix, gates = allocation.unit, f"{allocation.salt}.", allocation.gates
    read = None if "." not in unit else attribute(unit)
    enrolled = None if list(allocation.traffic) == [(0, SPACE)] else Partition([(True, allocation.traffic)])
    variants = Partition(
        [(_naming(answers[name], unit, exposed), held) for name, held in allocation.split.items()]
    )
    edges, owners = variants.edges, variants.owners
    copied = {name: attribute(name) for name in exposed or ()}

    def choose(context: Context) -> Evaluation | None:
        unit_id: Any = context.get(unit) if read is None else read(context)
        try:
            if unit_id.__class__ is not str:
                unit_id = unit_text(unit_id)
            words = md5((prefix + unit_id).encode()).digest()
        except (TypeError, UnicodeEncodeError):  # None, or text that has no UTF-8 form
            return _no_unit(unit, attribute(unit)(context))
        for gate in gates:
            passed = gate(context, unit_id)
            if not passed:
                return None if passed is False else _no_unit("unit of the holdout", None)
        if enrolled is not None and enrolled.owner(words[4:8]) is None:
            return None
        answer = owners[bisect_right(edges, words)]
        if exposed is None or answer is None:
            return answer
        value, variant, reason, _, _, known = answer
        metadata = known.copy()  # type: ignore[attr-defined]  # a dict, made by _naming
        metadata["unit_id"] = unit_id
        metadata["attributes"] = _copied(copied, context) if copied else {}
        return _new(Evaluation, (value, variant, reason, None, None, metadata))

    return choose


def _naming(answer: Evaluation, unit: str, exposed: Sequence[str] | None) -> Evaluation:
    """The answer of an experiment with metadata that can be copied quickly; a rollout's stays as it is."""
    return answer if exposed is None else answer._replace(metadata={**answer.metadata, "unit": unit})


def _copied(readers: Mapping[str, Callable[[Context], Any]], context: Context) -> dict[str, Any]:
    found = {name: read(context) for name, read in readers.items()}
    return {name: value for name, value in found.items() if value is not None}


def _no_unit(unit: str, value: object) -> Evaluation:
    """The rule is skipped for want of a unit; an error if no other decides."""
    if value is None:
        return failure(TARGETING_KEY_MISSING, f"the context has no {unit}, which the rule draws on")
    kind = type(value).__name__
    return failure(TARGETING_KEY_MISSING, f"{unit} is a {kind}: a unit is text in UTF-8 or an integer")
