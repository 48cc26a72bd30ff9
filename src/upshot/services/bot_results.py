"""The last look at an experiment with and without the units that look like programs.

It shows no more than that look did: what it saw, judged after the same looks, and sealed where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from upshot.analysis.analyze import analyze
from upshot.analysis.anomalies import Anomaly
from upshot.analysis.bots import Outcome, bots_matter
from upshot.analysis.evidence import Evidence
from upshot.decide.policy import decide
from upshot.errors import NotFoundError
from upshot.model.event_metric import EventMetric
from upshot.model.fact_table import ExposureTable
from upshot.report.findings import Findings
from upshot.services.anomalies import gather, programs
from upshot.services.live_evidence import live_evidence, met
from upshot.services.sealing import is_sealed, sealed
from upshot.store import experiments, looks
from upshot.store.control import ControlStore
from upshot.store.looks import StoredLook


@dataclass(frozen=True, slots=True, kw_only=True)
class BotResults:
    """Both results.

    Attributes:
        flagged: unit -> why it looks like a program.
        whole, without: what the look says with all units, and with those left out.
        anomaly: that the verdicts differ; None: they do not.
    """

    flagged: Mapping[str, str]
    whole: Outcome
    without: Outcome
    anomaly: Anomaly | None


def bot_results(
    store: ControlStore,
    data: Path,
    experiment: str,
    definitions: Mapping[str, EventMetric],
    exposures: ExposureTable | None = None,
) -> BotResults:
    """Flag the units of an experiment that look like programs, and judge its last look without them.

    Args:
        exposures: a declared table that exposures are read from; None: those that Upshot logged.

    Raises:
        NotFoundError: there is no such experiment, or no look was taken at it.
        DataError: nobody is left without them.
    """
    with store.reading() as connection:
        known = experiments.find(connection, experiment)
        history = looks.history(connection, experiment, known.phase)
        if not history:
            raise NotFoundError(
                f"no look was taken at {experiment} yet: take one by `upshot look {experiment}`"
            )
        last = looks.find(connection, experiment, known.phase, len(history))
        plan = experiments.plan_of(connection, last.plan_hash)

    def judged(evidence: Evidence) -> Outcome:
        analysis = analyze(plan, evidence, history[:-1], last.look.day)
        verdict = decide(plan, analysis, last.situation)
        findings = Findings(
            plan=replace(plan, metrics=evidence.metrics, unit=evidence.unit), evidence=evidence, analysis=analysis,
            verdict=verdict, looks=history[:-1],
        )  # fmt: skip
        return _outcome(sealed(findings, last.situation) if is_sealed(plan, analysis) else findings)

    with met(data, experiment, _seen_until(last), exposures, afresh=True) as found:
        gather(found.database, experiment, known.phase)
        flagged = programs(found.database, datetime(1970, 1, 1, tzinfo=UTC))
        whole = judged(live_evidence(found, plan, definitions, known.phase))
        found.database.execute(
            "CREATE TEMP TABLE programs AS SELECT unnest(CAST(? AS VARCHAR[])) AS unit_id", [list(flagged)]
        )
        found.database.execute("ALTER VIEW exposures RENAME TO all_exposures")
        found.database.execute(
            "CREATE VIEW exposures AS SELECT * FROM all_exposures WHERE unit_id NOT IN (SELECT unit_id FROM programs)"
        )
        without = judged(live_evidence(found, plan, definitions, known.phase)) if flagged else whole
    anomaly = bots_matter(f"experiment/{experiment}", len(flagged), whole, without)
    return BotResults(flagged=flagged, whole=whole, without=without, anomaly=anomaly)


def _seen_until(last: StoredLook) -> datetime:
    """The moment until which the look saw events; it may have been taken later, as of then."""
    if last.look.day is None:
        return last.at
    midnight = datetime.combine(last.look.day + timedelta(days=1), time(), UTC)
    return min(last.at, midnight)


def _outcome(findings: Findings) -> Outcome:
    primaries = [metric for metric in findings.analysis.metrics if metric.role == "primary"]
    lifts = [one.lift for metric in primaries for one in metric.comparisons]
    units = sum(findings.analysis.look.units.values())
    return Outcome(units=units, verdict=findings.verdict.verdict, lift=lifts[0] if lifts else None)
