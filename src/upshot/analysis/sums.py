"""Sums by variant in one pass: what moments are made of, shifted so that no digit is lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np

from upshot.analysis.evidence import Sample
from upshot.analysis.profile import Profile
from upshot.analysis.units import COUNT, Fields
from upshot.errors import DataError
from upshot.model.metric import Metric
from upshot.stats.moments import DENOMINATOR, OUTCOME, Moments

SHARES = ("proportion", "retention", "funnel")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the sums of one metric are taken.

    Attributes:
        metric, fields: what and where. label: what the names of its sums begin with.
        names: of the moments, in their order. shift: constant near the mean of each name.
        gaps: fields that miss values somewhere; such a covariate is followed by its missing-indicator.
        cap: of the outcome, or None. zeros: whether to count the units whose outcome is 0.
    """

    metric: Metric
    fields: Fields
    label: str
    names: tuple[str, ...]
    shift: tuple[float, ...]
    gaps: frozenset[str]
    cap: float | None = None
    zeros: bool = True

    @property
    def is_share(self) -> bool:
        """Whether counts say it all."""
        return self.metric.kind in SHARES and len(self.names) == 1


def recipe_of(
    metric: Metric, fields: Fields, label: str, seen: Profile, cap: float | None = None, zeros: bool = True
) -> Recipe:
    """Outcome, denominator, then each covariate with its indicator where it has gaps."""
    names = [OUTCOME] + ([DENOMINATOR] if fields.denominator else [])
    shift = [0.0 if metric.kind in SHARES else seen.shifts[fields.outcome]]
    shift += [seen.shifts[fields.denominator]] if fields.denominator else []
    for field, covariate in zip(fields.covariates, metric.covariates, strict=True):
        indicated = field in seen.gaps
        names += [covariate, f"{covariate} missing"] if indicated else [covariate]
        shift += [seen.means[field], 0.0] if indicated else [seen.shifts[field]]
    gaps = frozenset(seen.gaps & set(fields.columns))
    return Recipe(metric, fields, label, tuple(names), tuple(shift), gaps, cap, zeros)


def shifted(table: ir.Table, recipe: Recipe) -> dict[str, ir.Column]:
    """The values that are summed, a column for each name; a gap in a covariate is filled with its mean."""
    place, label = recipe.fields, recipe.label
    first = table[place.outcome]
    raw = [first if recipe.cap is None else _capped(first, recipe.cap)]
    raw += [table[place.denominator]] if place.denominator else []
    for field in place.covariates:
        raw.append(table[field])
        if field in recipe.gaps:
            raw.append(table[field].isnull().cast("float64"))
    found = {}
    for i, (name, column, shift) in enumerate(zip(recipe.names, raw, recipe.shift, strict=True)):
        value = column - shift if shift else column
        filled = f"{name} missing" in recipe.names
        found[f"{label}_c{i}"] = ibis.coalesce(value, 0.0) if filled else value
    if recipe.cap is not None:
        found[f"{label}_u0"] = first - recipe.shift[0] if recipe.shift[0] else first
        found[f"{label}_over"] = (first > recipe.cap).cast("int64")
    if recipe.zeros and not recipe.is_share:
        found[f"{label}_zero"] = (first == 0).cast("int64")
    return found


def _capped(outcome: ir.Column, cap: float) -> ir.Column:
    """The smaller of both; not LEAST, which in some engines makes the cap of a missing outcome."""
    return ibis.ifelse(outcome > cap, cap, outcome)


def aggregates(table: ir.Table, recipe: Recipe, weighted: bool = False) -> dict[str, ir.Scalar]:
    """All sums that one metric needs, under labelled names.

    Args:
        table: with the columns of `shifted`.
        weighted: rows stand for ``_count`` units each.
    """
    label, k = recipe.label, len(recipe.names)
    weight = table[COUNT] if weighted else None
    needed = _needed(table, recipe)
    found: dict[str, ir.Scalar] = {f"{label}_n": _present(table[f"{label}_c0"], weight, needed)}
    for i in range(k):
        found |= _row(table, label, "c", i, k, weight, needed, squares=not recipe.is_share)
    if recipe.cap is not None:
        found |= _row(table, label, "u", 0, k, weight, needed, squares=True)
        found[f"{label}_over"] = _total(table[f"{label}_over"], weight, needed)
    if recipe.zeros and not recipe.is_share:
        found[f"{label}_zero"] = _total(table[f"{label}_zero"], weight, needed)
    if weight is None and recipe.fields.outcome not in recipe.gaps and needed is None:
        del found[f"{label}_n"]  # it is the number of units
    return found


def _present(values: ir.Column, weight: ir.Column | None, where: ir.Column | None) -> ir.Scalar:
    """Units with a value."""
    if weight is None:
        return values.count(where=where)
    present = values.notnull()
    return weight.sum(where=present if where is None else present & where)


def _row(
    table: ir.Table,
    label: str,
    kind: str,
    i: int,
    k: int,
    weight: ir.Column | None,
    needed: ir.Column | None,
    squares: bool,
) -> dict[str, ir.Scalar]:
    """The sum of the i-th value, and of its products with itself and with those after it."""
    value = table[f"{label}_{kind}{i}"]
    found = {f"{label}_{kind}s{i}": _total(value, weight, needed)}
    for j in range(i, k if squares else 0):
        other = value if j == i else table[f"{label}_c{j}"]
        found[f"{label}_{kind}p{i}_{j}"] = _total(value * other, weight, needed)
    return found


def _needed(table: ir.Table, recipe: Recipe) -> ir.Column | None:
    """Which units count: those with an outcome and denominator; None where sums see to that by themselves."""
    below = recipe.fields.denominator
    asked = [0, 1] if below else [0]
    gaps = recipe.gaps & {recipe.fields.outcome, below}
    if not gaps or len(recipe.names) == 1:
        return None
    present = [table[f"{recipe.label}_c{i}"].notnull() for i in asked]
    return present[0] if len(present) == 1 else present[0] & present[1]


def _total(values: ir.Column, weight: ir.Column | None, where: ir.Column | None) -> ir.Scalar:
    return (values if weight is None else values * weight).sum(where=where)


def sample_of(row: Mapping[str, Any], recipe: Recipe, units: int) -> Sample:
    """The sample of one variant from its row of sums."""
    n = round(float(row.get(f"{recipe.label}_n", units) or 0))
    moments = _moments(row, recipe, n)
    zeros = n - round(moments.mean() * n) if recipe.is_share else row.get(f"{recipe.label}_zero")
    return Sample(
        moments=moments,
        uncapped=_moments(row, recipe, n, uncapped=True) if recipe.cap is not None else None,
        cap=recipe.cap,
        capped_units=round(float(row.get(f"{recipe.label}_over") or 0)),
        missing=units - n,
        zeros=round(float(zeros or 0)),
    )


def _moments(row: Mapping[str, Any], recipe: Recipe, n: int, uncapped: bool = False) -> Moments:
    k = len(recipe.names)

    def value(kind: str, i: int, *j: int) -> float:
        letter = "u" if uncapped and i == 0 else "c"
        return float(row[f"{recipe.label}_{letter}{kind}{'_'.join(map(str, (i, *j)))}"] or 0.0)

    sums = np.array([value("s", i) for i in range(k)])
    if recipe.is_share:
        return Moments.from_counts(round(sums[0]), n)
    products = np.zeros((k, k))
    for i in range(k):
        for j in range(i, k):
            products[i, j] = products[j, i] = value("p", i, j)
    if not (np.isfinite(sums).all() and np.isfinite(products).all()):
        raise DataError(
            f"metric {recipe.metric.name}: its values in {recipe.metric.column!r} are infinite or too large to "
            "square: leave them out with --where"
        )
    return Moments.from_shifted_sums(recipe.names, n, np.array(recipe.shift), sums, products)
