"""One HTML file that holds a whole report: no script, no outside request, readable everywhere."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from upshot.report import charts, cohort_views, figures, rows, sections, segments, words
from upshot.report.findings import Findings
from upshot.report.learnings import learnings
from upshot.report.next_steps import next_steps
from upshot.report.rows import Row

ROLES = {"primary": "Primary", "secondary": "Secondary"}


def html(findings: Findings) -> str:
    """The report as one self-contained page; whatever people typed is escaped."""
    drawn = [(figure, Markup(charts.to_svg(figure.spec))) for figure in figures.figures(findings)]  # noqa: S704 - drawn by us, serialised as XML
    return render("report", findings, figures=drawn)


def render(name: str, findings: Findings, **more: object) -> str:
    """Fill a template of this package; it carries its own stylesheet and that one's hash."""
    return fill(name, name, **(_story(findings) | _tables(findings) | more))


def fill(template: str, style: str, **known: object) -> str:
    """Fill a template of this package with what it knows; its stylesheet and that one's hash are added."""
    text = _style(style)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    known |= {"style": Markup(text), "style_hash": digest}  # noqa: S704 - our own file
    return _environment().get_template(f"{template}.html").render(known)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("upshot.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "plain": words.plain,
        "sentence": words.sentence,
        "count": words.count,
        "capital": words.capital,
    }
    environment.filters |= {
        "signed": lambda v: words.percent(v, signed=True),
        "at": lambda p: f"{100 * p:.2f}%",
    }
    return environment


@cache
def _style(name: str) -> str:
    return (files("upshot.report") / "templates" / f"{name}.css").read_text("utf-8")


def _story(findings: Findings) -> dict[str, Any]:
    """What is told in words."""
    return {
        "findings": findings,
        "verdict": findings.verdict,
        "title": words.plain(findings.title),
        "eyebrow": _eyebrow(findings),
        "doubts": [check for check in findings.failing_checks() if not findings.is_told(check)],
        "reasons": findings.verdict.reasons,
        "decision": sections.decision(findings),
        "closing": sections.closing(findings),
        "by_variant": sections.by_variant(findings),
        "overview": sections.overview(findings),
        "hypothesis": sections.hypothesis(findings),
        "criteria": sections.success_criteria(findings),
        "learnings": learnings(findings),
        "steps": next_steps(findings),
        "methods": sections.methods(findings),
        "understood": [*findings.evidence.understood, *findings.analysis.notes],
        "status_words": sections.STATUS,
    }


def _eyebrow(findings: Findings) -> str:
    facts = dict(sections.overview(findings))
    units = sum(findings.analysis.progress.units.values())
    noun = rows.unit_noun(findings.analysis.unit)
    period = facts["Period"] if facts["Period"] != "not recorded" else ""
    parts = [
        findings.plan.id,
        findings.title if findings.title != findings.plan.id else "",
        period,
        words.plural(units, noun),
    ]
    return " · ".join(words.plain(part) for part in parts if part)


def _tables(findings: Findings) -> dict[str, Any]:
    """Rows with the scale that they share."""
    roles = {role: rows.of_role(findings, role) for role in ("primary", "secondary", "guardrail")}
    everything = [row for group in roles.values() for row in group]
    return {
        "all_rows": everything,
        "groups": [(ROLES[role], roles[role], _family(roles[role])) for role in ROLES if roles[role]],
        "guardrails": roles["guardrail"],
        "threshold": {bar > 0: bar for bar in rows.bars(findings)},
        "ruler": rows.ruler(findings, everything),
        "confidence": words.percent(findings.confidence),
        "missing": _missing([*roles["primary"], *roles["secondary"]]),
        "missing_guardrails": _missing(roles["guardrail"]),
        "splits": [
            (split, rows.ruler(findings, [row for _, row in split.parts]))
            for split in segments.splits(findings)
        ],
        "cohort_tables": cohort_views.tables(findings),
        "cohort_remarks": tuple(cohort_views.remarks(findings)),
        "in_doubt": findings.in_doubt,
        "several": len(findings.challengers) > 1,
    }


def _missing(group: Sequence[Row]) -> list[str]:
    """Why numbers are missing, each reason once."""
    return list(dict.fromkeys(f"{row.metric}: {reason}" for row in group for reason in row.missing))


def _family(group: Sequence[Row]) -> str:
    tests = max(row.tests for row in group)
    return f"p and intervals over {tests} tests" if tests > 1 else ""
