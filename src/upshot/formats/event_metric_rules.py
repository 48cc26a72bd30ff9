"""What contradicts itself in a metric over events, as a table: what is wrong, where, and the sentence that mends it."""

from collections.abc import Callable, Iterator, Mapping

from upshot.model.event_metric import TIME_UNITS, EventMetric, Source

BEYOND_SQL = ("in_cidr",)
"""Operators of flags that events cannot be asked by: no engine but the evaluator has them."""

_VALUED = ("mean", "ratio", "quantile")
_SUMMED = ("proportion", "count", "mean", "ratio", "retention")
_CAPPED = ("count", "mean", "ratio")

Rule = tuple[str, Callable[[EventMetric], bool], str]

RULES: tuple[Rule, ...] = (
    (
        "event",
        lambda m: m.kind not in ("funnel", "retention") and m.event is None and m.table is None,
        "this is missing: give the name of the event that is looked for, or a table",
    ),
    ("value", lambda m: m.kind in ("mean", "quantile") and m.value is None,
     "this is missing: give the numeric property of the event, such as value: revenue"),
    ("value", lambda m: m.value is not None and m.kind not in _VALUED,
     "a {m.kind} looks at no property: leave value out, or filter by it with where"),
    ("denominator", lambda m: m.kind == "ratio" and m.denominator is None,
     "this is missing: give the events to divide by, such as denominator: {{event: Session Ended}}"),
    ("denominator", lambda m: m.kind != "ratio" and m.denominator is not None,
     "this makes a ratio, but the kind is {m.kind}: write ratio, or leave it out"),
    ("steps", lambda m: m.kind == "funnel" and len(m.steps) < 2,
     "a funnel needs two steps at least: list events in the order in which they should happen"),
    ("steps", lambda m: m.kind != "funnel" and bool(m.steps),
     "steps make a funnel, but the kind is {m.kind}: write funnel, or leave them out"),
    ("steps", lambda m: any(step.value is not None for step in m.steps),
     "a step looks at no property: leave its value out, or filter by it with where"),
    ("event", lambda m: m.kind == "funnel" and (m.event, m.table, m.type, m.where) != (None, None, None, None),
     "a funnel has its events in steps: move event, table, type and where into its first step"),
    ("quantile", lambda m: m.kind == "quantile" and m.quantile is None,
     "this is missing: give the level, such as quantile: 95%"),
    ("quantile", lambda m: m.kind != "quantile" and m.quantile is not None,
     "the level is for a quantile, but the kind is {m.kind}: leave it out"),
    ("day", lambda m: m.kind == "retention" and m.day is None,
     "this is missing: give how many days after the first exposure, such as day: 7"),
    ("day", lambda m: m.kind != "retention" and m.day is not None,
     "the day is for retention, but the kind is {m.kind}: leave it out"),
    ("absent", lambda m: m.absent and m.kind not in ("proportion", "retention"),
     "units without an event are counted by a proportion or by retention, not by a {m.kind}"),
    ("window", lambda m: m.kind == "time_to_event" and m.window is None,
     "this is missing: units without the event count as the whole window, so give one, such as window: 7d"),
    ("window", lambda m: m.absent and m.kind == "proportion" and m.window is None,
     "this is missing: a unit is without the event once a time is over, so give one, such as window: 30d"),
    ("unit", lambda m: m.kind == "time_to_event" and m.unit not in ("", *TIME_UNITS),
     "a time is shown in seconds, minutes, hours or days: give one of them"),
    ("covariate", lambda m: m.covariate is not None and m.kind not in _SUMMED,
     "a {m.kind} has no covariate from before: leave it out"),
    ("cap", lambda m: m.cap is not None and m.kind not in _CAPPED,
     "a cap is for counts, means and ratios, not for a {m.kind}: leave it out"),
)  # fmt: skip


def metric_findings(metric: EventMetric) -> Iterator[tuple[str, str]]:
    """Field and sentence of each contradiction; none for a metric that can be used."""
    for field, wrong, sentence in RULES:
        if wrong(metric):
            yield field, sentence.format(m=metric)
    for source, below in zip(metric.sources, _places(metric), strict=True):
        yield from ((f"{below}{field}", sentence) for field, sentence in _source_findings(source))
        for operator in _operators(source.where):
            if operator in BEYOND_SQL:
                yield (
                    f"{below}where",
                    f"{operator} is for flags; events are asked without it: filter by another",
                )


def _source_findings(source: Source) -> Iterator[tuple[str, str]]:
    """What contradicts itself in what is read: it is events of a name or rows of a table."""
    if source.table is None:
        if source.event is None:
            yield "event", "this is missing: give the name of an event, or a table"
        return
    if source.event is not None:
        yield (
            "table",
            f"rows are of the table {source.table.name} or events are called {source.event}: leave one out",
        )
    if source.type is not None:
        yield "type", f"rows of the table {source.table.name} have no type: leave it out"


def _places(metric: EventMetric) -> list[str]:
    if metric.steps:
        return [f"steps[{number}]." for number in range(len(metric.steps))]
    return ["", "denominator."][: len(metric.sources)]


def _operators(condition: object) -> Iterator[object]:
    """The operators of all leaves; whatever is no condition is told by who reads conditions."""
    if isinstance(condition, Mapping):
        if "op" in condition:
            yield condition["op"]
        for part in (condition.get("all"), condition.get("any"), condition.get("not")):
            yield from _operators(part)
    elif isinstance(condition, list | tuple):
        for part in condition:
            yield from _operators(part)
