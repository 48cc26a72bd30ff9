"""A decision made again from what was stored: the same plan, evidence and looks give the same verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date

from upshot.analysis.analyze import analyze
from upshot.analysis.evidence import Evidence
from upshot.analysis.result import Look
from upshot.decide.policy import decide
from upshot.formats.canonical import content_hash
from upshot.model.decision import ExperimentVerdict, Situation
from upshot.model.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is kept of a decision: hashes of all that went in and came out, chained to the record before.

    Attributes:
        plan, evidence, situation, verdict: content hashes.
        previous: the hash of the record before; empty for the first.
        hash: of the five above.
    """

    plan: str
    evidence: str
    situation: str
    verdict: str
    previous: str
    hash: str


def replay(
    plan: Plan,
    evidence: Evidence,
    looks: Sequence[Look] = (),
    situation: Situation | None = None,
    day: date | None = None,
) -> ExperimentVerdict:
    """The verdict that stored plan, evidence, earlier looks and situation give."""
    return decide(plan, analyze(plan, evidence, looks, day), situation)


def differences(stored: ExperimentVerdict, replayed: ExperimentVerdict) -> tuple[str, ...]:
    """What a replay says otherwise, one sentence a field; empty where the decision stands."""
    return tuple(
        f"{field.name} was {getattr(stored, field.name)!r} and is now {getattr(replayed, field.name)!r}"
        for field in fields(ExperimentVerdict)
        if getattr(stored, field.name) != getattr(replayed, field.name)
    )


def record(
    plan: Plan, evidence: Evidence, situation: Situation, verdict: ExperimentVerdict, previous: str = ""
) -> Record:
    """Chain a decision to the one before: whoever changes a part of the past changes every later hash."""
    parts = {
        "plan": content_hash(plan),
        "evidence": content_hash(evidence),
        "situation": content_hash(situation),
        "verdict": content_hash(verdict),
        "previous": previous,
    }
    return Record(**parts, hash=content_hash(parts))


def is_intact(chain: Sequence[Record]) -> bool:
    """Whether every record follows from its parts and from the record before it."""
    previous = ""
    for entry in chain:
        parts = {field.name: getattr(entry, field.name) for field in fields(Record) if field.name != "hash"}
        if entry.previous != previous or entry.hash != content_hash(parts):
            return False
        previous = entry.hash
    return True
