"""Analysis: what a plan and its evidence say, as one value. `Analysis.to_dict` is the JSON contract."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from upshot.model.metric import Better, Kind, Role
from upshot.model.plan import Monitoring

CheckName = Literal[
    "sample_ratio", "exposure_conflicts", "duplicate_rows", "missing_outcomes", "unseen_variants", "outliers",
    "pre_period", "sample_size",
]  # fmt: skip
CheckStatus = Literal["pass", "warn", "fail", "skipped"]
GuardrailState = Literal["harmed", "held", "unproven"]
Bounds = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A test of whether the data can be believed.

    Attributes:
        name, status: fixed words. p_value: None where the check is not a test.
        detail: the evidence in one or two sentences; mend: what to do; empty when it passes.
        numbers: what the sentence was made of, for machines.
    """

    name: CheckName
    status: CheckStatus
    detail: str
    mend: str = ""
    p_value: float | None = None
    numbers: Mapping[str, float | int | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """Where a guardrail stands for one variant.

    Attributes:
        state: ``harmed``, ``held`` (proven) or ``unproven``.
        bound: the always-valid one-sided bound that decides harm: relative deterioration for a margin, the
            metric's own unit for a limit. threshold: the margin or limit it is held against.
        p_value: anytime-valid p of "no harm". sentence: the state with its numbers.
    """

    state: GuardrailState
    bound: float | None
    threshold: float
    p_value: float | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One variant against control on one metric.

    Attributes:
        effect: treatment minus control; lift: effect relative to control. std_error: of the effect.
        interval, lift_interval: adjusted for family and looks; ``*_unadjusted``: for looks only.
        p_value: two-sided; under looks the running repeated or anytime p.
        p_value_adjusted: over ``tests`` tests.
        significant: p_value_adjusted < alpha.
        method: which test and interval, in words.
        p_win, expected_loss: posterior P(lift > ship threshold) and loss of shipping; None before the
            decision point.
        harm: always-valid, one-sided evidence at ``harm_alpha`` that a primary is worse than control.
        harm_p_value: its anytime p.
        guardrail: where the metric is a guardrail.
        reasons: field -> sentence for every number that is None.
        variance_reduction: share of the variance removed by covariates (None without).
        shrunken_lift: the posterior mean of the lift (winner's curse corrected), None as p_win.
        stagewise_p_value, median_unbiased: end-of-test answers of a group sequential plan.
    """

    variant: str
    effect: float | None
    std_error: float | None
    interval: Bounds
    interval_unadjusted: Bounds
    lift: float | None
    lift_interval: Bounds
    lift_interval_unadjusted: Bounds = (None, None)
    p_value: float | None
    p_value_adjusted: float | None
    tests: int
    significant: bool
    method: str
    p_win: float | None = None
    expected_loss: float | None = None
    harm: bool = False
    harm_p_value: float | None = None
    guardrail: Guardrail | None = None
    variance_reduction: float | None = None
    shrunken_lift: float | None = None
    stagewise_p_value: float | None = None
    median_unbiased: float | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantSummary:
    """What was measured in one variant: units, mean (ratio, quantile) and standard deviation per unit."""

    n: int
    mean: float | None
    std: float | None
    missing: int = 0
    immature: int = 0
    capped_units: int = 0
    capped_value_share: float | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """One metric over all variants."""

    name: str
    kind: Kind
    role: Role
    better: Better
    variants: Mapping[str, VariantSummary]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentResult:
    """One value of a segment column: its own checks and metrics (exploratory, corrected as one family)."""

    checks: tuple[Check, ...]
    metrics: tuple[MetricResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the experiment is; needs no look at an effect.

    Attributes:
        days: days since the start, None where time is unknown.
        units: matured units per variant. information: units over units at the maximum, in [0, 1].
        precision: (target precision / current precision)^2 of the first primary, in [0, 1]; None unknown.
        floor_reached, minimum_reached, planned_reached, maximum_reached: the conditions of the table.
        decision_point: whether effects may be judged (a ``fixed`` plan: at its planned end only).
        days_left: days to the planned end, None where unknown.
    """

    units: Mapping[str, int]
    information: float
    days: int | None = None
    precision: float | None = None
    floor_reached: bool = True
    minimum_reached: bool = True
    planned_reached: bool = True
    maximum_reached: bool = True
    decision_point: bool = True
    days_left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fade:
    """Trend of a primary's lift over days since the first exposure, by fixed cohorts."""

    metric: str
    variant: str
    slope_per_day: float
    slope_p_value: float
    last_third_lift: float
    fading: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PastComparison:
    """One comparison at one look: all that a later look needs to keep its running p and bounds.

    ``fixed_z`` is the signed normal-score of the look's own (Welch) test; ``p_value`` the running p then.
    """

    n: int
    effect: float
    std_error: float
    df: float
    fixed_z: float
    p_value: float
    harm_p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One stored analysis of running data.

    Attributes:
        number: 1 for the first. day: when. information: fraction in (0, 1].
        comparisons: (metric, variant) -> PastComparison.
        units: units per variant then.
    """

    number: int
    information: float
    comparisons: Mapping[tuple[str, str], PastComparison]
    units: Mapping[str, int]
    day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What the plan and the evidence say at one look.

    Attributes:
        prior: what p(win), expected loss and shrunken lift believe of a lift before the data, in words.
    """

    unit: str
    control: str
    monitoring: Monitoring
    alpha: float
    look: Look
    progress: Progress
    checks: tuple[Check, ...]
    metrics: tuple[MetricResult, ...]
    segments: Mapping[str, Mapping[str, SegmentResult]] = field(default_factory=dict)
    fades: tuple[Fade, ...] = ()
    notes: tuple[str, ...] = ()
    prior: str = ""
    format: int = 1
