"""Evidence: all that an analysis knows of the data, as one value that can be stored and replayed.

`analysis.query` makes it from a table; `analysis.analyze` turns it and a plan into numbers; nothing else of
the data ever reaches inference. Slices of disjoint units (days of first exposure, segments) merge exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from upshot.model.metric import Metric
from upshot.stats.clusters import ClusterTotals
from upshot.stats.moments import Moments
from upshot.stats.quantiles import QuantileSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the units of one variant gave for one metric.

    Attributes:
        moments: over ``outcome``, then ``denominator`` (ratios), then the covariates in the plan's order,
            each covariate with missing values followed by its missing-indicator column; capped if the
            metric has a cap. Its ``n`` counts units with an outcome.
        uncapped: the same before winsorising, where there is a cap.
        cap: the value at which outcomes were winsorised, one for all variants.
        capped_units: units above the cap.
        missing: units without an outcome; they are left out of ``moments``.
        immature: units whose window after exposure is not over yet; they are left out, too, and not missing.
        maximum: the largest outcome; zeros: units whose outcome is 0, counted where so many could be that
            what is left is few (else 0).
        top: the largest outcomes, descending (at most 10), for the outlier check.
        clusters: sums per cluster, where rows are finer than what was randomised.
        quantile: order statistics, for a quantile metric.
    """

    moments: Moments
    uncapped: Moments | None = None
    cap: float | None = None
    capped_units: int = 0
    missing: int = 0
    immature: int = 0
    maximum: float | None = None
    zeros: int = 0
    top: tuple[float, ...] = ()
    clusters: ClusterTotals | None = None
    quantile: QuantileSample | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A set of units: everybody, one segment, or those first exposed on one day.

    Attributes:
        units: units per variant (conflicting units left out).
        samples: metric name -> variant -> Sample.
    """

    units: Mapping[str, int]
    samples: Mapping[str, Mapping[str, Sample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts of units by outcome: ``edges`` has one more entry than each tuple of ``counts`` (by variant)."""

    edges: tuple[float, ...]
    counts: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of the data.

    Attributes:
        unit: the unit's column, or ``row``.
        control: the control variant; variants: all declared or seen, control first.
        metrics: the plan's metrics with their kinds decided.
        total: everybody; segments: column -> value -> slice; days: day of first exposure -> slice.
        rows: rows read (after ``where``); counts: whether rows were already counts.
        conflicts: units that were in several variants and left out.
        duplicate_rows: exact duplicates among the rows; None where that means nothing (no unit column).
        missing_unit, missing_variant: rows left out because either was empty.
        unseen: declared variants without a unit; unknown: variants seen that were not declared -> units.
        clusters: number of clusters per variant, where rows are finer than what was randomised.
        pre_period: covariate name -> variant -> moments of that covariate alone (for the pre-period check).
        histograms: metric name -> Histogram, for the picture of the distribution.
        understood: sentences: what was read and how (printed by the command).
        sql: the query that gave the moments.
    """

    unit: str
    control: str
    variants: tuple[str, ...]
    metrics: tuple[Metric, ...]
    total: Slice
    segments: Mapping[str, Mapping[str, Slice]] = field(default_factory=dict)
    days: Mapping[date, Slice] = field(default_factory=dict)
    rows: int = 0
    counts: bool = False
    conflicts: int = 0
    duplicate_rows: int | None = None
    missing_unit: int = 0
    missing_variant: int = 0
    unseen: tuple[str, ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)
    clusters: Mapping[str, int] | None = None
    pre_period: Mapping[str, Mapping[str, Moments]] = field(default_factory=dict)
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    understood: tuple[str, ...] = ()
    sql: str = ""

    @property
    def matured(self) -> dict[str, int]:
        """Units per variant whose windows of all primaries are over: those that a look counts as information."""
        primaries = [self.total.samples[one.name] for one in self.metrics if one.role == "primary"]
        waiting = {
            name: max((found[name].immature for found in primaries if name in found), default=0)
            for name in self.total.units
        }
        return {name: count - waiting[name] for name, count in self.total.units.items()}
