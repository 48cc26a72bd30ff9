"""The largest outcomes of each variant, all metrics in one query: for the check whether single units carry a result."""

from collections.abc import Sequence
from dataclasses import replace

import ibis
import ibis.expr.types as ir

from upshot.analysis.evidence import Slice
from upshot.analysis.profile import TOP, Profile
from upshot.analysis.sums import Recipe
from upshot.analysis.units import VARIANT


def with_extremes(total: Slice, units: ir.Table, recipes: Sequence[Recipe], seen: Profile) -> Slice:
    """The slice, each sample of an uncapped mean or count with its ten largest outcomes.

    A floor that ten units of every variant reach is known, so only what is above it is put in order; where fewer
    than ten are above it, the others equal it.
    """
    wanted = [one for one in recipes if one.metric.kind in ("mean", "count") and one.cap is None]
    if not wanted:
        return total
    rows = _largest(units, wanted, seen).to_pyarrow().to_pylist()
    samples = {name: dict(by_variant) for name, by_variant in total.samples.items()}
    for one in wanted:
        field = one.fields.outcome
        own, floor = samples[one.metric.name], seen.floors[field]
        for name in own:
            values = _top([row[field] for row in rows if row[VARIANT] == name], floor, own[name].moments.n)
            own[name] = replace(own[name], top=values, maximum=max(values, default=None))
    return Slice(units=total.units, samples=samples)


def _largest(units: ir.Table, recipes: Sequence[Recipe], seen: Profile) -> ir.Table:
    """The units that are among the ten largest of their variant in some metric, and above its floor."""
    fields = [one.fields.outcome for one in recipes]
    few = units.filter(ibis.or_(*(_above(units[field], seen.floors[field]) for field in fields)))
    places = {
        f"place{i}": ibis.row_number().over(
            ibis.window(group_by=few[VARIANT], order_by=ibis.desc(few[field], nulls_first=False))
        )
        for i, field in enumerate(fields)
    }
    ranked = few.select(VARIANT, *fields, **places)
    return ranked.filter(ibis.or_(*(ranked[place] < TOP for place in places))).select(VARIANT, *fields)


def _above(outcome: ir.Column, floor: float | None) -> ir.BooleanColumn:
    return outcome.notnull() if floor is None else outcome > floor


def _top(seen: Sequence[float | None], floor: float | None, units: int) -> tuple[float, ...]:
    values = sorted((value for value in seen if value is not None), reverse=True)
    if floor is not None:
        values = [value for value in values if value > floor]
        values += [floor] * (min(TOP, units) - len(values))
    return tuple(float(value) for value in values[:TOP])
