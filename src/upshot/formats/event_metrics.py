"""Metrics over events from and to YAML: files of them become one set, with every mistake named.

A file has the section ``metrics``, a mapping by name; ``tables``, a mapping by name of the tables that metrics are of;
and ``exposures``, the table of exposures that a team logs by itself. A set may be spread over files as people like.
`docs/metrics.md` shows the format.
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
from upshot.formats.fact_tables import (
    EXPOSURES,
    TABLES,
    Tables,
    read_exposures,
    read_table,
    table_to_mapping,
    unread_table,
    with_tables,
)
from upshot.formats.flag_findings import Finding, Place, Sources, shown
from upshot.formats.flag_rules import NAMED
from upshot.formats.yaml_text import read_yaml, read_yaml_files, write_yaml
from upshot.model.event_metric import EventMetric
from upshot.model.fact_table import ExposureTable

SECTION = "metrics"
SECTIONS = {SECTION: "metric", TABLES: "table"}
"""Sections that are mappings by name, and what they hold."""
ADAPTER = TypeAdapter(EventMetric)
_NAME = re.compile(r"\w[\w.:-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenMetrics:
    """What people wrote.

    Attributes:
        metrics: name -> metric, of those that can be read; one with findings of its own is among them where its
            fields are sound each by itself.
        tables: name -> table, of those that can be read.
        exposures: the table of exposures that a team logs by itself; None where there is none.
        unreadable: what is wrong with files as such, one sentence each.
        findings: what is wrong with what they hold.
        sources: where each metric is written.
    """

    metrics: Mapping[str, EventMetric] = field(default_factory=dict)
    tables: Tables = field(default_factory=dict)
    exposures: ExposureTable | None = None
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
    read = read_metric_values(plain)
    return replace(read, unreadable=(*problems, *read.unreadable))


def metrics_from_yaml(text: str, where: str = "metrics") -> dict[str, EventMetric]:
    """The metrics that one YAML (or JSON) text holds.

    Raises:
        PlanError: everything that is wrong in it, at once.
    """
    return metrics_from_mapping(read_yaml(text, where), where)


def metrics_from_mapping(plain: object, where: str = "metrics") -> dict[str, EventMetric]:
    """The metrics that plain values describe; raises as `metrics_from_yaml`."""
    read = read_metric_values({"": plain})
    if read.problems:
        raise PlanError(read.problems, where)
    return dict(read.metrics)


def read_metric_values(plain: Mapping[str, object]) -> WrittenMetrics:
    """The metrics that the plain values of some files hold together, by the names of the files."""
    found = _Found()
    problems: list[str] = []
    for file, content in plain.items():
        head = f"{file}: " if file else ""
        problems += [head + problem for problem in _sorted_in(file, content, found)]
    findings: list[Finding] = []
    tables = {name: read_table(name, entry, findings) for name, entry in found.raw[TABLES].items()}
    sound = {name: table for name, table in tables.items() if table is not None}
    names = {name: sound.get(name) or unread_table(name) for name in tables}
    read = {name: _metric(name, entry, names, findings) for name, entry in found.raw[SECTION].items()}
    return WrittenMetrics(
        metrics={name: metric for name, metric in read.items() if metric is not None},
        tables=sound,
        exposures=read_exposures(found.raw[EXPOSURES], findings) if found.raw[EXPOSURES] else None,
        unreadable=tuple(problems),
        findings=tuple(findings),
        sources=Sources(files=found.files),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What files hold, as they have it: by section and name, and which file each thing is in."""

    raw: Mapping[str, dict[Any, Any]] = field(
        default_factory=lambda: {SECTION: {}, TABLES: {}, EXPOSURES: {}}
    )
    files: dict[str, str] = field(default_factory=dict)


def _sorted_in(file: str, content: object, found: _Found) -> Iterator[str]:
    """Collect what a file holds; what cannot be used is told."""
    if not isinstance(content, Mapping | None):
        yield f"{shown(content)} is no file of metrics: begin with metrics: and the name of a metric"
        return
    for section, entries in (content or {}).items():
        if section not in found.raw:
            yield f"there is no section {section}: a file of metrics has the sections {', '.join(found.raw)}"
        elif not isinstance(entries, Mapping | None):
            what = (
                f"give each {SECTIONS[section]} its name and fields"
                if section in SECTIONS
                else "give its fields"
            )
            yield f"{section}: {shown(entries)} is not a mapping: {what}"
        else:
            yield from _entered(file, section, entries or {}, found)


def _entered(file: str, section: str, entries: Mapping[Any, Any], found: _Found) -> Iterator[str]:
    for name, entry in entries.items():
        place = f"{section}.{name}"
        if not isinstance(name, str):
            yield f"{section}: the name {shown(name)} is not text: quote it"
        elif place in found.files:
            yield f"{place}: it is in {found.files[place]} too: keep one of them"
        else:
            found.raw[section][name] = entry
            found.files[place] = file


def _metric(name: str, raw: object, tables: Tables, findings: list[Finding]) -> EventMetric | None:
    """One metric; None where it cannot be read. What is wrong is reported."""
    place = Place(SECTION, name, findings)
    if not _NAME.fullmatch(name):
        place.report(NAMED)
    before = len(findings)
    fields = metric_fields(raw, place)
    if fields is None:
        return None
    try:
        metric = ADAPTER.validate_python(with_tables(fields, tables, place) | {"name": name})
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
    tables = {
        source.table.name: source.table for one in metrics.values() for source in one.sources if source.table
    }
    declared = {name: table_to_mapping(table) for name, table in tables.items()}
    named = {name: metric_to_mapping(metric) for name, metric in metrics.items()}
    return ({TABLES: declared} if declared else {}) | ({SECTION: named} if named else {})


def metric_to_mapping(metric: EventMetric) -> Fields:
    """The fields of one metric, but for its name; tables by their names."""
    plain: Fields = ADAPTER.dump_python(metric, exclude_defaults=True)
    del plain["name"]
    return {name: _plain(name, value) for name, value in plain.items()}


def _plain(field_name: str, value: Any) -> Any:
    if isinstance(value, timedelta):
        return duration_text(value)
    if field_name == "table":
        return value["name"]
    if field_name == "denominator":
        return {name: _plain(name, inner) for name, inner in value.items()}
    if field_name == "steps":
        return [_plain("denominator", step) for step in value]
    return list(value) if isinstance(value, tuple) else value


def metrics_to_yaml(metrics: Mapping[str, EventMetric]) -> str:
    """One file that holds all of them."""
    return write_yaml(metrics_to_mapping(metrics))
