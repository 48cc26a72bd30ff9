"""Sums by variant in one pass: what moments are made of, shifted so that no digit is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np

from upshot.analysis.evidence import Sample
from upshot.analysis.units import COUNT, VARIANT, Fields
from upshot.errors import DataError
from upshot.model.metric import Metric
from upshot.stats.moments import DENOMINATOR, OUTCOME, Moments

_TOP = 10


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the sums of one metric are taken.

    Attributes:
        metric, fields: what and where. names: of the moments, in their order.
        shift: constant near the mean of each name. cap: of the outcome, or None.
        gaps: covariate fields that miss values somewhere; each is followed by its missing-indicator.
    """

    metric: Metric
    fields: Fields
    names: tuple[str, ...]
    shift: tuple[float, ...]
    cap: float | None = None
    gaps: frozenset[str] = frozenset()


def names_of(metric: Metric, fields: Fields, gaps: frozenset[str]) -> tuple[str, ...]:
    """Outcome, denominator, then each covariate with its indicator where it has gaps."""
    names = [OUTCOME] + ([DENOMINATOR] if fields.denominator else [])
    for field, covariate in zip(fields.covariates, metric.covariates, strict=True):
        names += [covariate, f"{covariate} missing"] if field in gaps else [covariate]
    return tuple(names)


def profile(table: ir.Table, places: Sequence[Fields]) -> dict[str, tuple[int, float]]:
    """Missing values and mean of every field, in one pass."""
    used = [name for place in places for name in _columns(place)]
    asked: dict[str, ir.Scalar] = {}
    for name in dict.fromkeys(used):
        asked[f"{name}_null"] = table[name].isnull().sum()
        asked[f"{name}_mean"] = table[name].mean()
    found = table.aggregate(**asked).to_pyarrow().to_pylist()[0] if asked else {}
    return {name: (int(found[f"{name}_null"] or 0), float(found[f"{name}_mean"] or 0.0)) for name in used}


def _columns(place: Fields) -> list[str]:
    return [place.outcome, *([place.denominator] if place.denominator else []), *place.covariates]


def _values(table: ir.Table, recipe: Recipe, capped: bool) -> list[ir.Column]:
    """The shifted values of each name; a gap in a covariate is filled with its mean and indicated."""
    place = recipe.fields
    first = table[place.outcome]
    if capped and recipe.cap is not None:
        first = ibis.least(first, recipe.cap)
    raw: list[ir.Column] = [first] + ([table[place.denominator]] if place.denominator else [])
    shifts = iter(recipe.shift)
    values = [column - next(shifts) for column in raw]
    for field in place.covariates:
        shift = next(shifts)
        if field in recipe.gaps:
            values.append(ibis.coalesce(table[field] - shift, 0.0))
            values.append(table[field].isnull().cast("float64") - next(shifts))
        else:
            values.append(table[field] - shift)
    return values


def aggregates(table: ir.Table, recipe: Recipe, label: str, weighted: bool) -> dict[str, ir.Scalar]:
    """All sums that one metric needs, under labelled names.

    Args:
        weighted: rows stand for ``_count`` units each.
    """
    place = recipe.fields
    needed = table[place.outcome].notnull()
    if place.denominator:
        needed = needed & table[place.denominator].notnull()
    weight = table[COUNT] if weighted else None
    found: dict[str, ir.Scalar] = {
        f"{label}_n": _total(needed.cast("int64"), weight, None),
        f"{label}_max": table[place.outcome].max(where=needed),
        f"{label}_zeros": _total((table[place.outcome] == 0).cast("int64"), weight, needed),
    }
    for kind in ("c", "u") if recipe.cap is not None else ("c",):
        values = _values(table, recipe, capped=kind == "c")
        for i, first in enumerate(values):
            found[f"{label}_{kind}s{i}"] = _total(first, weight, needed)
            for j in range(i, len(values)):
                found[f"{label}_{kind}p{i}_{j}"] = _total(first * values[j], weight, needed)
    if recipe.cap is not None:
        found[f"{label}_capped"] = _total((table[place.outcome] > recipe.cap).cast("int64"), weight, needed)
    return found


def _total(values: ir.Column, weight: ir.Column | None, where: ir.Column | None) -> ir.Scalar:
    return (values if weight is None else values * weight).sum(where=where)


def sample_of(row: Mapping[str, Any], recipe: Recipe, label: str, units: int) -> Sample:
    """The sample of one variant from its row of sums."""
    n = round(float(row[f"{label}_n"] or 0))
    largest = row[f"{label}_max"]
    if largest is not None and not np.isfinite(largest):
        raise DataError(
            f"metric {recipe.metric.name}: {recipe.metric.column!r} holds infinite values: leave them out"
        )
    return Sample(
        moments=_moments(row, recipe, f"{label}_c", n),
        uncapped=_moments(row, recipe, f"{label}_u", n) if recipe.cap is not None else None,
        cap=recipe.cap,
        capped_units=round(float(row.get(f"{label}_capped") or 0)),
        missing=units - n,
        maximum=None if largest is None else float(largest),
        zeros=round(float(row[f"{label}_zeros"] or 0)),
    )


def _moments(row: Mapping[str, Any], recipe: Recipe, prefix: str, n: int) -> Moments:
    k = len(recipe.names)
    sums = np.array([float(row[f"{prefix}s{i}"] or 0.0) for i in range(k)])
    products = np.zeros((k, k))
    for i in range(k):
        for j in range(i, k):
            products[i, j] = products[j, i] = float(row[f"{prefix}p{i}_{j}"] or 0.0)
    if not (np.isfinite(sums).all() and np.isfinite(products).all()):
        raise DataError(
            f"metric {recipe.metric.name}: its values are infinite, not numbers, or too large to square"
        )
    if recipe.metric.kind in ("proportion", "retention", "funnel") and k == 1:
        return Moments.from_counts(round(n * recipe.shift[0] + sums[0]), n)
    return Moments.from_shifted_sums(recipe.names, n, np.array(recipe.shift), sums, products)


def largest(table: ir.Table, field: str, variant: str) -> tuple[float, ...]:
    """The ten largest outcomes of a variant, descending."""
    kept = table.filter(table[VARIANT] == variant, table[field].notnull()).select(value=table[field])
    top = kept.order_by(ibis.desc("value")).limit(_TOP).to_pyarrow()
    return tuple(float(value) for value in top["value"].to_pylist())
