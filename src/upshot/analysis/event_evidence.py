"""Exposures and events in, evidence out: the same that a table gives, so that all that is built works on it."""

from collections.abc import Iterator
from dataclasses import replace

import ibis
import ibis.expr.types as ir

from upshot.analysis.event_question import EventQuestion
from upshot.analysis.event_words import metric_words
from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.analysis.gathering import FIRST, UNIT
from upshot.analysis.phrases import units as counted
from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.analysis.unit_table import NO_FACTS, VARIANT, VARIANTS, Facts, unit_table
from upshot.errors import DataError


def event_evidence(
    exposures: ir.Table,
    events: ir.Table,
    question: EventQuestion,
    facts: Facts = NO_FACTS,
    units: ir.Table | None = None,
) -> Evidence:
    """All that an analysis needs of exposures, events and tables of facts, as `unit_table` takes them.

    Units whose window is not over are `Sample.immature` and not missing; a unit without an event is no missing one.

    Args:
        units: what `unit_table` would give of them, where somebody has it already.

    Raises:
        DataError: as of `unit_table` and `read_evidence`; nobody was exposed.
    """
    table = unit_table(exposures, events, question, facts)
    with (table if units is None else units).cache() as found:
        if not found.limit(1).count().to_pyarrow().as_py():
            of = f" to {question.experiment}" if question.experiment else ""
            raise DataError(
                f"nobody was exposed{of} before {question.as_of.isoformat()}: there is nothing to analyse yet"
            )
        evidence = read_evidence(found, as_question(question))
        sql = f"CREATE TABLE units AS\n{ibis.to_sql(table)};\n\n{evidence.sql.replace(found.get_name(), 'units')}"
    total = _ripened(evidence.total)
    segments = {
        name: {value: _ripened(part) for value, part in values.items()}
        for name, values in evidence.segments.items()
    }
    days = {day: _ripened(part) for day, part in evidence.days.items()}
    understood = tuple(_understood(question, evidence, total))
    return replace(evidence, total=total, segments=segments, days=days, understood=understood, sql=sql)


def as_question(question: EventQuestion) -> Question:
    """The same question of the table of units."""
    return Question(
        variant=VARIANT,
        control=question.control,
        metrics=question.asked,
        unit=UNIT,
        variants=VARIANTS,
        segments=question.segments,
        time=FIRST,
        split=question.split,
        histograms=question.histograms,
    )


def _ripened(part: Slice) -> Slice:
    """What has no outcome here is immature: a unit without events has 0, or no values of a quantile."""
    samples = {
        name: {variant: _ripe(sample) for variant, sample in found.items()}
        for name, found in part.samples.items()
    }
    return replace(part, samples=samples)


def _ripe(sample: Sample) -> Sample:
    return replace(sample, missing=0, immature=sample.missing)


def _understood(question: EventQuestion, evidence: Evidence, total: Slice) -> Iterator[str]:
    """What was read, and how many units each metric still waits for, in sentences."""
    asked = question.as_of.isoformat(timespec="minutes")
    yield f"{counted(evidence.rows)} by first exposure, and their events, as of {asked}"
    for metric in question.metrics:
        yield f"{metric.name}: {metric_words(question.definitions[metric.column])}"
        if metric.column in question.at_once:
            yield f"{metric.name}: units count before their windows are over, by what they did so far"
        count = sum(sample.immature for sample in total.samples[metric.name].values())
        if count:
            yield f"{metric.name}: {counted(count)} whose window is not over yet left out"
