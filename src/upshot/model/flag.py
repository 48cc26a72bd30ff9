"""Flags as people write them: variants, rules, rollouts, experiments, and who may see what.

A flag's *shares* are percentages here; `assignment` turns them into ranges of draws that an evaluator reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

FlagType = Literal["boolean", "string", "number", "object"]
FlagValue = bool | str | int | float | Mapping[str, object] | list[object]
Condition = Mapping[str, object]

TARGETING_KEY = "targetingKey"

Name = Annotated[str, MinLen(1)]
Percentage = Annotated[float, Ge(0), Le(100)]
Weight = Annotated[float, Ge(0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From ``at`` on, ``percentage`` of the eligible units get the rollout's variant.

    Attributes:
        at: when the step is taken, with its offset from UTC.
        percentage: share of eligible units from then on, 0 to 100.
    """

    at: datetime
    percentage: Percentage


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A share of the eligible units gets a variant; growing the share moves nobody.

    Attributes:
        variant: what they get, where ``split`` is empty.
        split: variant -> weight, to give several.
        percentage: share of eligible units, 0 to 100; with ``schedule`` the share before its first step.
        schedule: later shares, each from its own time on.
        unit: the context attribute that is drawn on.
    """

    variant: str | None = None
    split: Mapping[str, Weight] = field(default_factory=dict)
    percentage: Percentage = 100.0
    schedule: tuple[Step, ...] = ()
    unit: Name = TARGETING_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The experiment that a rule runs: which units are enrolled and how they are split.

    Attributes:
        id: the experiment (``EXP-2026-001``).
        split: variant -> weight.
        phase: a stretch with one allocation and one salt, from 1; raising it draws afresh.
        traffic: percentage of eligible units enrolled, 0 to 100.
        unit: the context attribute that is drawn on.
        layer, layer_share: the layer that it shares with others and the percentage of it that it owns.
        holdout: the holdout whose units are kept out of it.
        attributes: context attributes copied into exposures.
        salt: imported from another system to keep its assignments; None: drawn at random when applied.
    """

    id: Name
    split: Mapping[str, Weight]
    phase: Annotated[int, Ge(1)] = 1
    traffic: Percentage = 100.0
    unit: Name = TARGETING_KEY
    layer: str | None = None
    layer_share: Percentage = 100.0
    holdout: str | None = None
    attributes: tuple[str, ...] = ()
    salt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The first rule that applies decides. Exactly one of variant, rollout and experiment.

    Attributes:
        id: unique within its flag; draws are remembered by it.
        when: a condition over the context, None: everybody.
        segments: names of segments of which a unit must be in one.
        variant: what all whom the rule is met by get.
        rollout: a share of them gets a variant.
        experiment: they are enrolled and split.
        starts, until: the rule is in force from and before these times.
    """

    id: Name
    when: Condition | None = None
    segments: tuple[str, ...] = ()
    variant: str | None = None
    rollout: Rollout | None = None
    experiment: Trial | None = None
    starts: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prerequisite:
    """The flag is served only where another flag gives one of these variants.

    Attributes:
        flag: the other flag.
        variants: those of its variants that will do.
    """

    flag: str
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """Limits of a rollout. Written as the seed writes them: a share of errors and milliseconds.

    Attributes:
        error_threshold: largest tolerable share of failing units, in [0, 1].
        latency_threshold: largest tolerable p95 latency in milliseconds.
        auto_kill: whether a breach turns the flag off by itself.
    """

    error_threshold: Annotated[float, Ge(0), Le(1)] | None = None
    latency_threshold: Annotated[float, Gt(0)] | None = None
    auto_kill: bool = False

    @property
    def has_limit(self) -> bool:
        """Whether there is anything to watch."""
        return self.error_threshold is not None or self.latency_threshold is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A flag: a value that differs by unit, decided by ordered rules.

    Attributes:
        key: its name in code.
        type: boolean, string, number or object.
        variants: name -> value of that type.
        default: the variant where no rule applies; None: the caller's default.
        enabled: False is the kill switch, the caller's default for all.
        rules: the first that applies decides.
        overrides: unit id -> variant, for QA; sends no exposure.
        prerequisites: all must hold, else the default variant is served.
        description, owner, expires: what it is for, who asked for it and when it should be gone.
        monitoring: limits that watch its rollout.
        metadata: plain values told with every answer, such as a ticket; telemetry sees them.
    """

    key: str
    type: FlagType
    variants: Mapping[str, FlagValue]
    default: str | None = None
    enabled: bool = True
    rules: tuple[Rule, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    prerequisites: tuple[Prerequisite, ...] = ()
    description: str = ""
    owner: str = ""
    expires: date | None = None
    monitoring: Monitoring | None = None
    metadata: Mapping[str, bool | int | float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A named condition over a context.

    Attributes:
        name: what rules call it.
        when: the condition.
        description: who is in it, in words.
    """

    name: str
    when: Condition
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Units that experiments divide among themselves, so that none is in two of them.

    Attributes:
        name: what experiments call it.
        unit: the context attribute that is drawn on; its experiments draw on the same.
        description: what it is for, in words.
    """

    name: str
    unit: Name = TARGETING_KEY
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """A percentage of units that is kept out of the experiments that name it.

    Attributes:
        name: what experiments call it.
        percentage: share of units kept out, 0 to 100.
        unit: the context attribute that is drawn on.
        description: what it is for, in words.
    """

    name: str
    percentage: Percentage
    unit: Name = TARGETING_KEY
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSet:
    """All that one ruleset is made of, by name."""

    flags: Mapping[str, Flag] = field(default_factory=dict)
    segments: Mapping[str, Segment] = field(default_factory=dict)
    layers: Mapping[str, Layer] = field(default_factory=dict)
    holdouts: Mapping[str, Holdout] = field(default_factory=dict)
