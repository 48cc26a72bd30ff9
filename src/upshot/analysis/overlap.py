"""Experiments that meet the same units: how many of them, and whether one's draw depends on the other's.

Two experiments may share units freely as long as their draws are independent: then the other one's effect falls on all
variants alike. Draws that depend on each other (one salt for two, a layer that is not one, code that shows a variant
only within another) give each experiment the other's effect.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
from scipy.special import chdtrc

from upshot.analysis.anomalies import Anomaly
from upshot.analysis.phrases import units
from upshot.stats.moments import FloatArray

LEVEL = 1e-6
"""The chance at which two draws are called dependent: it is asked of every pair, again and again."""
_SMALL = 5.0  # below this expected count a variant is left out (Cochran 1954)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two experiments and the units that met both, each in one variant of each.

    Attributes:
        one, other: their ids, in order. units: that met both.
        share: of the smaller one's units.
        table: variant of the one -> variant of the other -> units.
        p_value: of "the draws are independent"; None where too few met both.
    """

    one: str
    other: str
    units: int
    share: float
    table: Mapping[str, Mapping[str, int]]
    p_value: float | None

    @property
    def is_dependent(self) -> bool:
        """Whether one draw depends on the other."""
        return self.p_value is not None and self.p_value < LEVEL

    @property
    def is_apart(self) -> bool:
        """Whether nobody met both, as in a layer."""
        return self.units == 0


def dependence(pair: Overlap) -> Anomaly | None:
    """Whether one experiment's draw depends on the other's, so that each has the other's effect in its own."""
    if not pair.is_dependent:
        return None
    most = max(
        ((one, other, count) for one, row in pair.table.items() for other, count in row.items()),
        key=lambda cell: cell[2],
    )
    return Anomaly(
        kind="dependence",
        subject=f"experiment/{pair.one}",
        what=f"its variants are not spread evenly over those of {pair.other}: each has the other's effect in its own",
        since=None,
        said=f"{units(pair.units)} met both, {most[2]:,} of them {most[0]} of {pair.one} and {most[1]} of {pair.other}",
        advice="do not read the results of either; give them salts of their own, or a layer so that no unit meets both",
        numbers={"p_value": pair.p_value, "units": pair.units, "other": pair.other},
    )


def overlaps(exposures: ir.Table, experiments: tuple[str, ...]) -> tuple[Overlap, ...]:
    """Every pair of these experiments, those with the most units in common first.

    Args:
        exposures: with experiment_id, unit_id, variant; of the phases that are asked about.
    """
    rows = exposures.filter(exposures["experiment_id"].isin(list(experiments)))
    met = rows.group_by("experiment_id", "unit_id").aggregate(
        variant=rows["variant"].min(), several=rows["variant"].max() != rows["variant"].min()
    )
    met = met.filter(~met["several"]).drop("several")
    sizes = _counted(met.group_by("experiment_id").aggregate(units=lambda table: table.count()))
    total = {row["experiment_id"]: row["units"] for row in sizes}
    other = met.rename(second="experiment_id", second_variant="variant")
    both = met.inner_join(other, [met["unit_id"] == other["unit_id"], met["experiment_id"] < other["second"]])
    found = _counted(
        both.group_by("experiment_id", "second", "variant", "second_variant").aggregate(
            units=lambda table: table.count()
        )
    )
    pairs = {(one, two): _overlap(one, two, found, total) for one, two in _pairs(total)}
    return tuple(sorted(pairs.values(), key=lambda pair: (-pair.units, pair.one, pair.other)))


def _counted(table: ir.Table) -> list[dict[str, str | int]]:
    rows: list[dict[str, str | int]] = table.to_pyarrow().to_pylist()
    return rows


def _pairs(total: Mapping[str | int, str | int]) -> Iterator[tuple[str, str]]:
    names = sorted(map(str, total))
    yield from ((one, other) for place, one in enumerate(names) for other in names[place + 1 :])


def _overlap(
    one: str, other: str, found: list[dict[str, str | int]], total: Mapping[str | int, str | int]
) -> Overlap:
    table: dict[str, dict[str, int]] = {}
    for row in found:
        if (row["experiment_id"], row["second"]) == (one, other):
            table.setdefault(str(row["variant"]), {})[str(row["second_variant"])] = int(row["units"])
    both = sum(sum(row.values()) for row in table.values())
    return Overlap(
        one=one,
        other=other,
        units=both,
        share=both / min(int(total[one]), int(total[other])),
        table=table,
        p_value=_independent(table),
    )


def _independent(table: Mapping[str, Mapping[str, int]]) -> float | None:
    """Pearson's (1900) chi-square of independence; variants that too few units met are left out."""
    names = sorted({name for row in table.values() for name in row})
    counts = np.array([[row.get(name, 0) for name in names] for row in table.values()], float)
    while min(counts.shape) >= 2:
        expected = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
        if expected.min() >= _SMALL:
            statistic = float(((counts - expected) ** 2 / expected).sum())
            return float(chdtrc((counts.shape[0] - 1) * (counts.shape[1] - 1), statistic))
        counts = _without_smallest(counts)
    return None


def _without_smallest(counts: FloatArray) -> FloatArray:
    rows, columns = counts.sum(1), counts.sum(0)
    if rows.min() <= columns.min():
        return np.delete(counts, int(rows.argmin()), axis=0)
    return np.delete(counts, int(columns.argmin()), axis=1)
