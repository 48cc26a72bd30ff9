"""Flags as people write them: variants, rules, rollouts, experiments, and who may see what.

A flag's *shares* are percentages here; `assignment` turns them into ranges of draws that an evaluator reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

FlagType = Literal["boolean", "string", "number", "object"]
FlagValue = bool | str | int | float | Mapping[str, object] | list[object]
Condition = Mapping[str, object]

TARGETING_KEY = "targetingKey"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From ``at`` on, ``percentage`` of the eligible units get the rollout's variant."""

    at: datetime
    percentage: float


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
    split: Mapping[str, float] = field(default_factory=dict)
    percentage: float = 100.0
    schedule: tuple[Step, ...] = ()
    unit: str = TARGETING_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The experiment that a rule runs: which units are enrolled and how they are split.

    Attributes:
        id: the experiment (``EXP-2026-001``). phase: a stretch with one allocation and one salt, from 1.
        traffic: percentage of eligible units enrolled. split: variant -> weight.
        layer, layer_share: the layer that it shares with others and the percentage of it that it owns.
        holdout: units kept out of it. attributes: context attributes copied into exposures.
        salt: imported from another system to keep its assignments; None: drawn at random when applied.
    """

    id: str
    split: Mapping[str, float]
    phase: int = 1
    traffic: float = 100.0
    unit: str = TARGETING_KEY
    layer: str | None = None
    layer_share: float = 100.0
    holdout: str | None = None
    attributes: tuple[str, ...] = ()
    salt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The first rule that applies decides. Exactly one of variant, rollout and experiment.

    Attributes:
        id: unique within its flag. when: a condition over the context, None: everybody.
        segments: names of segments of which a unit must be in one.
        starts, until: the rule is in force from and before these times.
    """

    id: str
    when: Condition | None = None
    segments: tuple[str, ...] = ()
    variant: str | None = None
    rollout: Rollout | None = None
    experiment: Trial | None = None
    starts: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prerequisite:
    """The flag is served only where another flag gives one of these variants."""

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

    error_threshold: float | None = None
    latency_threshold: float | None = None
    auto_kill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A flag: a value that differs by unit, decided by ordered rules.

    Attributes:
        key: its name in code. type, variants: what it can be. default: the variant where no rule applies;
            None: the caller's default. enabled: False is the kill switch, the caller's default for all.
        rules: the first that applies decides. overrides: unit id -> variant, for QA; sends no exposure.
        prerequisites: all must hold, else the default variant is served.
        description, owner, expires: who asked for it and when it should be gone.
        monitoring: limits that watch its rollout.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A named condition over a context."""

    name: str
    when: Condition
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Units that experiments divide among themselves, so that none is in two of them."""

    name: str
    unit: str = TARGETING_KEY
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """A percentage of units that is kept out of the experiments that name it."""

    name: str
    percentage: float
    unit: str = TARGETING_KEY
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSet:
    """All that one ruleset is made of, by name."""

    flags: Mapping[str, Flag] = field(default_factory=dict)
    segments: Mapping[str, Segment] = field(default_factory=dict)
    layers: Mapping[str, Layer] = field(default_factory=dict)
    holdouts: Mapping[str, Holdout] = field(default_factory=dict)
