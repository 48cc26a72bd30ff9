"""Metrics over events in words: what a definition was understood to mean, so that a person can say no."""

from collections.abc import Mapping
from datetime import timedelta

from upshot.model.event_metric import ANY, DAY, EventMetric, Source


def metric_words(metric: EventMetric) -> str:
    """What a metric is, as the end of *is the ...*.

    >>> metric_words(EventMetric(name="orders", kind="count", event="Order", window=timedelta(days=7)))
    'mean number of Order, within 7 days of the first exposure; higher is better'
    """
    text = f"{_what(metric)}, {_when(metric)}"
    if metric.covariate:
        text += f"; adjusted by the same in the {span_words(metric.covariate)} before"
    if metric.cap:
        text += f"; capped at the {100 * metric.cap:g}% quantile of all units"
    return f"{text}; {metric.better} is better"


def _what(metric: EventMetric) -> str:
    events = source_words(metric.source)
    match metric.kind:
        case "proportion" | "retention":
            return f"share of units {'without' if metric.absent else 'with'} {events}"
        case "count":
            return f"mean number of {events}"
        case "mean":
            return f"mean per unit of the sum of {metric.value} of {events}"
        case "ratio":
            assert metric.denominator is not None
            return f"{_total(metric.source)} over {_total(metric.denominator)}"
        case "quantile":
            return f"p{100 * (metric.quantile or 0):g} of {metric.value} over all {events}"
        case "time_to_event":
            unit = metric.unit or "hours"
            return f"mean time in {unit} to {events}, the whole window for units without it"
        case "funnel":
            return f"share of units that went through {', then '.join(map(source_words, metric.steps))}"


def _total(source: Source) -> str:
    what = "number" if source.value is None else f"sum of {source.value}"
    return f"{what} of {source_words(source)}"


def _when(metric: EventMetric) -> str:
    if metric.kind == "retention":
        length = (metric.ends or DAY) - metric.begins
        span = (
            f"on day {metric.day}"
            if length == DAY
            else f"in the {span_words(length)} from day {metric.day} on"
        )
        return f"{span} after the first exposure"
    if metric.window is None:
        return "after the first exposure"
    return f"within {span_words(metric.window)} of the first exposure"


def span_words(span: timedelta) -> str:
    """A span of time in words.

    >>> span_words(timedelta(hours=24)), span_words(timedelta(minutes=90))
    ('1 day', '90 minutes')
    """
    seconds = int(span.total_seconds())
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds and not seconds % size:
            return f"{seconds // size} {name}{'' if seconds == size else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def source_words(source: Source) -> str:
    """Which events, in words.

    >>> source_words(Source(event="Order", where={"attr": "usd", "op": "gt", "value": 5}))
    'Order where usd gt 5'
    """
    kind = f" {source.type}" if source.type else ""
    if source.table is not None:
        named = f"rows of {source.table.name}"
    elif source.event == ANY:
        named = f"any{kind} event"
    else:
        named = f"{source.event}{f' ({source.type})' if kind else ''}"
    return named if source.where is None else f"{named} where {_condition(source.where)}"


def _condition(condition: object) -> str:
    if not isinstance(condition, Mapping):
        return str(condition)
    for form, joint in (("all", " and "), ("any", " or ")):
        if form in condition:
            parts = [_condition(part) for part in condition[form]]
            return parts[0] if len(parts) == 1 else f"({joint.join(parts)})"
    if "not" in condition:
        return f"not ({_condition(condition['not'])})"
    if condition.get("op") == "exists":
        return f"{condition.get('attr')} is there"
    value = condition.get("value")
    shown = [_shown(one) for one in (value if isinstance(value, list | tuple) else [value])]
    return f"{condition.get('attr')} {condition.get('op')} {', '.join(shown)}"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
