"""Analyse data that one has: a source, a question and perhaps a plan in; findings out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import ibis.expr.types as ir

from upshot.analysis.analyze import analyze
from upshot.analysis.cohorts import cohorts_to_dict
from upshot.analysis.contract import analysis_to_dict
from upshot.analysis.counts import evidence_from_counts
from upshot.analysis.evidence import Evidence
from upshot.analysis.identity import Persons, linked
from upshot.analysis.identity import said as who_is_whom
from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.analysis.result import Look
from upshot.decide.policy import decide
from upshot.errors import DataError, InputError
from upshot.formats.canonical import content_hash
from upshot.formats.plans import plan_from_mapping, plan_to_mapping
from upshot.model.decision import ExperimentVerdict, Situation
from upshot.model.plan import Plan
from upshot.report.findings import Findings
from upshot.services.looks import is_same, looks_file, read_looks, write_looks

ENGINES = (
    "ibis",
    "sqlglot",
    "duckdb",
    "_duckdb",
    "sqlite3",
    "pyarrow",
    "psycopg",
    "pyspark",
    "clickhouse_connect",
)
"""Whose exceptions speak of the data; all others are faults of ours."""

AGAIN = (
    "these data were looked at {before} before and have changed since: looking again until something shows would "
    "find it in the end, so from the second look on the numbers are always-valid (safe at every look, a little wider)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked.

    Attributes:
        plan: as written, or made of options (`Plan.final`). question: of the table.
        situation: notes and acknowledgements. today: the calendar day, for plans with a start.
        memory: the data file beside which looks are kept; None: nothing is remembered.
        table: which of the file's tables is asked, where it has several.
        planned: whether the plan was written down before (else it was made of options).
        persons: which ids of the units are one person; None: each id is a unit.
    """

    plan: Plan
    question: Question
    situation: Situation = field(default_factory=Situation)
    today: date | None = None
    memory: Path | None = None
    table: str | None = None
    planned: bool = False
    persons: Persons | None = None


def check_plan(plan: Plan, where: str) -> Plan:
    """The plan, if every field is in its range and nothing contradicts itself.

    Raises:
        PlanError: naming everything that does.
    """
    return plan_from_mapping(plan_to_mapping(plan), where)


def analyze_table(table: ir.Table, request: Request) -> Findings:
    """Analyse a table; the looks are written last, once everything else has worked."""
    evidence = _read(table, request.question, request.persons)
    if evidence.unseen and evidence.unknown and not request.planned:
        raise DataError(
            f"split names {', '.join(evidence.unseen)}, which no row of {request.question.variant!r} has: "
            f"it has {', '.join(evidence.unknown)} that the split leaves out"
        )
    return analyze_evidence(evidence, request)


def joined(table: ir.Table, question: Question, persons: Persons | None) -> ir.Table:
    """The table as it is asked, with persons for units where links are given.

    Raises:
        InputError: the question has no units to link.
    """
    if persons is None:
        return table
    if question.unit is None or question.count:
        raise InputError(
            "links say which units are one person: name the column of units with --unit, without --count"
        )
    return linked(table, question.unit, persons)


def _read(table: ir.Table, question: Question, persons: Persons | None) -> Evidence:
    """The evidence; what an engine cannot do with the data is one sentence, as any other bad input."""
    try:
        asked = joined(table, question, persons)
        evidence = read_evidence(asked, question)
        if persons is None or question.unit is None:
            return evidence
        said = who_is_whom(asked, question.unit, persons)
        return replace(evidence, understood=(*evidence.understood, said))
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ENGINES:
            raise
        said = " ".join(str(error).split())[:160]
        time = f" (is {question.time!r} a column of times?)" if question.time else ""
        raise DataError(f"the engine cannot query these data{time}: {said}; --sql shows the query") from error


def analyze_counts(counts: Mapping[str, tuple[int, int]], request: Request) -> Findings:
    """Analyse bare successes and trials."""
    if len(request.plan.metrics) > 1:
        names = ", ".join(metric.name for metric in request.plan.metrics)
        raise InputError(f"counts are of one metric, and {names} are asked for: name one")
    metric = request.plan.metrics[0]
    evidence = evidence_from_counts(counts, request.plan.control, metric)
    return analyze_evidence(evidence, request)


def analyze_evidence(evidence: Evidence, request: Request) -> Findings:
    """Analyse evidence, with the looks of before where the source has a memory."""
    plan = replace(request.plan, metrics=evidence.metrics, unit=evidence.unit)
    path = _memory(request)
    looks = read_looks(path) if path else ()
    if path is None or (request.planned and plan.monitoring == "fixed"):
        return _findings(plan, evidence, (), request)
    if request.planned:
        return _next_look(plan, evidence, looks, request, path)
    return _unplanned(plan, evidence, looks, request, path)


def _memory(request: Request) -> Path | None:
    if request.memory is None:
        return None
    asked: dict[str, object] = {"variant": request.question.variant, "where": request.question.where or ""}
    if request.table:
        asked["table"] = request.table
    if request.persons:
        asked["links"] = True
    return looks_file(request.memory, asked | {"plan": _identity(request)})


def _identity(request: Request) -> str:
    """What makes two runs the same question: the plan but for what only describes it."""
    kept = replace(request.plan, name="", hypothesis="", owner="")
    return content_hash(plan_to_mapping(kept))


def _next_look(
    plan: Plan, evidence: Evidence, looks: Sequence[Look], request: Request, path: Path
) -> Findings:
    before = _before(plan, evidence, looks, request)
    findings = _findings(plan, evidence, before, request)
    write_looks(path, (*before, findings.analysis.look))
    return findings


def _before(plan: Plan, evidence: Evidence, looks: Sequence[Look], request: Request) -> tuple[Look, ...]:
    """The looks before this one; the last is this one again if the data did not change."""
    earlier = tuple(looks[:-1])
    if looks and is_same(analyze(plan, evidence, earlier, _day(plan, evidence, request)).look, looks[-1]):
        return earlier
    return tuple(looks)


def _unplanned(
    plan: Plan, evidence: Evidence, looks: Sequence[Look], request: Request, path: Path
) -> Findings:
    """Without a plan the first look is taken as the only one; later ones show always-valid numbers."""
    watched = replace(plan, monitoring="always_valid")
    before = _before(watched, evidence, looks, request)
    safe = _findings(watched, evidence, before, request)
    findings = safe if before and plan.monitoring == "fixed" else _findings(plan, evidence, (), request)
    if before and plan.monitoring == "fixed":
        times = "once" if len(before) == 1 else f"{len(before)} times"
        note = AGAIN.format(before=times)
        analysis = replace(findings.analysis, notes=(*findings.analysis.notes, note))
        findings = replace(findings, analysis=analysis)
    write_looks(path, (*before, safe.analysis.look))
    return findings


def _findings(plan: Plan, evidence: Evidence, looks: Sequence[Look], request: Request) -> Findings:
    analysis = analyze(plan, evidence, looks, _day(plan, evidence, request))
    verdict = decide(plan, analysis, request.situation)
    return Findings(plan=plan, evidence=evidence, analysis=analysis, verdict=verdict, looks=tuple(looks))


def _day(plan: Plan, evidence: Evidence, request: Request) -> date | None:
    """The last day of the data; today, where a running plan's data carry no time."""
    if evidence.days or plan.final:
        return max(evidence.days, default=None)
    return request.today if plan.start else None


def findings_to_dict(findings: Findings) -> dict[str, Any]:
    """The JSON contract, verdict included."""
    plain = analysis_to_dict(findings.analysis, verdict_to_dict(findings.verdict))
    return plain if findings.cohorts is None else plain | {"cohorts": cohorts_to_dict(findings.cohorts)}


def verdict_to_dict(verdict: ExperimentVerdict) -> dict[str, Any]:
    """A verdict as plain values."""
    return {
        "verdict": verdict.verdict,
        "cause": verdict.cause,
        "headline": verdict.headline,
        "reasons": list(verdict.reasons),
        "would_change": verdict.would_change,
        "winner": verdict.winner,
        "variants": {
            one.variant: {
                "verdict": one.verdict,
                "cause": one.cause,
                "row": one.row,
                "headline": one.headline,
                "reasons": list(one.reasons),
                "would_change": one.would_change,
            }
            for one in verdict.variants
        },
    }
