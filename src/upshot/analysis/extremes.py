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
    parts = [_above(units, one, seen.floors[one.fields.outcome]) for one in wanted]
    query = parts[0] if len(parts) == 1 else ibis.union(*parts, distinct=False)
    found: dict[tuple[str, str], list[float]] = {}
    for row in query.to_pyarrow().to_pylist():
        found.setdefault((row["metric"], row["variant"]), []).append(float(row["value"]))
    samples = {name: dict(by_variant) for name, by_variant in total.samples.items()}
    for one in wanted:
        own, floor = samples[one.metric.name], seen.floors[one.fields.outcome]
        for name in own:
            values = sorted(found.get((one.label, name), []), reverse=True)
            if floor is not None:
                values += [floor] * (min(TOP, own[name].moments.n) - len(values))
            own[name] = replace(own[name], top=tuple(values), maximum=max(values, default=None))
    return Slice(units=total.units, samples=samples)


def _above(units: ir.Table, recipe: Recipe, floor: float | None) -> ir.Table:
    outcome = units[recipe.fields.outcome]
    above = units.filter(outcome.notnull() if floor is None else outcome > floor)
    named = above.select(metric=ibis.literal(recipe.label), variant=above[VARIANT], value=above[recipe.fields.outcome])
    place = ibis.row_number().over(ibis.window(group_by=named.variant, order_by=ibis.desc(named.value)))
    ranked = named.mutate(place=place)
    return ranked.filter(ranked.place < TOP).drop("place")
