"""A metric: a rule that turns what a unit did into one number, and what is wanted of that number."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt, MinLen

Kind = Literal["proportion", "mean", "count", "ratio", "quantile", "retention", "funnel"]
Role = Literal["primary", "secondary", "guardrail"]
Horizon = Literal["leading", "lagging"]
Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric over a table: which column, how it becomes one number per unit, which way is better.

    Attributes:
        name: how people call it; unique within a plan.
        column: the column that holds the outcome; of a live experiment, the metric over events.
        kind: how rows become one number per unit; None: a proportion if the column is 0/1 or boolean,
            a mean if it holds other numbers (decided when the data are seen, and said).
        role: ``primary`` decides, ``secondary`` informs, ``guardrail`` protects.
        value: the outcome is "has a row whose column equals this" (``action,value=click``).
        per: the denominator column of a ratio; ``rows`` averages rows.
        better: the wanted direction.
        covariates: columns measured before exposure, for CUPED.
        cap: quantile of the pooled values at which they are winsorised, in (0, 1), or None.
        quantile: the level of a quantile metric, in (0, 1): 0.95 for p95.
        maximum, minimum: limits of a guardrail, in the metric's own unit.
        margin: of a guardrail: the largest relative deterioration that is tolerable (0.02 = 2%).
        horizon: ``leading`` is known within the experiment, ``lagging`` later.
    """

    name: Annotated[str, MinLen(1)]
    column: Annotated[str, MinLen(1)]
    kind: Kind | None = None
    role: Role = "primary"
    value: str | None = None
    per: str | None = None
    better: Better = "higher"
    covariates: tuple[str, ...] = ()
    cap: Annotated[float, Gt(0), Lt(1)] | None = None
    quantile: Annotated[float, Gt(0), Lt(1)] | None = None
    maximum: float | None = None
    minimum: float | None = None
    margin: Annotated[float, Ge(0), Lt(1)] | None = None
    horizon: Horizon = "leading"

    @property
    def sign(self) -> int:
        """+1 where higher is better, -1 where lower is."""
        return 1 if self.better == "higher" else -1

    @property
    def has_limit(self) -> bool:
        """Whether a guardrail is a limit (else it is a margin)."""
        return self.maximum is not None or self.minimum is not None
