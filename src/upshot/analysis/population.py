"""Who is in the data: variants, units in several of them, rows that say nothing, rows that repeat."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import ibis.expr.types as ir

from upshot.analysis.phrases import units as units_said
from upshot.analysis.question import Question
from upshot.analysis.units import COUNT, UNIT, VARIANT, VARIANTS
from upshot.errors import DataError
from upshot.model.metric import Metric

MOST_VARIANTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What was found before any outcome is read; the fields are those of `Evidence`."""

    variants: tuple[str, ...]
    rows: int
    several: bool
    conflicts: int = 0
    duplicate_rows: int | None = None
    missing_unit: int = 0
    missing_variant: int = 0
    unseen: tuple[str, ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gathered:
    """How many rows there are, how many with a unit, and of how many units; None without a unit column."""

    rows: int
    known: int | None = None
    distinct: int | None = None

    @property
    def several(self) -> bool:
        """Whether some unit has several rows."""
        return self.known is not None and self.distinct is not None and self.distinct < self.known


def population_of(units: ir.Table, raw: ir.Table, question: Question, gathered: Gathered) -> Population:
    """Who is there, with control first.

    Args:
        units: as `units_of` gives them. raw: the rows with all their columns. gathered: what was counted.

    Raises:
        DataError: control is not there, there is no second variant, or there are more than 20.
    """
    counted = units.filter(units[UNIT].notnull(), units[VARIANTS] < 2) if question.unit else units
    size = counted[COUNT].sum() if question.count else counted.count()
    found = counted.group_by(VARIANT).aggregate(n=size).to_pyarrow().to_pylist()
    seen = {row[VARIANT]: round(float(row["n"] or 0)) for row in found}
    missing = seen.pop(None, 0)
    variants, unknown = _declared(seen, question)
    return Population(
        variants=variants,
        rows=gathered.rows,
        several=gathered.several,
        conflicts=_conflicts(units) if gathered.several or question.variants else 0,
        duplicate_rows=_duplicates(raw, gathered) if question.unit else None,
        missing_unit=0 if gathered.known is None else gathered.rows - gathered.known,
        missing_variant=missing,
        unseen=tuple(name for name in variants if not seen.get(name)),
        unknown=unknown,
    )


def _conflicts(units: ir.Table) -> int:
    conflicting = units.filter(units[UNIT].notnull(), units[VARIANTS] > 1)
    return int(conflicting.count().to_pyarrow().as_py())


def _declared(seen: Mapping[str, int], question: Question) -> tuple[tuple[str, ...], dict[str, int]]:
    control, split = question.control, question.split
    if control not in seen and not (split and control in split):
        known = ", ".join(sorted(seen)[:20]) or "none"
        raise DataError(f"control is {control!r}, which no row of {question.variant!r} has: it has {known}")
    others = sorted(name for name in (split or seen) if name != control)
    if not others:
        raise DataError(f"{question.variant!r} has only {control!r}: a comparison needs a second variant")
    if len(others) >= MOST_VARIANTS:
        raise DataError(
            f"{question.variant!r} has {len(others) + 1} values, more than {MOST_VARIANTS} variants: name the column "
            "that holds the variant"
        )
    unknown = {name: count for name, count in seen.items() if split and name not in split}
    return (control, *others), unknown


def _duplicates(rows: ir.Table, gathered: Gathered) -> int:
    """Rows that repeat another in every column; none where every unit has one row."""
    if not gathered.several:
        return 0
    return gathered.rows - int(rows.distinct().count().to_pyarrow().as_py())


def understood(question: Question, metrics: tuple[Metric, ...], population: Population) -> tuple[str, ...]:
    """What was read, in sentences."""
    unit = question.unit
    if unit is None:
        said = [f"{population.rows:,} rows, each row is a unit"]
    elif population.several:
        said = [f"{population.rows:,} rows, gathered to one row for each {unit}"]
    else:
        said = [f"{population.rows:,} rows, one for each {unit}"]
    if population.missing_unit:
        said.append(f"{units_said(population.missing_unit, 'row')} without {unit} left out")
    if population.missing_variant:
        said.append(f"{units_said(population.missing_variant)} without {question.variant} left out")
    if question.where:
        said.append(f"only rows where {question.where}")
    said += [sentence(metric, unit, population.several) for metric in metrics]
    return tuple(said)


_KINDS = {"proportion": "share of {who}", "retention": "share of {who}", "funnel": "share of {who}"}


def sentence(metric: Metric, unit: str | None, several: bool) -> str:
    """What a metric was understood to be: "converted: share of users, higher is better"."""
    who = "rows" if unit is None else "units"
    what = metric.column if metric.value is None else f"{metric.column} is {metric.value}"
    if metric.kind in _KINDS:
        text = f"share of {who}" + (" with any row" if several else "") + f" where {what}"
    elif metric.kind == "ratio":
        below = "rows" if metric.per == "rows" else metric.per
        text = f"sum of {what} over sum of {below}" if below != "rows" else f"mean of {what} over rows"
    elif metric.kind == "quantile":
        text = f"p{100 * (metric.quantile or 0):g} of {what}"
    elif several:
        text = f"mean per unit of its sum of {what}"
    else:
        text = f"mean of {what}"
    return f"{metric.name}: {text}, {metric.better} is better"
