"""A question: which columns of a table mean what."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from upshot.model.metric import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to read from a table.

    Attributes:
        variant: the column that says which variant a row belongs to. control: the value that is control.
        metrics: what to measure; a kind of None is decided by the column.
        unit: the column of what was randomised; None: each row is a unit.
        variants: the column that says how many variants a unit met, 2 for several, where the table has one row for
            each unit already; None: rows are gathered to units.
        segments: columns to split by. time: the column of the time of a row, for days of first exposure.
        cluster: the column of what was randomised, where the outcome is per row. count: the column that says
            how many units a row stands for. where: SQL condition on rows.
        split: declared weights; with them other variants are left out and counted. histograms: whether to
            count outcomes for a picture of their distribution.
    """

    variant: str
    control: str
    metrics: tuple[Metric, ...]
    unit: str | None = None
    variants: str | None = None
    segments: tuple[str, ...] = ()
    time: str | None = None
    cluster: str | None = None
    count: str | None = None
    where: str | None = None
    split: Mapping[str, float] = field(default_factory=dict)
    histograms: bool = False
