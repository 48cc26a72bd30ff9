"""Metrics over events from and to YAML: files of them become one set, with every mistake named.

A file has the section ``metrics``, a mapping by name; a set may be spread over files as people like. `docs/metrics.md`
shows the format.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from upshot.errors import PlanError
from upshot.formats.duration import duration_text
from upshot.formats.event_metric_fields import Fields, expected, metric_fields
from upshot.formats.event_metric_rules import metric_findings
from upshot.formats.flag_findings import Finding, Place, Sources, shown
from upshot.formats.flag_rules import NAMED
from upshot.formats.yaml_text import read_yaml, read_yaml_files, write_yaml
from upshot.model.event_metric import EventMetric

SECTION = "metrics"
ADAPTER = TypeAdapter(EventMetric)
_NAME = re.compile(r"\w[\w.:-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenMetrics:
    """What people wrote.

    Attributes:
        metrics: name -> metric, of those that can be read; one with findings of its own is among them where its
            fields are sound each by itself.
        unreadable: what is wrong with files as such, one sentence each.
        findings: what is wrong with what they hold.
        sources: where each metric is written.
    """

    metrics: Mapping[str, EventMetric] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    sources: Sources = field(default_factory=Sources)

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong, each with its file and path."""
        return (*self.unreadable, *self.sources.told(self.findings))


def read_metric_files(texts: Mapping[str, str]) -> WrittenMetrics:
    """The metrics that some YAML (or JSON) files hold together.

    Args:
        texts: name of the file -> its text.
    """
    plain, problems = read_yaml_files(texts)
    read = _read(plain)
    return replace(read, unreadable=(*problems, *read.unreadable))


def metrics_from_yaml(text: str, where: str = "metrics") -> dict[str, EventMetric]:
    """The metrics that one YAML (or JSON) text holds.

    Raises:
        PlanError: everything that is wrong in it, at once.
    """
    return metrics_from_mapping(read_yaml(text, where), where)


def metrics_from_mapping(plain: object, where: str = "metrics") -> dict[str, EventMetric]:
    """The metrics that plain values describe; raises as `metrics_from_yaml`."""
    read = _read({"": plain})
    if read.problems:
        raise PlanError(read.problems, where)
    return dict(read.metrics)


def _read(plain: Mapping[str, object]) -> WrittenMetrics:
    raw: dict[str, object] = {}
    files: dict[str, str] = {}
    problems: list[str] = []
    for file, content in plain.items():
        head = f"{file}: " if file else ""
        problems += [head + problem for problem in _sorted_in(file, content, raw, files)]
    findings: list[Finding] = []
    read = {name: _metric(name, entry, findings) for name, entry in raw.items()}
    return WrittenMetrics(
        metrics={name: metric for name, metric in read.items() if metric is not None},
        unreadable=tuple(problems),
        findings=tuple(findings),
        sources=Sources(files=files),
    )


def _sorted_in(file: str, content: object, raw: dict[str, object], files: dict[str, str]) -> Iterator[str]:
    """Collect what a file holds; what cannot be used is told."""
    if not isinstance(content, Mapping | None):
        yield f"{shown(content)} is no file of metrics: begin with metrics: and the name of a metric"
        return
    for section in content or {}:
        if section != SECTION:
            yield f"there is no section {section}: a file of metrics has the section metrics"
    entries = (content or {}).get(SECTION)
    if not isinstance(entries, Mapping | None):
        yield f"metrics: {shown(entries)} is not a mapping: give each metric its name and fields"
        return
    for name, entry in (entries or {}).items():
        place = f"{SECTION}.{name}"
        if not isinstance(name, str):
            yield f"metrics: the name {shown(name)} is not text: quote it"
        elif place in files:
            yield f"{place}: it is in {files[place]} too: keep one of them"
        else:
            raw[name] = entry
            files[place] = file


def _metric(name: str, raw: object, findings: list[Finding]) -> EventMetric | None:
    """One metric; None where it cannot be read. What is wrong is reported."""
    place = Place(SECTION, name, findings)
    if not _NAME.fullmatch(name):
        place.report(NAMED)
    before = len(findings)
    fields = metric_fields(raw, place)
    if fields is None:
        return None
    try:
        metric = ADAPTER.validate_python(fields | {"name": name})
    except ValidationError as error:
        for one in error.errors(include_url=False):
            _refused(one, place, before)
        return None
    told = {finding.below for finding in findings[before:]}
    for below, message in metric_findings(metric):
        if not any(one == f".{below}" or one.startswith(f".{below}[") for one in told):
            findings.append(Finding(section=SECTION, name=name, below=f".{below}", message=message))
    return metric


def _refused(error: Any, place: Place, before: int) -> None:
    """Report what pydantic found; a field that is missing because it was refused is not told twice."""
    here = place
    for part in error["loc"]:
        here = here.at(part)
    what = expected(str(next(part for part in reversed(error["loc"]) if isinstance(part, str))))
    if error["type"] != "missing":
        here.report(f"{shown(error['input'])} is not {what}")
    elif not any(one.below == here.below for one in place.findings[before:]):
        here.report(f"this is missing: give {what}")


def metrics_to_mapping(metrics: Mapping[str, EventMetric]) -> dict[str, Any]:
    """Plain values that read back to the same metrics; what is at its default is left out."""
    return {SECTION: {name: metric_to_mapping(metric) for name, metric in metrics.items()}} if metrics else {}


def metric_to_mapping(metric: EventMetric) -> Fields:
    """The fields of one metric, but for its name."""
    plain: Fields = ADAPTER.dump_python(metric, exclude_defaults=True)
    del plain["name"]
    return {name: _plain(value) for name, value in plain.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return duration_text(value)
    return list(value) if isinstance(value, tuple) else value


def metrics_to_yaml(metrics: Mapping[str, EventMetric]) -> str:
    """One file that holds all of them."""
    return write_yaml(metrics_to_mapping(metrics))
