"""A question about events: which exposures, which metrics of the workspace in which roles, as of when."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches

from upshot.analysis.identity import Persons
from upshot.errors import DataError
from upshot.model.event_metric import EventMetric
from upshot.model.flag import TARGETING_KEY
from upshot.model.metric import Better, Kind, Metric

_KINDS: Mapping[str, Kind] = {"time_to_event": "mean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuestion:
    """What to read from exposures and events.

    Attributes:
        definitions: the metrics of the workspace, by name. metrics: those that are asked, as a plan has them: each
            names its definition in ``column``, and adds its role and its limit.
        as_of: when it is asked, with its offset: what came at that time or later is not seen, and units whose window
            is not over by then are left out of a metric.
        control, split: as of a `Question`. experiment, phase: whose exposures; None: all.
        unit: what was randomised: ``targetingKey`` (user, else anonymous visitor), ``account`` (group), or a property
            of that name.
        segments: attributes of the first exposure to split by. histograms: as of a `Question`.
        persons: which ids are one person; None: each id is a unit.
        at_once: definitions whose units count before their windows are over, by what they did so far.
        engine: whose SQL it will be, as Ibis calls it.
    """

    definitions: Mapping[str, EventMetric]
    metrics: tuple[Metric, ...]
    as_of: datetime
    control: str = "control"
    split: Mapping[str, float] = field(default_factory=dict)
    experiment: str | None = None
    phase: int | None = None
    unit: str = TARGETING_KEY
    segments: tuple[str, ...] = ()
    histograms: bool = False
    persons: Persons | None = None
    at_once: frozenset[str] = frozenset()
    engine: str = "duckdb"

    @property
    def measured(self) -> tuple[EventMetric, ...]:
        """The definitions that are asked, each once.

        Raises:
            DataError: a metric names none.
        """
        return tuple(self._definition(name) for name in dict.fromkeys(one.column for one in self.metrics))

    @property
    def asked(self) -> tuple[Metric, ...]:
        """The metrics as the engine reads them from a table of units; a funnel is followed by its steps."""
        return tuple(one for metric in self.metrics for one in bound(metric, self._definition(metric.column)))

    def _definition(self, name: str) -> EventMetric:
        if name in self.definitions:
            return self.definitions[name]
        near = get_close_matches(name, self.definitions, n=1)
        known = ", ".join(self.definitions) or "none"
        hint = f"did you mean {near[0]}?" if near else f"there are {known}"
        raise DataError(f"metric {name}: it is not defined over events; {hint}")


def per_field(name: str) -> str:
    """The column of a ratio's denominator."""
    return f"{name} per"


def before_field(name: str) -> str:
    """The column of what was measured before exposure."""
    return f"{name} before"


def step_field(name: str, number: int) -> str:
    """The column that says whether a unit took a step of a funnel; 1 is the first."""
    return f"{name} step {number}"


def bound(metric: Metric, definition: EventMetric) -> tuple[Metric, ...]:
    """The metric with all that its definition says of it; a funnel has its steps behind it.

    A step is secondary and conditional: of the units that took the step before, the share that took it.

    Raises:
        DataError: the metric says something else than its definition.
    """
    problem = next(contradictions(metric, definition), None)
    if problem is not None:
        raise DataError(f"metric {metric.name}: {problem}")
    whole = _whole(metric, definition)
    return (whole, *(_step(whole, number) for number in range(1, len(definition.steps) + 1)))


def contradictions(metric: Metric, definition: EventMetric) -> Iterator[str]:
    """What a plan says of a metric and its definition says otherwise, in sentences without the metric's name."""
    whole = _whole(metric, definition)
    for name in ("kind", "value", "per", "quantile", "covariates"):
        given, defined = getattr(metric, name), getattr(whole, name)
        if given and given != defined:
            yield (
                f"its {name} is {given!r} here, and its definition over events says {defined or 'none'}: leave it out "
                "here, or define another metric"
            )
    if metric.better == "lower" and definition.better == "higher" and metric.maximum is None:
        yield "lower is better here, and higher in its definition: mend one of them"


def _whole(metric: Metric, definition: EventMetric) -> Metric:
    name = definition.name
    covariates = [before_field(name)] if definition.covariate else []
    if definition.covariate and definition.denominator:
        covariates.append(before_field(per_field(name)))
    return replace(
        metric,
        column=name,
        kind=_KINDS.get(definition.kind, definition.kind),  # type: ignore[arg-type]  # all others are kinds
        value=None,
        per=per_field(name) if definition.denominator else None,
        better=_better(metric, definition),
        covariates=tuple(covariates),
        cap=metric.cap or definition.cap,
        quantile=definition.quantile,
        horizon=definition.horizon,
    )


def _better(metric: Metric, definition: EventMetric) -> Better:
    """A limit says by itself which way is worse."""
    if metric.maximum is not None:
        return "lower"
    return "higher" if metric.minimum is not None else definition.better


def _step(whole: Metric, number: int) -> Metric:
    """One step of a funnel as a metric of its own."""
    before = None if number == 1 else step_field(whole.column, number - 1)
    return Metric(
        name=step_field(whole.name, number),
        column=step_field(whole.column, number),
        kind="proportion" if before is None else "ratio",
        per=before,
        role="secondary",
        better=whole.better,
        horizon=whole.horizon,
    )
