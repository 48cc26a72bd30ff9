"""The metrics of a workspace: read from its files, checked by who must read their conditions, and looked through."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from upshot.analysis.event_words import metric_words
from upshot.errors import NotFoundError, PlanError
from upshot.formats.event_metrics import WrittenMetrics
from upshot.formats.flag_findings import Finding
from upshot.model.event_metric import EventMetric
from upshot.store.metric_files import read_metric_directory
from upshot_sdk.node import Node, Problem
from upshot_sdk.targeting import read_condition


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRemark:
    """Something about a metric to look at; it hinders nothing.

    Attributes:
        about: the metric. sentence: what it is, and the mend.
    """

    about: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLint:
    """What was understood: the metrics, each in words, and remarks."""

    metrics: Mapping[str, EventMetric]
    words: Mapping[str, str]
    remarks: tuple[MetricRemark, ...]


def read_metrics(directory: Path) -> dict[str, EventMetric]:
    """The metrics of a directory, by name.

    Raises:
        InputError: there is no such directory.
        PlanError: everything that is wrong in its files, at once, each with file and field.
    """
    return dict(read_written(directory).metrics)


def read_written(directory: Path) -> WrittenMetrics:
    """All that the files of a directory declare: metrics, tables, a table of exposures. Raises as `read_metrics`."""
    written, unreadable = read_metric_directory(directory)
    conditions = [one for metric in written.metrics.values() for one in condition_findings(metric)]
    problems = (*unreadable, *written.problems, *written.sources.told(conditions))
    if problems:
        raise PlanError(problems, str(directory))
    return written


def condition_findings(metric: EventMetric) -> Iterator[Finding]:
    """What the evaluator of flags refuses of a metric's conditions: events are asked in the same language."""
    places = [f".steps[{number}]" for number in range(len(metric.steps))] or ["", ".denominator"]
    for source, place in zip(metric.sources, places, strict=False):
        problems: list[Problem] = []
        if source.where is not None:
            read_condition(Node(source.where, problems), {})
        for problem in problems:
            inside = problem.path.removeprefix("ruleset")
            below = f"{place}.where" + (f".{inside}" if inside and inside[0] not in ".[" else inside)
            yield Finding(section="metrics", name=metric.name, below=below, message=problem.message)


def named(metrics: Mapping[str, EventMetric], name: str, where: str) -> EventMetric:
    """The metric of this name.

    Raises:
        NotFoundError: there is none; the message suggests what was meant.
    """
    if name in metrics:
        return metrics[name]
    near = get_close_matches(name, metrics, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(metrics) or 'none'}"
    raise NotFoundError(f"there is no metric {name} in {where}: {hint}")


def lint(directory: Path) -> MetricLint:
    """Look through the metrics of a directory; raises as `read_metrics`."""
    metrics = read_metrics(directory)
    remarks = [
        MetricRemark(about=name, sentence=one) for name, metric in metrics.items() for one in _remarks(metric)
    ]
    words = {name: metric_words(metric) for name, metric in metrics.items()}
    return MetricLint(metrics=metrics, words=words, remarks=tuple(remarks))


def _remarks(metric: EventMetric) -> Iterator[str]:
    if metric.ends is None:
        yield (
            "it has no window: early units count longer than late ones, and looks at running data err more often "
            "than they say; give one, such as window: 7d"
        )
    if metric.kind == "mean" and metric.cap is None:
        yield "it has no cap: a single large value can carry a result; give one, such as cap: 99.9%"
    if metric.kind == "ratio" and metric.value is not None and metric.denominator == metric.source:
        yield "it divides by itself and is always 1: leave value out of its denominator to count events"
